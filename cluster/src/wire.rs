//! What a publication looks like on the bus: types of its own, so that those inside a node can change
//! without the bus noticing.
//!
//! MessagePack, maps by name. Every event is a map with one field, named by what it is: what a newer
//! node says that is not known here reads as an event with nothing in it. A batch with such an event
//! becomes a beacon, that is, its heads alone: its readers fetch what they can read from the store.

mod event;
mod message;

use event::{WireEphemeral, WireEvent};
use madang_protocol::{Ephemeral, Event, EventBatch, Heads, Publication, RoomId};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, sync::Arc};

/// The bytes are no publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a publication")]
pub struct NotAPublication;

/// Numbered events, encoded.
pub fn encode_batch(batch: &EventBatch) -> Vec<u8> {
    let events = batch.events.iter().map(WireEvent::from).collect();
    written(&WireBatch { before: batch.before.into(), after: batch.after.into(), events })
}

/// What nobody keeps, encoded.
pub fn encode_ephemeral(ephemeral: &Ephemeral) -> Vec<u8> {
    written(&WireEphemeral::from(ephemeral))
}

/// Numbered events of `room`.
pub fn decode_batch(room: RoomId, bytes: &[u8]) -> Result<Publication, NotAPublication> {
    let batch: WireBatch<'static> = rmp_serde::from_slice(bytes).map_err(|_| NotAPublication)?;
    let (before, after) = (Heads::from(batch.before), Heads::from(batch.after));
    let mut events = Vec::with_capacity(batch.events.len());
    for event in batch.events {
        match event.read(room)? {
            Some(event) => events.push(event),
            None => return Ok(beacon(room, after)),
        }
    }
    Ok(Publication::Batch(Arc::new(EventBatch { room, before, after, events })))
}

/// What nobody keeps, of `room`; `None`: nothing that is known here.
pub fn decode_ephemeral(
    room: RoomId,
    bytes: &[u8],
) -> Result<Option<Publication>, NotAPublication> {
    let ephemeral: WireEphemeral<'static> =
        rmp_serde::from_slice(bytes).map_err(|_| NotAPublication)?;
    Ok(ephemeral.read().map(|ephemeral| Publication::Ephemeral(room, Arc::new(ephemeral))))
}

/// Tells how far a room is, and nothing else.
pub fn beacon(room: RoomId, heads: Heads) -> Publication {
    let batch = EventBatch { room, before: heads, after: heads, events: Vec::new() };
    Publication::Batch(Arc::new(batch))
}

/// `batch` in pieces that follow each other, encoded, each of at most `bytes_max`. In the place of an
/// event that is too large by itself there is a beacon: whoever reads it fetches the event.
pub fn encode_in_pieces(batch: &EventBatch, bytes_max: usize) -> Vec<Vec<u8>> {
    let whole = encode_batch(batch);
    if whole.len() <= bytes_max {
        return vec![whole];
    }
    let middle = batch.events.len() / 2;
    if middle == 0 {
        return vec![encode_batch(&EventBatch {
            room: batch.room,
            before: batch.after,
            after: batch.after,
            events: Vec::new(),
        })];
    }
    let (first, second) = batch.events.split_at(middle);
    let between = first.iter().fold(batch.before, heads_after);
    let part = |before, after, events: &[Event]| {
        let part = EventBatch { room: batch.room, before, after, events: events.to_vec() };
        encode_in_pieces(&part, bytes_max)
    };
    let mut pieces = part(batch.before, between, first);
    pieces.extend(part(between, batch.after, second));
    pieces
}

/// The heads of a room in which `event` happened.
fn heads_after(before: Heads, event: &Event) -> Heads {
    match event {
        Event::Message(message) => Heads { last_seq: message.seq, ..before },
        Event::Changed(message) => Heads { last_rev: message.rev(), ..before },
        Event::Member(_) | Event::Renamed(_) => {
            Heads { member_rev: before.member_rev + 1, ..before }
        }
    }
}

fn written(value: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("strings, numbers and bytes can be written")
}

#[derive(Serialize, Deserialize)]
struct WireBatch<'a> {
    before: WireHeads,
    after: WireHeads,
    /// None: a beacon.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    events: Vec<WireEvent<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WireHeads {
    seq: u64,
    rev: u64,
    member_rev: u64,
}

impl From<Heads> for WireHeads {
    fn from(heads: Heads) -> Self {
        Self { seq: heads.last_seq, rev: heads.last_rev, member_rev: heads.member_rev }
    }
}

impl From<WireHeads> for Heads {
    fn from(heads: WireHeads) -> Self {
        Self { last_seq: heads.seq, last_rev: heads.rev, member_rev: heads.member_rev }
    }
}

/// The 15 bytes of an id.
struct WireId([u8; madang_protocol::id::ID_BYTES]);

impl Serialize for WireId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for WireId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FifteenBytes;
        impl de::Visitor<'_> for FifteenBytes {
            type Value = WireId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("15 bytes")
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<WireId, E> {
                bytes.try_into().map(WireId).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }
        deserializer.deserialize_bytes(FifteenBytes)
    }
}

#[cfg(test)]
mod tests;
