//! The one way of messages into the store.
//!
//! **In**: batches of rooms, one per room at a time. **Out**: one ordered command at a time to
//! the message log; to each room what became of its batch. While a command is under way, the
//! next gathers: under load a commit carries many messages, when idle none waits for company.
//!
//! **Bound**: [`INBOX_BOUND`] batches wait; beyond that a room gets its batch back at once and
//! tries again while its own senders wait. **Invariants**: the log gets a room's messages in
//! order, each numbered after one that is committed or stands before it in the same command; a
//! restart loses no outcome silently, because a dropped [`crate::kernel::Reply`] tells the room.
//!
//! A store that takes several commands at once has several writers ([`Writers`]), each with rooms of its
//! own: what is slow or in doubt at one holds up no room of another.

mod actor;
pub mod logic;

pub use actor::{Append, StoreWriter};

use crate::kernel::Address;
use madang_protocol::RoomId;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The store writers of a node, each of which writes the rooms of its share. Cloning shares them.
#[derive(Clone)]
pub struct Writers(Arc<[Address<Append>]>);

impl Writers {
    /// At least one.
    pub fn new(writers: Vec<Address<Append>>) -> Self {
        debug_assert!(!writers.is_empty(), "a node writes");
        Self(writers.into())
    }

    /// The one that writes `room`, always the same.
    pub fn of(&self, room: RoomId) -> &Address<Append> {
        // The upper half of the hash: the lower says which arbiter the room lives on.
        let place = (xxh3_64(&room.0) >> 32) as usize % self.0.len();
        &self.0[place]
    }
}

/// Batches waiting at most: more than the rooms that are busy at once on one node.
pub const INBOX_BOUND: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_spread_over_writers_and_stay_with_theirs() {
        let writers = Writers::new((0..4).map(|_| Address::detached(1)).collect());
        let mut counts = [0; 4];
        for number in 0..1_000_u16 {
            let mut id = [0; 15];
            id[..2].copy_from_slice(&number.to_be_bytes());
            let of = writers.of(RoomId(id));
            assert!(of.is_same(writers.of(RoomId(id))));
            let place = writers.0.iter().position(|writer| writer.is_same(of));
            counts[place.expect("one of them")] += 1;
        }
        assert!(counts.iter().all(|count| (200..300).contains(count)), "{counts:?}");
    }
}
