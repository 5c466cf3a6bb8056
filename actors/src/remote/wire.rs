//! What a node asks another, as bytes: MessagePack, maps by name, unknown fields passed over, so
//! that nodes of two versions understand each other. Types of their own, so that those inside a
//! node can change without the others noticing.

mod message;
mod submit;

pub use message::WireCaught;
pub use submit::{WireItem, WireOutcome};

use madang_protocol::{Heads, Place, RoomId, UserId};
use serde::{Deserialize, Serialize};

/// The bytes are none of these, or of a later version that says something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not understood")]
pub struct NotUnderstood;

/// What is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// To commit something.
    Forward(Forward),
    /// What an audience missed.
    CatchUp(CatchUp),
    /// Where rooms stand.
    Heads(AskHeads),
    /// Which of these are online by a connection to the node asked.
    Holds(AskHolds),
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// What became of each that was forwarded.
    Forwarded(Vec<Settled>),
    /// What was missed.
    Caught(WireCaught),
    /// Where those of the rooms stand that are known here.
    Heads(Vec<RoomHeads>),
    /// Those of the users that are.
    Holds(Vec<UserId>),
    /// Nothing was done: the room is at home elsewhere, or the home has too much to do.
    Moved,
}

/// Entries of a lane.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Forward {
    /// Their room.
    pub room: RoomId,
    /// The life of the lane they come from.
    pub lane: u64,
    /// Grows with each request of the lane: an older one is not looked at any more.
    pub attempt: u64,
    /// The life of the home they are for.
    pub incarnation: u64,
    /// In order. All before the first are settled as far as the lane is concerned.
    pub items: Vec<WireItem>,
}

/// What became of an entry of a lane.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settled {
    /// Its number in the lane.
    pub n: u64,
    /// What became of it.
    pub outcome: WireOutcome,
}

/// An audience asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct CatchUp {
    /// Its room.
    pub room: RoomId,
    /// What it has.
    pub after: WireHeads,
    /// How far the room is at least.
    pub known: WireHeads,
}

/// Where are these? The heads are how far each is at least.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskHeads {
    /// The rooms, at most [`super::ROOMS_ASKED_MAX`].
    pub rooms: Vec<RoomHeads>,
}

/// Who of these has a connection there?
#[derive(Debug, Serialize, Deserialize)]
pub struct AskHolds {
    /// The users, at most [`super::USERS_ASKED_MAX`].
    pub users: Vec<UserId>,
}

/// Where a room stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomHeads {
    /// Which.
    pub room: RoomId,
    /// Where.
    pub heads: WireHeads,
}

/// [`Heads`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WireHeads {
    seq: u64,
    rev: u64,
    #[serde(default)]
    member_rev: u64,
}

impl From<Heads> for WireHeads {
    fn from(heads: Heads) -> Self {
        Self { seq: heads.last_seq, rev: heads.last_rev, member_rev: heads.member_rev }
    }
}

impl From<Place> for WireHeads {
    fn from(place: Place) -> Self {
        Self { seq: place.seq, rev: place.rev, member_rev: 0 }
    }
}

impl From<WireHeads> for Heads {
    fn from(heads: WireHeads) -> Self {
        let WireHeads { seq, rev, member_rev } = heads;
        Self { last_seq: seq, last_rev: rev, member_rev }
    }
}

/// As bytes.
pub fn encode(value: &impl Serialize) -> bytes::Bytes {
    rmp_serde::to_vec_named(value).expect("strings and numbers can be written").into()
}

/// From bytes.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, NotUnderstood> {
    rmp_serde::from_slice(bytes).map_err(|_| NotUnderstood)
}

#[cfg(test)]
mod tests;
