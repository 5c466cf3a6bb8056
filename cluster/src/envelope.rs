//! What every message of the bus is wrapped in.
//!
//! MessagePack, a map by name: a field that is not known is passed over, so that nodes of two versions
//! understand each other while a cluster is brought up to date one by one. What a version can only
//! misunderstand counts `v` up, and is ignored below it.

use crate::{NodeName, Peer};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{borrow::Cow, fmt};

/// What this node speaks.
pub const VERSION: u32 = 1;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbered events of a room, or its heads alone.
    Batch,
    /// What a room's readers hear of and nobody keeps.
    Ephemeral,
    /// See `Topic::Heartbeat`.
    Heartbeat,
    /// See `Topic::Notice`.
    Notice,
    /// To one node.
    Question,
    /// To the one that asked.
    Answer,
    /// A node's word to itself: what it says there is heard.
    Probe,
}

impl Kind {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Batch, "batch"),
        (Self::Ephemeral, "ephemeral"),
        (Self::Heartbeat, "heartbeat"),
        (Self::Notice, "notice"),
        (Self::Question, "question"),
        (Self::Answer, "answer"),
        (Self::Probe, "probe"),
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Who says it.
    pub from: Peer,
    /// What it is.
    pub kind: Kind,
    /// Tells what follows from one request apart; 0 = nothing to follow.
    pub trace: u64,
    /// What is said.
    pub body: Bytes,
}

/// Why a message is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer node says what this one cannot understand.
    #[error("version {0} of the envelope is newer than {VERSION}")]
    Newer(u32),
    /// A newer node says something of a kind that is not known here.
    #[error("an unknown kind of message")]
    UnknownKind,
    /// No node says that.
    #[error("not a message of a node")]
    Junk,
}

/// As it is written: named fields.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    v: u32,
    #[serde(borrow)]
    from: Cow<'a, str>,
    incarnation: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    trace: u64,
    #[serde(borrow)]
    body: Raw<'a>,
}

/// The one field that every version has.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl Envelope {
    /// As bytes.
    pub fn encode(from: &Peer, kind: Kind, trace: u64, body: &[u8]) -> Bytes {
        let written = Written {
            v: VERSION,
            from: from.name.as_str().into(),
            incarnation: from.incarnation,
            kind: kind.name().into(),
            trace,
            body: Raw(body),
        };
        rmp_serde::to_vec_named(&written).expect("strings, numbers and bytes can be written").into()
    }

    /// What is left of `bytes` for the body of a message with an envelope of `from`.
    pub fn room_for_body(from: &Peer, bytes: usize) -> usize {
        // Beside the name: the map and its keys, 40 bytes; v, 5; incarnation and trace, 9 each; the
        // longest kind, 10; lengths of the name and of the body, 7.
        bytes.saturating_sub(from.name.as_str().len() + 80)
    }

    /// Reads what [`Envelope::encode`], of this or of another version, wrote. The body shares the
    /// memory of `bytes`.
    pub fn decode(bytes: &Bytes) -> Result<Self, Unreadable> {
        let Ok(written) = rmp_serde::from_slice::<Written<'_>>(bytes) else {
            return Err(match rmp_serde::from_slice::<Versioned>(bytes) {
                Ok(Versioned { v }) if v > VERSION => Unreadable::Newer(v),
                _ => Unreadable::Junk,
            });
        };
        if written.v > VERSION {
            return Err(Unreadable::Newer(written.v));
        }
        let name = NodeName::new(&written.from).map_err(|_| Unreadable::Junk)?;
        Ok(Self {
            from: Peer { name, incarnation: written.incarnation },
            kind: Kind::named(&written.kind).ok_or(Unreadable::UnknownKind)?,
            trace: written.trace,
            body: bytes.slice_ref(written.body.0),
        })
    }
}

/// Bytes that are written as such, and borrowed when read.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;
        impl<'de> de::Visitor<'de> for Borrowed {
            type Value = Raw<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Raw(bytes))
            }
        }
        deserializer.deserialize_bytes(Borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn peer(incarnation: u64) -> Peer {
        Peer { name: NodeName::new("a").unwrap(), incarnation }
    }

    /// What a later version may say: a number where there was a text, and more fields.
    #[derive(Serialize)]
    struct Later {
        v: u32,
        from: u64,
        more: Vec<u8>,
    }

    #[derive(Serialize)]
    struct More<'a> {
        more: [(u8, &'a str); 1],
        #[serde(flatten)]
        written: Written<'a>,
    }

    #[test]
    fn newer_versions_are_told_from_junk() {
        let later = Later { v: 2, from: 1, more: vec![1] };
        let bytes = Bytes::from(rmp_serde::to_vec_named(&later).unwrap());
        assert_eq!(Envelope::decode(&bytes), Err(Unreadable::Newer(2)));
        assert_eq!(Envelope::decode(&Bytes::from_static(b"hello")), Err(Unreadable::Junk));
        assert_eq!(Envelope::decode(&Bytes::new()), Err(Unreadable::Junk));
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        let from = Cow::from("a");
        let body = Raw(b"body");
        let kind = Cow::from("notice");
        let written = Written { v: 1, from, incarnation: 7, kind, trace: 0, body };
        let bytes = rmp_serde::to_vec_named(&More { more: [(1, "x")], written }).unwrap();
        let body = Bytes::from_static(b"body");
        let known = Envelope { from: peer(7), kind: Kind::Notice, trace: 0, body };
        assert_eq!(Envelope::decode(&bytes.into()), Ok(known));
    }

    #[test]
    fn kinds_have_their_own_names() {
        for (kind, name) in Kind::ALL {
            assert_eq!((kind.name(), Kind::named(name)), (name, Some(kind)));
        }
        let written = Written {
            v: 1,
            from: "a".into(),
            incarnation: 1,
            kind: "gossip".into(),
            trace: 0,
            body: Raw(b""),
        };
        let bytes = rmp_serde::to_vec_named(&written).unwrap();
        assert_eq!(Envelope::decode(&bytes.into()), Err(Unreadable::UnknownKind));
    }

    proptest! {
        #[test]
        fn text_and_back(
            incarnation: u64, trace: u64, body: Vec<u8>, kind in 0..Kind::ALL.len(),
            name in "[A-Za-z0-9_-]{1,64}",
        ) {
            let (kind, _) = Kind::ALL[kind];
            let from = Peer { name: NodeName::new(&name).unwrap(), incarnation };
            let bytes = Envelope::encode(&from, kind, trace, &body);
            let room = Envelope::room_for_body(&from, bytes.len());
            prop_assert!(room <= body.len(), "{} of {}", room, body.len());
            let body = Bytes::from(body);
            prop_assert_eq!(Envelope::decode(&bytes), Ok(Envelope { from, kind, trace, body }));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Envelope::decode(&bytes.into());
        }

        #[test]
        fn no_damage_makes_it_panic(at: prop::sample::Index, to: u8, end: prop::sample::Index) {
            let mut bytes = Envelope::encode(&peer(3), Kind::Batch, 9, b"what is said").to_vec();
            let at = at.index(bytes.len());
            bytes[at] = to;
            bytes.truncate(end.index(bytes.len() + 1));
            let _ = Envelope::decode(&bytes.into());
        }
    }
}
