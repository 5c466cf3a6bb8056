//! The way of this node's sends to a room that is at home on another.
//!
//! **In**: submits of connections and HTTP, and those a room gave back when it went. **Out**:
//! requests to the home, one at a time; answers to whoever sent.
//!
//! ```text
//! Gathering --home is there--> Asking --answered: some given back--> resting --> Asking
//!     |                          | no answer, the home went: again, in the same order
//!     +--home is here: hands everything to the room, and ends
//! ```
//!
//! There is one in the registry, in front of whatever room actor there may be, for as long as there
//! is something to send, and for [`STAYS_FOR`] after: so what one connection sends keeps its
//! order however often the home moves. Each submit has a number in the life of its lane, by which
//! the home knows it again; each request carries all that is not settled, up to a bound, so a repeated one may
//! be longer than the first.
//!
//! **Bounds**: [`QUEUE_MAX`] submits wait, beyond that `overloaded` at once; each until its
//! deadline, then `unavailable`: it may have been committed. **Invariants**: a submit is settled by
//! the home's word alone, or by its deadline; what was not settled is sent again before what came
//! later; while a lane is registered, nothing goes past it.

mod actor;
pub mod logic;
#[cfg(test)]
mod tests;

pub use actor::{Given, LaneActor, LaneMessage};

use std::time::Duration;

/// Messages waiting in the inbox.
pub const INBOX_BOUND: usize = 4_096;
/// Submits taken and not settled.
pub const QUEUE_MAX: usize = 4_096;
/// Submits of one request.
pub const REQUEST_ENTRIES_MAX: usize = 256;
/// Weight of one request; well below what a bus carries, see `docs/bounds.md`.
pub const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// How long one request waits for its answer before it is sent again. A home that is still at it
/// answers the later one.
pub const REQUEST_WAIT: Duration = Duration::from_secs(1);
/// How often deadlines are looked at.
pub const TICK: Duration = Duration::from_millis(500);
/// A lane with nothing to send goes after so long.
pub const STAYS_FOR: Duration = Duration::from_secs(10);
