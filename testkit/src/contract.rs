//! What a node says, against the documents it is described by: `docs/asyncapi.yaml` for frames,
//! `docs/openapi.json` for HTTP. Every frame and every answer the kit's clients receive is looked up
//! there; one that is not described ends the test.
//!
//! Clients must ignore fields they do not know. Here they are a fault: the documents and the node
//! are of one version.

mod frames;
mod http;

pub(crate) use frames::Asked;
pub(crate) use http::{Said, check as check_answer};

use jsonschema::Validator;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};

/// A schema of a document, compiled when it is first needed.
#[derive(Debug)]
struct Described {
    schema: Value,
    /// What it may refer to.
    components: Arc<Value>,
    validator: OnceLock<Validator>,
}

impl Described {
    /// A schema, and the `components` of its document.
    fn new(schema: &Value, components: &Arc<Value>) -> Self {
        Self {
            schema: strict(schema.clone()),
            components: components.clone(),
            validator: OnceLock::new(),
        }
    }

    fn is_valid(&self, value: &Value) -> bool {
        self.validator().is_valid(value)
    }

    /// What is wrong with a value, a line each.
    fn faults(&self, value: &Value) -> String {
        let faults = self.validator().iter_errors(value);
        let lines =
            faults.map(|fault| format!("  at {:?}: {fault}", fault.instance_path().as_str()));
        lines.collect::<Vec<_>>().join("\n")
    }

    fn validator(&self) -> &Validator {
        let compile = || {
            let whole = json!({"allOf": [&self.schema], "components": &*self.components});
            let compiled = jsonschema::draft202012::new(&whole);
            compiled.unwrap_or_else(|error| panic!("a document holds a broken schema: {error}"))
        };
        self.validator.get_or_init(compile)
    }
}

/// The same schema, with objects that hold what is described and nothing else.
fn strict(schema: Value) -> Value {
    match schema {
        Value::Array(items) => items.into_iter().map(strict).collect(),
        Value::Object(keywords) => {
            let is_closed = keywords.get("type") == Some(&json!("object"))
                && keywords.contains_key("properties");
            let mut keywords: serde_json::Map<String, Value> =
                keywords.into_iter().map(|(key, value)| (key, strict(value))).collect();
            if is_closed {
                keywords.entry("additionalProperties").or_insert(json!(false));
            }
            Value::Object(keywords)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_hold_what_is_described() {
        let schema = json!({"$ref": "#/components/schemas/Pair"});
        let pair = json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "integer"},
            "b": {"type": "object", "additionalProperties": {"type": "integer"}},
        }});
        let components = Arc::new(strict(json!({"schemas": {"Pair": pair}})));
        let described = Described::new(&schema, &components);
        assert!(described.is_valid(&json!({"a": 1, "b": {"x": 1}})));
        for wrong in [json!({}), json!({"a": "x"}), json!({"a": 1, "c": 1}), json!({"a": null})] {
            assert!(!described.is_valid(&wrong), "{wrong}");
            assert!(!described.faults(&wrong).is_empty());
        }
    }
}
