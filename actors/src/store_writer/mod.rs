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

mod actor;
pub mod logic;

pub use actor::{Append, StoreWriter};

/// Batches waiting at most: more than the rooms that are busy at once on one node.
pub const INBOX_BOUND: usize = 4_096;
