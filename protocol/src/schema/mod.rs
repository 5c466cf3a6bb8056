//! What is on the wire, for programs: JSON schemas made from the types, and the AsyncAPI document
//! made from them. The OpenAPI document is made of the same schemas, beside the HTTP calls.
//!
//! What the derives give is brought into the form the wire has: what is absent is absent and never
//! null, numbers are integers below 2^53, and what is flattened is one object.

pub mod asyncapi;

use crate::limits::NUMBER_END;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

/// Where both documents keep schemas.
const PREFIX: &str = "#/components/schemas/";

/// Named schemas, for `components/schemas` of a document.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// Adds a type and all it refers to.
    pub fn add<T: ToSchema>(&mut self) {
        self.insert(T::name().into_owned(), T::schema());
        self.add_parts(T::schemas);
    }

    /// Adds a type that clients send, and all it refers to: what may be absent may be null too.
    pub fn add_asked<T: ToSchema>(&mut self) {
        self.add::<T>();
        let Some(schema) = self.0.get_mut(&*T::name()) else { return };
        let required = schema["required"].clone();
        let Some(properties) = schema["properties"].as_object_mut() else { return };
        for (name, property) in properties {
            if !required.as_array().is_some_and(|required| required.contains(&json!(name))) {
                *property = json!({"anyOf": [property.take(), {"type": "null"}]});
            }
        }
    }

    /// Adds what a type refers to.
    pub fn add_parts(&mut self, parts: impl FnOnce(&mut Vec<(String, RefOr<Schema>)>)) {
        let mut found = Vec::new();
        parts(&mut found);
        for (name, schema) in found {
            self.insert(name, schema);
        }
    }

    /// Adds a schema that is no type of its own; a reference to it.
    pub fn put(&mut self, name: String, schema: Value) -> Value {
        let reference = reference(&name);
        self.0.insert(name, schema);
        reference
    }

    /// A schema in the form of the wire, with what it is made of merged into it.
    pub fn plain(&self, schema: impl Into<RefOr<Schema>>) -> Value {
        let schema = serde_json::to_value(schema.into()).expect("schemas are JSON");
        self.merged(plain(schema))
    }

    /// All of them, by name.
    pub fn into_value(self) -> Value {
        let merged =
            |(name, schema): (&String, &Value)| (name.clone(), self.merged(schema.clone()));
        Value::Object(self.0.iter().map(merged).collect())
    }

    fn insert(&mut self, name: String, schema: RefOr<Schema>) {
        let schema = plain(serde_json::to_value(schema).expect("schemas are JSON"));
        self.0.insert(name, schema);
    }

    /// The one object that `allOf` is about.
    fn merged(&self, schema: Value) -> Value {
        let Value::Object(mut schema) = schema else { return schema };
        let Some(Value::Array(parts)) = schema.remove("allOf") else {
            return Value::Object(schema);
        };
        let mut whole = json!({"type": "object", "properties": {}, "required": []});
        for part in parts {
            let part = match part["$ref"].as_str().and_then(|name| name.strip_prefix(PREFIX)) {
                Some(name) => self.merged(self.0[name].clone()),
                None => self.merged(part),
            };
            extend(&mut whole, part);
        }
        extend(&mut whole, Value::Object(schema));
        whole
    }
}

/// A reference to a schema of this name.
pub fn reference(name: &str) -> Value {
    json!({"$ref": format!("{PREFIX}{name}")})
}

/// Adds the properties of `part`, and lets its other keywords hold.
fn extend(whole: &mut Value, part: Value) {
    let Value::Object(part) = part else { return };
    for (key, value) in part {
        match (&mut whole[&key], value) {
            (Value::Object(known), Value::Object(more)) if key == "properties" => {
                known.extend(more)
            }
            (Value::Array(known), Value::Array(more)) if key == "required" => known.extend(more),
            (known, value) => *known = value,
        }
    }
}

/// The form of the wire, of a schema and all within.
fn plain(schema: Value) -> Value {
    match schema {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(keywords) => {
            let keywords = keywords.into_iter().map(|(key, value)| (key, plain(value)));
            whole_number(not_null(keywords.collect()))
        }
        other => other,
    }
}

/// Without null among what a value may be.
fn not_null(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("oneOf") {
        choices.retain(|choice| choice["type"] != "null");
        if choices.len() == 1 {
            let Some(Value::Object(only)) = choices.pop() else { return schema };
            schema.remove("oneOf");
            schema.extend(only);
        }
    }
    schema
}

/// With the bounds every number has, and without the width it has in memory.
fn whole_number(mut schema: Map<String, Value>) -> Value {
    if schema.get("type").is_some_and(|kind| kind == "integer") {
        schema.remove("format");
        schema.entry("minimum").or_insert(0.into());
        schema.entry("maximum").or_insert((NUMBER_END - 1).into());
    }
    Value::Object(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_is_not_null_and_numbers_are_bounded() {
        let schema = json!({"properties": {
            "name": {"type": ["string", "null"]},
            "seq": {"type": "integer", "format": "int64", "minimum": 1},
            "last": {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Message"}]},
        }});
        let last = NUMBER_END - 1;
        let expected = json!({"properties": {
            "name": {"type": "string"},
            "seq": {"type": "integer", "minimum": 1, "maximum": last},
            "last": {"$ref": "#/components/schemas/Message"},
        }});
        assert_eq!(plain(schema), expected);
    }

    #[test]
    fn what_is_flattened_is_one_object() {
        let mut schemas = Schemas::default();
        let text = json!({"type": "string"});
        schemas.put(
            "Part".to_owned(),
            json!({"type": "object", "required": ["a"], "properties": {"a": text}}),
        );
        let own = json!({"type": "object", "required": ["b"], "properties": {"b": text}});
        let schema = json!({"title": "Both", "allOf": [reference("Part"), own]});
        assert_eq!(
            schemas.merged(schema),
            json!({
                "title": "Both",
                "type": "object",
                "required": ["a", "b"],
                "properties": {"a": text, "b": text},
            })
        );
    }
}
