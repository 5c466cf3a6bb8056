//! Whether the sessions behind the sockets of this node are there still.
//!
//! Whoever ends a session tells the hubs at once. That word can be lost, and a session that expires is
//! ended by nobody. So once in its time this actor asks the hubs which sessions have sockets, and the
//! store which of these have ended, in one call however many; their sockets are closed as if it had
//! been told. Without sockets nothing is asked.
//!
//! In a cluster the word that a user joined a room may be lost as well. After each look the rooms of
//! the users who want all of theirs are read, 2,000 users in a read, and hubs tell the connections
//! that lack one; these ask what they may do there, as for any room. **In**: nothing but its own timer and answers.
//! **Out**: the word to the hubs. **Bounds**: one look at a time, each with a deadline; one that
//! fails changes nothing, and the next one makes up for it.

mod actor;

pub use actor::{SessionCheck, SessionCheckMessage, SessionCheckServices};

/// Messages waiting in the inbox: timers and answers are not among them.
pub const INBOX_BOUND: usize = 1;
