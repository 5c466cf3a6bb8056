//! Frames as bytes and back, by libraries of the kit's own. Tests see plain JSON values in either
//! codec.

use crate::{
    raw::opcode,
    variant::{Codec, Variant},
};
use rmpv::Value as Packed;
use serde_json::Value;

impl Codec {
    /// The one of this process's variant.
    pub fn current() -> Self {
        Variant::current().codec
    }

    /// The subprotocol that names it.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "madang.v1.json",
            Self::Msgpack => "madang.v1.msgpack",
        }
    }

    /// What the handshake offers for it, if that is needed: JSON is spoken to those who do not say.
    pub(crate) fn offer(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Msgpack => Some(self.subprotocol()),
        }
    }

    /// The frame type it uses.
    pub fn opcode(self) -> u8 {
        match self {
            Self::Json => opcode::TEXT,
            Self::Msgpack => opcode::BINARY,
        }
    }

    /// The payload of a frame.
    pub fn encode(self, value: &Value) -> Vec<u8> {
        match self {
            Self::Json => value.to_string().into_bytes(),
            Self::Msgpack => {
                let mut bytes = Vec::new();
                let written = rmpv::encode::write_value(&mut bytes, &packed(value));
                written.expect("memory can be written to");
                bytes
            }
        }
    }

    /// A frame of the node.
    ///
    /// # Panics
    /// When it is anything a client need not understand.
    pub fn decode(self, payload: &[u8]) -> Value {
        match self {
            Self::Json => serde_json::from_slice(payload).expect("a node speaks JSON"),
            Self::Msgpack => {
                let mut rest = payload;
                let value = rmpv::decode::read_value(&mut rest).expect("a node speaks MessagePack");
                assert!(rest.is_empty(), "{} bytes behind {value}", rest.len());
                plain(value)
            }
        }
    }
}

fn packed(value: &Value) -> Packed {
    match value {
        Value::Null => Packed::Nil,
        Value::Bool(value) => (*value).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().expect("a number").into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => Packed::Array(items.iter().map(packed).collect()),
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| (key.as_str().into(), packed(value));
            Packed::Map(map.iter().map(entry).collect())
        }
    }
}

/// What the protocol allows: maps with string keys, integers, text; no nil, no bytes, no numbers
/// with a point.
fn plain(value: Packed) -> Value {
    match value {
        Packed::Boolean(value) => value.into(),
        Packed::Integer(number) => number.as_u64().expect("a number below 2^53").into(),
        Packed::String(text) => text.into_str().expect("text is UTF-8").into(),
        Packed::Array(items) => items.into_iter().map(plain).collect(),
        Packed::Map(entries) => {
            let entry = |(key, value): (Packed, Packed)| {
                (key.as_str().expect("keys are text").to_owned(), plain(value))
            };
            Value::Object(entries.into_iter().map(entry).collect())
        }
        other => panic!("{other} has no place in a node's frame"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_the_same_again() {
        let value = json!({"a": [1, 70_000, true, "마"], "b": {"c": (1_u64 << 53) - 1}});
        for codec in [Codec::Json, Codec::Msgpack] {
            assert_eq!(codec.decode(&codec.encode(&value)), value);
        }
    }

    #[test]
    fn bytes_are_as_the_specification_has_them() {
        let value = json!({"op": "ping", "id": -1, "x": [null, false, 0.5, 200]});
        let bytes =
            b"\x83\xa2id\xff\xa2op\xa4ping\xa1x\x94\xc0\xc2\xcb\x3f\xe0\0\0\0\0\0\0\xcc\xc8";
        assert_eq!(Codec::Msgpack.encode(&value), bytes);
    }

    #[test]
    #[should_panic(expected = "no place")]
    fn nil_is_noticed() {
        Codec::Msgpack.decode(b"\x81\xa1x\xc0");
    }
}
