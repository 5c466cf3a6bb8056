//! The slow way to a request, for frames that hold a field of the wrong type: as a tree, in which a
//! wrong field of the operation is told from one the operation does not know.

use super::{
    DecodeError,
    fields::{Fields, known_fields, unknown_op},
};
use crate::{Refusal, Request, limits::NUMBER_END};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a map asks for. Of a key that was there twice, codecs give the last.
pub(super) fn decode(mut map: Map<String, Value>) -> Result<Request, DecodeError> {
    map.retain(|_, value| !value.is_null());
    let id = map.get("id").and_then(Value::as_u64).filter(|id| *id < NUMBER_END);
    let refused = |refusal| Err(DecodeError::Refused { id, refusal });
    let fields = match map.get("op") {
        Some(Value::String(op)) => known_fields(op),
        Some(_) => return refused(Refusal::invalid("op", "must be a string")),
        None => return refused(Refusal::invalid("op", "missing")),
    };
    let Some(fields) = fields else {
        return refused(unknown_op());
    };
    map.retain(|key, _| key == "op" || key == "id" || fields.contains(&key.as_str()));
    if let Some(field) = wrong_field(&map) {
        return refused(Refusal::invalid(field, "has the wrong type or is out of range"));
    }
    match Fields::deserialize(&Value::Object(map)) {
        Ok(fields) => fields.into_request(),
        Err(_) => refused(Refusal::invalid("frame", "has a wrong field")),
    }
}

/// The first field that cannot be read on its own.
fn wrong_field(map: &Map<String, Value>) -> Option<String> {
    map.iter().find_map(|(key, value)| {
        let alone = Value::Object([(key.clone(), value.clone())].into_iter().collect());
        Fields::deserialize(&alone).is_err().then(|| key.clone())
    })
}
