//! A room's home: the only one that gives out its `seq`.
//!
//! **In**: sends and changes of the room and its members, from connections and HTTP; questions of audiences about
//! what they missed. **Out**: batches to the store writer; answers; committed events to the bus.
//!
//! ```text
//! Activating --heads read--> Active --batch--> Writing --committed--> Active
//!                              ^                  | taken, duplicate, unknown
//!                              +---- Resyncing <--+   read back what is true, then go on
//! ```
//! At home elsewhere: settles what is with the store, gives the rest back in order, and ends.
//!
//! **Bounds**: [`QUEUE_MAX`] sends wait, beyond that `overloaded` at once; each waits until its
//! deadline, then `unavailable`. **Invariants**: one batch is out at a time, numbered from the
//! committed head when it is built, so a number is never given before the one below it is known
//! to be committed; a sender is answered, and a reader told, after the commit; what is in doubt
//! is read back, never guessed; a membership changes after the sends taken from that member
//! are settled. The rules behind this are those of the room protocol, see `docs/architecture.md`.

mod actor;
pub mod board;
pub mod logic;
pub mod looking;
pub mod pending;
pub mod refusal;
pub mod standing;
#[cfg(test)]
mod tests;
pub mod window;

pub use actor::{Caught, RoomActor, RoomMessage, Services};

use std::time::Duration;

/// Messages waiting in the inbox.
pub const INBOX_BOUND: usize = 4_096;
/// Sends taken and not yet committed.
pub const QUEUE_MAX: usize = 4_096;
/// Entries of one batch. What a room writes, answers and tells in one go holds up the others of its
/// thread, and those of its command: some hundred are worth a commit, more only take longer.
pub const BATCH_ENTRIES_MAX: usize = 128;
/// Weight of one batch.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Messages kept for readers that missed some and for retries.
pub const WINDOW_MESSAGES: usize = 128;
/// Weight of them.
pub const WINDOW_BYTES: usize = 256 * 1024;
/// Changed messages kept for readers that missed some.
pub const WINDOW_CHANGES: usize = 128;
/// The reactions to a message are told at most this often.
pub const COUNT_EVERY: Duration = Duration::from_secs(1);
/// After a doubt the store is looked at once more: what was read back as "not there" may have been
/// written later, with nobody left who would try it again. Longer than a write may be late.
pub const RECHECK_AFTER: Duration = Duration::from_secs(5);
/// So long after it began a room is read again: a write of another home, of a life that panicked, or
/// of a process before this one may come late. Longer than any can live.
pub const RECHECKS: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30)];
/// What is known of members is asked for again after so long, in a cluster: the removal of one
/// may have been another home's, and its word lost.
pub const STANDINGS_FOR: Duration = Duration::from_secs(30);
/// How soon a room looks again that has something to write and does not know whether it is home.
pub const UNSURE_FOR: Duration = Duration::from_millis(50);
/// How often deadlines are looked at and heads are announced.
pub const TICK: Duration = Duration::from_secs(1);
/// Heads are announced, and the actor stays, for this long after the last activity.
pub const ACTIVE_FOR: Duration = Duration::from_secs(60);
