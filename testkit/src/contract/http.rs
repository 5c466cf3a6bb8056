//! Answers over HTTP, against `docs/openapi.json`.

use super::{Described, strict};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

static CALLS: LazyLock<Calls> = LazyLock::new(|| {
    let document = include_str!("../../../docs/openapi.json");
    Calls::of(&serde_json::from_str(document).expect("docs/openapi.json is JSON"))
});

/// Paths with this beginning are for operators and not described.
const UNDESCRIBED: &str = "/admin/";
/// The detail of a problem about a path that is not there.
const NO_PATH: &str = "nothing is at this path";
const PROBLEM: &str = "application/problem+json";
const JSON: &str = "application/json";

/// What was said to a node, and what it answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    /// Of the request.
    pub(crate) method: &'a str,
    /// Of the request; a query is passed over.
    pub(crate) path: &'a str,
    /// Of the answer.
    pub(crate) status: u16,
    /// Of the answer.
    pub(crate) content_type: Option<&'a str>,
    /// The answer, as JSON where it is some.
    pub(crate) body: &'a Value,
}

/// What a node may answer.
struct Calls {
    /// Templates of paths, each with its methods.
    paths: Vec<(String, HashMap<String, Responses>)>,
    problem: Described,
}

/// By status, then by content type; none where there is no body.
type Responses = HashMap<u16, HashMap<String, Described>>;

impl Calls {
    fn of(document: &Value) -> Self {
        let components = Arc::new(strict(document["components"].clone()));
        let paths = entries(&document["paths"]).map(|(template, calls)| {
            let calls = entries(calls).map(|(method, call)| {
                (method.to_ascii_uppercase(), responses(&call["responses"], &components))
            });
            (template.clone(), calls.collect())
        });
        let problem = json!({"$ref": "#/components/schemas/Problem"});
        Self { paths: paths.collect(), problem: Described::new(&problem, &components) }
    }

    fn path(&self, path: &str) -> Option<&HashMap<String, Responses>> {
        let found = self.paths.iter().find(|(template, _)| is_of(template, path));
        found.map(|(_, calls)| calls)
    }

    fn fault(&self, said: Said<'_>) -> Option<String> {
        // Browsers ask before they call, any path.
        if said.method == "OPTIONS" {
            let is_let_in = said.status == 204;
            return if is_let_in { None } else { self.refusal(said, &[403, 404, 405]) };
        }
        let path = said.path.split('?').next().unwrap_or_default();
        let Some(calls) = self.path(path) else { return self.refusal(said, &[404]) };
        let described = if said.method == "HEAD" { "GET" } else { said.method };
        let Some(responses) = calls.get(described) else {
            return self.refusal(said, &[405]);
        };
        let Some(kinds) = responses.get(&said.status) else {
            // One address of a node need not take what another does.
            if said.body["detail"] == NO_PATH {
                return self.refusal(said, &[404]);
            }
            return Some("the status is not described".to_owned());
        };
        if said.method == "HEAD" {
            return None;
        }
        fault_of_body(said, kinds)
    }

    /// What is refused wherever it is asked; a node that is full refuses anything.
    fn refusal(&self, said: Said<'_>, statuses: &[u16]) -> Option<String> {
        if !statuses.contains(&said.status) && said.status != 503 {
            return Some("the path does not take this".to_owned());
        }
        match said.method == "HEAD" || self.problem.is_valid(said.body) {
            true => None,
            false => Some(self.problem.faults(said.body)),
        }
    }
}

/// Ends the test when an answer is not described, or not like this.
///
/// # Panics
/// Then.
pub(crate) fn check(said: Said<'_>) {
    if said.path.starts_with(UNDESCRIBED) {
        return;
    }
    if let Some(fault) = CALLS.fault(said) {
        let Said { method, path, status, content_type, body } = said;
        panic!(
            "docs/openapi.json has no such answer to {method} {path}: {status} {content_type:?} \
             {body}\n{fault}"
        );
    }
}

fn fault_of_body(said: Said<'_>, kinds: &HashMap<String, Described>) -> Option<String> {
    let kind = said.content_type.map(|kind| kind.split(';').next().unwrap_or(kind));
    let Some(kind) = kind else {
        return (!kinds.is_empty()).then(|| "a body is described".to_owned());
    };
    let Some(described) = kinds.get(kind) else {
        return Some("the content type is not described".to_owned());
    };
    let is_json = kind == JSON || kind == PROBLEM;
    (is_json && !described.is_valid(said.body)).then(|| described.faults(said.body))
}

fn responses(responses: &Value, components: &Arc<Value>) -> Responses {
    let of_status = |(status, response): (&String, &Value)| {
        let content = response["content"].as_object().into_iter().flatten();
        let kinds = content
            .map(|(kind, media)| (kind.clone(), Described::new(&media["schema"], components)));
        (status.parse().expect("a status"), kinds.collect())
    };
    entries(responses).map(of_status).collect()
}

/// Whether a path is one of a template: `/v1/rooms/{room}`.
fn is_of(template: &str, path: &str) -> bool {
    let is_same = |(wanted, part): (&str, &str)| wanted.starts_with('{') || wanted == part;
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(is_same)
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().expect("a map of the document").iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(method: &str, path: &str, status: u16, kind: Option<&str>, body: &Value) -> bool {
        CALLS.fault(Said { method, path, status, content_type: kind, body }).is_some()
    }

    fn problem(status: u16, code: &str) -> Value {
        json!({"type": "urn:x", "title": "x", "status": status, "detail": "x", "code": code})
    }

    #[test]
    fn what_is_described_passes_and_nothing_else() {
        let posted = json!({"room": "r", "seq": 1, "ts": 1, "duplicate": false});
        let more = json!({"room": "r", "seq": 1, "ts": 1, "duplicate": false, "extra": 1});
        let (none, hidden) = (Value::Null, problem(404, "not_found"));
        let messages = "/v1/rooms/r/messages?limit=1";
        for (method, path, status, kind, body, expected) in [
            ("POST", messages, 201, Some(JSON), &posted, false),
            ("POST", messages, 202, Some(JSON), &posted, true),
            ("POST", messages, 201, Some("text/plain"), &posted, true),
            ("POST", messages, 201, Some(JSON), &more, true),
            ("POST", messages, 201, None, &none, true),
            ("POST", messages, 404, Some(PROBLEM), &hidden, false),
            ("POST", messages, 404, Some(PROBLEM), &problem(404, "full"), true),
            ("PUT", messages, 405, Some(PROBLEM), &problem(405, "invalid"), false),
            ("PUT", messages, 201, Some(JSON), &posted, true),
            ("GET", "/v2/me", 404, Some(PROBLEM), &hidden, false),
            ("GET", "/v2/me", 200, Some(JSON), &posted, true),
            ("POST", "/v1/logout", 204, None, &none, false),
            ("OPTIONS", "/v1/me", 204, None, &none, false),
        ] {
            assert_eq!(fault(method, path, status, kind, body), expected, "{method} {path} {body}");
        }
    }
}
