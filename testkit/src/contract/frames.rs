//! Frames, against `docs/asyncapi.yaml`.

use super::{Described, strict};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

static FRAMES: LazyLock<Frames> = LazyLock::new(|| {
    let document = include_str!("../../../docs/asyncapi.yaml");
    Frames::of(&serde_saphyr::from_str(document).expect("docs/asyncapi.yaml is YAML"))
});

/// What a node may say.
struct Frames {
    /// By the name of the message.
    messages: HashMap<String, Described>,
    /// Names of the messages a node sends unasked, by `op`; also of `error`.
    told: HashMap<String, String>,
    /// Names of the messages that answer an operation.
    answers: HashMap<String, String>,
}

impl Frames {
    fn of(document: &Value) -> Self {
        let components = Arc::new(strict(document["components"].clone()));
        let described = entries(&document["components"]["messages"]).map(|(name, message)| {
            (name.clone(), Described::new(&message["payload"], &components))
        });
        let (mut told, mut answers) = (HashMap::new(), HashMap::new());
        for (name, operation) in entries(&document["operations"]) {
            if let Some(op) = name.strip_prefix("node_") {
                told.insert(op.to_owned(), last_of(&operation["messages"][0]));
            } else if let Some(op) = name.strip_prefix("client_") {
                answers.insert(op.to_owned(), last_of(&operation["reply"]["messages"][0]));
            }
        }
        Self { messages: described.collect(), told, answers }
    }

    /// The messages a frame may be.
    fn candidates(&self, frame: &Value, asked: &[String]) -> Vec<&Described> {
        let op = frame["op"].as_str().unwrap_or_default();
        let names: Vec<&String> = match (op, asked) {
            ("ok", []) => self.answers.values().collect(),
            ("ok", asked) => asked.iter().filter_map(|op| self.answers.get(op)).collect(),
            (op, _) => self.told.get(op).into_iter().collect(),
        };
        names.into_iter().map(|name| &self.messages[name]).collect()
    }
}

/// What one connection has asked for, so that an `ok` is held to what it answers.
#[derive(Debug, Default)]
pub(crate) struct Asked(HashMap<u64, Vec<String>>);

impl Asked {
    /// A request is sent.
    pub(crate) fn note(&mut self, request: &Value) {
        if let (Some(id), Some(op)) = (request["id"].as_u64(), request["op"].as_str()) {
            let ops = self.0.entry(id).or_default();
            if !ops.iter().any(|known| known == op) {
                ops.push(op.to_owned());
            }
        }
    }

    /// A frame has come.
    ///
    /// # Panics
    /// When it is not described, or not like this.
    pub(crate) fn check(&self, frame: &Value) {
        let asked = frame["id"].as_u64().and_then(|id| self.0.get(&id));
        let asked = asked.map_or(&[][..], Vec::as_slice);
        let candidates = FRAMES.candidates(frame, asked);
        if candidates.iter().any(|candidate| candidate.is_valid(frame)) {
            return;
        }
        let faults: Vec<String> = candidates.iter().map(|each| each.faults(frame)).collect();
        panic!(
            "docs/asyncapi.yaml has no such frame: {frame}, asked {asked:?}\n{}",
            faults.join("\n")
        );
    }
}

fn entries(map: &Value) -> impl Iterator<Item = (&String, &Value)> {
    map.as_object().expect("a map of the document").iter()
}

/// What a reference refers to, by its last name.
fn last_of(reference: &Value) -> String {
    let path = reference["$ref"].as_str().expect("a reference");
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ROOM: &str = "AAAAAAAAAAAAAAAAAAAA";

    fn asked(op: &str) -> Asked {
        let mut asked = Asked::default();
        asked.note(&json!({"op": op, "id": 1}));
        asked
    }

    #[test]
    fn what_is_described_passes() {
        asked("typing").check(&json!({"op": "ok", "id": 1, "room": ROOM}));
        Asked::default().check(&json!({"op": "ok", "id": 1, "room": ROOM}));
        asked("send").check(&json!({"op": "error", "id": 1, "code": "invalid", "message": "no"}));
        asked("ping").check(&json!({"op": "typing", "room": ROOM, "users": []}));
    }

    #[test]
    #[should_panic(expected = "no such frame")]
    fn an_unknown_op_is_noticed() {
        Asked::default().check(&json!({"op": "dance"}));
    }

    #[test]
    #[should_panic(expected = "extra")]
    fn a_field_more_is_noticed() {
        Asked::default().check(&json!({"op": "typing", "room": ROOM, "users": [], "extra": 1}));
    }

    #[test]
    #[should_panic(expected = "no such frame")]
    fn the_answer_of_another_operation_is_noticed() {
        asked("send").check(&json!({"op": "ok", "id": 1, "room": ROOM}));
    }
}
