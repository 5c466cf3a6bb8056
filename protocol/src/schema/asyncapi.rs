//! The AsyncAPI 3 document: what is said over a WebSocket, both ways. `docs/asyncapi.yaml` is this,
//! written down.

use super::Schemas;
use crate::{
    codec::wire::{Described, OPERATIONS},
    frame::NodeFrame,
};
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// The channel every message belongs to.
const CHANNEL: &str = "#/channels/connection";
/// The frame that answers what was not done.
const ERROR: &str = "ErrorFrame";

/// The whole document.
pub fn document() -> Value {
    let mut parts = Parts::default();
    parts.schemas.add_parts(NodeFrame::schemas);
    for operation in &OPERATIONS {
        parts.client_says(operation);
    }
    for frame in frames(&parts.schemas) {
        parts.node_says(frame);
    }
    let Parts { schemas, messages, operations } = parts;
    let in_channel = messages.keys().map(|name| (name.clone(), message(name)));
    let in_channel: Map<String, Value> = in_channel.collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Madang, WebSocket",
            "version": "1",
            "description": "One operation per frame, JSON or MessagePack by subprotocol. The \
                meaning of each is in protocol.md; unknown fields are to be ignored by both sides.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "node": {
                "host": "localhost:8080",
                "protocol": "ws",
                "description": "A node as it starts without settings; wss where it has a certificate.",
            },
        },
        "channels": {
            "connection": {
                "address": "/v1/ws",
                "description": "Subprotocol madang.v1.json (text frames, also when none is offered) \
                    or madang.v1.msgpack (binary frames).",
                "messages": in_channel,
                "bindings": {"ws": {"method": "GET"}},
            },
        },
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.into_value()},
    })
}

#[derive(Default)]
struct Parts {
    schemas: Schemas,
    messages: Map<String, Value>,
    operations: Map<String, Value>,
}

impl Parts {
    fn client_says(&mut self, operation: &Described) {
        let Described { op, schema, parts, ok } = operation;
        self.schemas.add_parts(parts);
        let mut schema = self.schemas.plain(schema());
        schema["properties"]["op"] = json!({"type": "string", "enum": [op]});
        schema["properties"]["id"] = json!({
            "type": "integer",
            "minimum": 0,
            "maximum": crate::limits::NUMBER_END - 1,
            "description": "Repeated by the answer. Without it only a failure is answered.",
        });
        let required = schema.as_object_mut().expect("a schema").entry("required");
        let required = required.or_insert(json!([])).as_array_mut().expect("a list of names");
        required.insert(0, json!("op"));
        let name = format!("{}Request", capitalised(op));
        self.message(&name, schema);
        let reply = [ok, ERROR].map(in_channel);
        self.operations.insert(
            format!("client_{op}"),
            json!({
                "action": "receive",
                "channel": {"$ref": CHANNEL},
                "messages": [in_channel(&name)],
                "reply": {"channel": {"$ref": CHANNEL}, "messages": reply},
            }),
        );
    }

    fn node_says(&mut self, frame: Value) {
        let op = frame["properties"]["op"]["enum"][0].as_str().expect("frames are named");
        // Answers are named after what they answer, the others after themselves.
        let name = match frame["title"].as_str() {
            Some(title) => title.to_owned(),
            None => format!("{}Frame", capitalised(op)),
        };
        if op != "ok" {
            self.operations.insert(
                format!("node_{op}"),
                json!({
                    "action": "send",
                    "channel": {"$ref": CHANNEL},
                    "messages": [in_channel(&name)],
                }),
            );
        }
        self.message(&name, frame);
    }

    fn message(&mut self, name: &str, schema: Value) {
        let mut message = json!({"name": schema["properties"]["op"]["enum"][0]});
        if let Some(summary) = schema["description"].as_str() {
            message["summary"] = json!(summary);
        }
        if !schema["properties"]["id"].is_null() {
            message["correlationId"] = json!({"location": "$message.payload#/id"});
        }
        message["payload"] = self.schemas.put(name.to_owned(), schema);
        self.messages.insert(name.to_owned(), message);
    }
}

/// What a node says, one schema a frame.
fn frames(schemas: &Schemas) -> Vec<Value> {
    let Value::Object(mut all) = schemas.plain(NodeFrame::schema()) else { return Vec::new() };
    let Some(Value::Array(frames)) = all.remove("oneOf") else { return Vec::new() };
    frames.into_iter().map(|frame| schemas.merged(frame)).collect()
}

fn message(name: &str) -> Value {
    json!({"$ref": format!("#/components/messages/{name}")})
}

fn in_channel(name: &str) -> Value {
    json!({"$ref": format!("{CHANNEL}/messages/{name}")})
}

fn capitalised(op: &str) -> String {
    let (first, rest) = op.split_at(1);
    format!("{}{rest}", first.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorCode, Refusal};

    #[test]
    fn every_operation_and_every_frame_is_there() {
        let document = document();
        for operation in &OPERATIONS {
            let reply = &document["operations"][format!("client_{}", operation.op)]["reply"];
            let answer = reply["messages"][0]["$ref"].as_str().unwrap();
            let name = answer.rsplit('/').next().unwrap();
            assert!(document["components"]["messages"][name].is_object(), "{name}");
            assert!(document["channels"]["connection"]["messages"][name].is_object(), "{name}");
        }
        let refused = NodeFrame::refusal(None, Refusal::new(ErrorCode::Invalid, "no"));
        let told = format!("node_{}", refused.name());
        assert_eq!(document["operations"][told]["action"], "send");
        assert_eq!(
            document["components"]["schemas"][ERROR]["required"],
            json!(["code", "message", "op"])
        );
    }
}
