//! `GET /openapi.json`: the calls, as OpenAPI 3.1. Made from the types of the answers and from the
//! table in [`calls`]; `docs/openapi.json` is this, written down.

pub mod bodies;
mod calls;

use super::{
    accounts::{Me, StartedObject, Users},
    answer::{self, Response},
    members::Joined,
    messages::{Messages, Posted},
    monitoring::{Alive, Readiness},
    problem,
    readers::Readers,
    rooms::{Members, Rooms},
};
use calls::{CALLS, Call, Who};
use hyper::StatusCode;
use madang_protocol::{
    ErrorCode,
    object::RoomObject,
    schema::{Schemas, reference},
};
use serde_json::{Map, Value, json, value::RawValue};
use std::{collections::BTreeMap, sync::LazyLock};

static SERVED: LazyLock<Box<RawValue>> = LazyLock::new(|| {
    serde_json::value::to_raw_value(&document()).expect("a document is a map with string keys")
});

/// Answers with the document; it is made once.
pub(super) fn serve() -> Response {
    answer::json(StatusCode::OK, &*SERVED)
}

/// The whole document.
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for call in &CALLS {
        let path = paths.entry(call.path).or_insert_with(|| json!({}));
        path[call.method] = operation(call);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Madang, HTTP",
            "version": "1",
            "description": "The meaning of each call is in protocol.md. Unknown fields are to be \
                ignored by both sides; a null counts as absent. Any path answers 405 with Allow to \
                methods it does not take.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The node that serves this document."}],
        "paths": paths,
        "components": {"schemas": schemas().into_value(), "securitySchemes": {
            "session": {
                "type": "http",
                "scheme": "bearer",
                "description": "The token that signup, login or tokens answered.",
            },
            "api_key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key of the node's configuration.",
            },
        }},
    })
}

/// Every schema a call refers to.
fn schemas() -> Schemas {
    let mut schemas = Schemas::default();
    schemas.add::<problem::Body<'_>>();
    schemas.add::<RoomObject>();
    schemas.add::<StartedObject<'_>>();
    schemas.add::<Me>();
    schemas.add::<Users>();
    schemas.add::<Joined>();
    schemas.add::<Messages>();
    schemas.add::<Posted>();
    schemas.add::<Rooms>();
    schemas.add::<Members>();
    schemas.add::<Readers>();
    schemas.add::<Alive>();
    schemas.add::<Readiness<'_>>();
    bodies::add_to(&mut schemas);
    schemas
}

fn operation(call: &Call) -> Value {
    let in_path =
        call.path.split(['{', '}']).skip(1).step_by(2).map(|name| parameter(name, "path"));
    let in_query = call.query.iter().map(|name| parameter(name, "query"));
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let mut operation = json!({
        "operationId": call.id,
        "summary": call.summary,
        "parameters": parameters,
        "responses": responses(call),
        "security": match call.who {
            Who::Anybody => json!([]),
            Who::User => json!([{"session": []}]),
            Who::Product => json!([{"api_key": []}]),
        },
    });
    if let Some(body) = call.body {
        let content = json!({"application/json": {"schema": reference(body)}});
        operation["requestBody"] = json!({"required": true, "content": content});
    }
    operation
}

fn parameter(name: &str, place: &str) -> Value {
    let number =
        |minimum: u64| json!({"type": "integer", "minimum": minimum, "maximum": (1_u64 << 53) - 1});
    let (schema, meaning) = match name {
        "room" => (reference("RoomId"), "Which room."),
        "user" => (reference("UserId"), "Which user."),
        "seq" => (number(1), "Which message."),
        "limit" => (
            json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
            "How many items at most.",
        ),
        "cursor" => (json!({"type": "string"}), "From the page before: go on behind it."),
        "before" => (number(0), "The newest below this seq. Not together with after."),
        "after" => (number(0), "The oldest above this seq. Not together with before."),
        "ids" => (json!({"type": "string"}), "1 to 200 users, separated by commas."),
        "usernames" => (json!({"type": "string"}), "1 to 200 usernames, separated by commas."),
        "ban" => (json!({"type": "boolean", "default": false}), "Also keep the user out."),
        _ => (json!({"type": "string"}), ""),
    };
    let required = place == "path";
    json!({"name": name, "in": place, "required": required, "schema": schema, "description": meaning})
}

fn responses(call: &Call) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, codes) in problems(call) {
        responses.insert(status.to_string(), problem_response(status, &codes));
    }
    for answer in call.answers {
        let response = &mut responses.entry(answer.status.to_string()).or_insert(json!({}));
        let before =
            response["description"].as_str().map_or(String::new(), |text| format!("; or {text}"));
        response["description"] = json!(format!("{}{before}", answer.meaning));
        if let Some((kind, schema)) = answer.content() {
            response["content"][kind] = json!({"schema": schema});
        }
    }
    responses
}

/// The codes a call may be refused with, by status.
fn problems(call: &Call) -> BTreeMap<u16, Vec<ErrorCode>> {
    let mut codes = call.codes.to_vec();
    codes.extend([ErrorCode::Internal, ErrorCode::Overloaded, ErrorCode::Unavailable]);
    if call.who != Who::Anybody {
        codes.push(ErrorCode::Unauthenticated);
    }
    if call.body.is_some() {
        codes.extend([ErrorCode::Invalid, ErrorCode::TooLarge]);
    }
    codes.sort_unstable_by_key(|code| code.name());
    codes.dedup();
    let mut problems: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for code in codes {
        problems.entry(code.http_status()).or_default().push(code);
    }
    if call.body.is_some() {
        problems.insert(CONTENT_TYPE_STATUS, vec![ErrorCode::Invalid]);
    }
    problems
}

/// The body is not JSON by its content type.
const CONTENT_TYPE_STATUS: u16 = 415;

fn problem_response(status: u16, codes: &[ErrorCode]) -> Value {
    let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
    let schema = json!({
        "allOf": [reference("Problem"), {"properties": {"code": {"enum": names}}}],
    });
    let mut response = json!({
        "description": names.join(", "),
        "content": {"application/problem+json": {"schema": schema}},
    });
    if matches!(status, 429 | 503) {
        response["headers"] = json!({"Retry-After": {
            "description": "retry_after_ms in whole seconds, rounded up.",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        }});
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{
        super::route::{Route, TEMPLATES, UNKNOWN},
        *,
    };

    #[test]
    fn every_route_of_clients_is_described() {
        let document = document();
        let is_described =
            |template: &&str| *template != UNKNOWN && !template.starts_with("/admin");
        for template in TEMPLATES.into_iter().filter(is_described) {
            let route = Route::of(template).expect("a template is a route");
            for method in route.methods().split(", ").filter(|method| *method != "HEAD") {
                let call = &document["paths"][template][method.to_ascii_lowercase()];
                assert!(call.is_object(), "{method} {template}");
            }
        }
    }

    #[test]
    fn every_call_described_is_a_route() {
        for call in &CALLS {
            let route = Route::of(call.path).expect("a path that is described is a route");
            let method = call.method.to_ascii_uppercase();
            assert_eq!(route.template(), call.path);
            assert!(route.methods().split(", ").any(|known| known == method), "{}", call.id);
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let mut rest = vec![&document];
        while let Some(value) = rest.pop() {
            if let Some(name) = value.get("$ref").and_then(Value::as_str) {
                let target = document.pointer(name.trim_start_matches('#'));
                assert!(target.is_some(), "{name}");
            }
            match value {
                Value::Array(items) => rest.extend(items),
                Value::Object(fields) => rest.extend(fields.values()),
                _ => {}
            }
        }
    }
}
