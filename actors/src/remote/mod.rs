//! What other nodes ask of this one, and this one of others.
//!
//! **In**: questions from the bus: forwarded submits and changes for rooms that are at home here,
//! what audiences elsewhere missed, where rooms stand. **Out**: the same to the rooms, in order;
//! answers when the rooms have answered.
//!
//! There is one beside the rooms on each of their arbiters. It remembers of each lane what is with
//! its room, and what became of what was; so a request that comes again is attached to the first, or answered
//! again, and what was committed is never handed to a room twice. New entries wait until those before
//! them are settled, are given back when one of those is, and wait until the lane knows when one of those
//! was refused: so a lane's order holds over every fault of the bus, and when the home moves.
//!
//! **Bounds**: the inbox ([`INBOX_BOUND`]); [`IN_WORK_MAX`] entries are with rooms, and
//! [`LANES_MAX`] lanes are remembered, for [`REMEMBERED_FOR`]: beyond, entries are given back at
//! once, and the lane rests. Nothing here waits, and the bus's own thread least of all.

mod actor;
pub mod ask;
pub mod logic;
mod routing;
#[cfg(test)]
mod tests;
pub mod wire;

pub(crate) use actor::place;
pub use actor::{RemoteActor, RemoteMessage};
pub(crate) use ask::Forwarding;

use crate::{
    metrics::Forwarded,
    room::{pending::Submit, standing::Change},
    route::Receipt,
};
use madang_protocol::{Refusal, Role};
use std::time::Duration;

/// Questions waiting in the inbox.
pub const INBOX_BOUND: usize = 4_096;
/// Forwarded entries that are with rooms.
pub const IN_WORK_MAX: usize = 16_384;
/// Lanes of which something is remembered.
pub const LANES_MAX: usize = 16_384;
/// A lane that asked nothing for so long is forgotten, unless a room has something of it.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// How often that is looked at.
pub const TICK: Duration = Duration::from_secs(5);
/// Bytes of an answer, near enough.
pub const ANSWER_BYTES_MAX: usize = 384 * 1024;
/// How long rooms are waited for that are asked where they stand; below the asker's wait.
pub const HEADS_WAIT: Duration = Duration::from_millis(800);
/// Rooms of one question where they stand.
pub const ROOMS_ASKED_MAX: usize = 500;
/// Users of one question who of them is online.
pub const USERS_ASKED_MAX: usize = 1_000;

/// What is asked of a room for somebody on another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To commit something.
    Submit(Submit),
    /// To change the room, or who is in it.
    Change(Change),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Of a submit.
    Done(Result<Receipt, Refusal>),
    /// Of a change: the role of the user it concerns.
    Role(Result<Option<Role>, Refusal>),
    /// It was not done, and will not be: the room is at home elsewhere.
    Moved,
}

impl Outcome {
    /// As metrics tell it.
    pub(crate) fn label(&self) -> Forwarded {
        match self {
            Self::Done(Ok(_)) | Self::Role(Ok(_)) => Forwarded::Committed,
            Self::Done(Err(_)) | Self::Role(Err(_)) => Forwarded::Refused,
            Self::Moved => Forwarded::Moved,
        }
    }
}
