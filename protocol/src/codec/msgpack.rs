//! MessagePack binary frames: maps with string keys, integers of any width.

use super::{DecodeError, fields::Fields, tree};
use crate::{Request, frame::NodeFrame, limits::DEPTH_MAX};
use rmp::Marker;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use std::fmt;

/// Appends the frame's MessagePack.
pub fn encode(frame: &NodeFrame, buffer: &mut Vec<u8>) {
    let mut serializer = rmp_serde::Serializer::new(buffer).with_struct_map();
    frame.serialize(&mut serializer).expect("frames are maps with string keys");
}

/// Reads one client frame.
///
/// A walk over the bytes, which takes no memory, finds out whether they are one map at all; only
/// then are they read, the fast way as in JSON: all fields in one pass, and again as a tree only
/// when one of them has the wrong type.
pub fn decode(bytes: &[u8]) -> Result<Request, DecodeError> {
    let mut walk = Walk { rest: bytes, has_foreign: false };
    if walk.map().is_none() || !walk.rest.is_empty() {
        return Err(DecodeError::Undecodable);
    }
    // Bytes would pass for text on the fast way.
    if !walk.has_foreign
        && let Ok(fields) = rmp_serde::from_slice::<Fields<'_>>(bytes)
    {
        return fields.into_request();
    }
    match rmp_serde::from_slice(bytes) {
        Ok(Tree(Value::Object(map))) => tree::decode(map),
        Ok(_) | Err(_) => Err(DecodeError::Undecodable),
    }
}

/// A walk over bytes. Everything gives `None` where they are no MessagePack, hold a key or a text
/// that is none, or are nested too deep. What a header announces is only ever compared with the
/// bytes that are there.
struct Walk<'a> {
    rest: &'a [u8],
    /// Bytes or an extension were met.
    has_foreign: bool,
}

impl<'a> Walk<'a> {
    fn map(&mut self) -> Option<()> {
        match self.marker()? {
            marker @ (Marker::FixMap(_) | Marker::Map16 | Marker::Map32) => {
                self.value(marker, DEPTH_MAX)
            }
            _ => None,
        }
    }

    /// What follows a marker; `levels` is how many may be nested here.
    fn value(&mut self, marker: Marker, levels: usize) -> Option<()> {
        match marker {
            Marker::Reserved => None,
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {
                Some(())
            }
            Marker::U8 | Marker::I8 => self.skip(1),
            Marker::U16 | Marker::I16 => self.skip(2),
            Marker::U32 | Marker::I32 | Marker::F32 => self.skip(4),
            Marker::U64 | Marker::I64 | Marker::F64 => self.skip(8),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.text(marker),
            Marker::Bin8 => self.foreign(1, 0),
            Marker::Bin16 => self.foreign(2, 0),
            Marker::Bin32 => self.foreign(4, 0),
            // One byte more than their length says which extension it is.
            Marker::Ext8 => self.foreign(1, 1),
            Marker::Ext16 => self.foreign(2, 1),
            Marker::Ext32 => self.foreign(4, 1),
            Marker::FixExt1 => self.foreign(0, 1 + 1),
            Marker::FixExt2 => self.foreign(0, 1 + 2),
            Marker::FixExt4 => self.foreign(0, 1 + 4),
            Marker::FixExt8 => self.foreign(0, 1 + 8),
            Marker::FixExt16 => self.foreign(0, 1 + 16),
            Marker::FixArray(count) => self.items(count.into(), levels),
            Marker::Array16 => self.length(2).and_then(|count| self.items(count, levels)),
            Marker::Array32 => self.length(4).and_then(|count| self.items(count, levels)),
            Marker::FixMap(count) => self.entries(count.into(), levels),
            Marker::Map16 => self.length(2).and_then(|count| self.entries(count, levels)),
            Marker::Map32 => self.length(4).and_then(|count| self.entries(count, levels)),
        }
    }

    fn items(&mut self, count: usize, levels: usize) -> Option<()> {
        let inside = levels.checked_sub(1)?;
        for _ in 0..count {
            let marker = self.marker()?;
            self.value(marker, inside)?;
        }
        Some(())
    }

    fn entries(&mut self, count: usize, levels: usize) -> Option<()> {
        let inside = levels.checked_sub(1)?;
        for _ in 0..count {
            let key = self.marker()?;
            self.text(key)?;
            let marker = self.marker()?;
            self.value(marker, inside)?;
        }
        Some(())
    }

    fn text(&mut self, marker: Marker) -> Option<()> {
        let length = match marker {
            Marker::FixStr(length) => length.into(),
            Marker::Str8 => self.length(1)?,
            Marker::Str16 => self.length(2)?,
            Marker::Str32 => self.length(4)?,
            _ => return None,
        };
        std::str::from_utf8(self.take(length)?).ok().map(|_| ())
    }

    /// Its length is written in so many bytes, and `more` bytes come on top.
    fn foreign(&mut self, length_bytes: usize, more: usize) -> Option<()> {
        self.has_foreign = true;
        let length = self.length(length_bytes)?;
        self.skip(length.checked_add(more)?)
    }

    fn marker(&mut self) -> Option<Marker> {
        self.take(1).map(|byte| Marker::from_u8(byte[0]))
    }

    /// A length of so many bytes, at most four, big endian.
    fn length(&mut self, bytes: usize) -> Option<usize> {
        let bytes = self.take(bytes)?;
        Some(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }
}

/// A value as JSON would have it.
struct Tree(Value);

/// What JSON has no word for becomes a value that is wrong in every field.
fn foreign() -> Value {
    Value::from(0.5)
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(foreign())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Value, E> {
        Ok(foreign())
    }

    /// An extension.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inside: D) -> Result<Value, D::Error> {
        IgnoredAny::deserialize(inside).map(|_| foreign())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(value)) = items.next_element()? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, Tree(value))) = entries.next_entry()? {
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
