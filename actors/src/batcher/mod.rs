//! What happens often and need not be written each time: read positions, who is online, and when
//! sessions were used last.
//!
//! **In**: nothing is sent here. Connections and hubs note what happened in [`ReadPositions`],
//! [`Connected`] and [`LastSeen`], where a later word of one user replaces an earlier one, and the
//! batcher looks there once in its time: a message per event would wake its thread each time.
//! **Out**: one bulk write of each kind, and after it one frame for each room concerned.
//!
//! **Bounds**: one write of a kind is under way; [`PENDING_READS_MAX`] positions wait, beyond that
//! `overloaded`; [`PENDING_SEEN_MAX`] sessions, beyond that a use is not noted. What could not be
//! written is noted still, and part of the next write. **Invariants**: positions and times only
//! move up; a receipt is told to others after it was stored; what was noted before the node began
//! to stop is written before it ends.

mod actor;
mod awaited;
mod connected;
mod last_seen;
mod leases;
pub mod logic;
mod positions;
pub mod presence;

pub(crate) use actor::in_time;
pub use actor::{Batcher, BatcherMessage, BatcherServices};
pub use awaited::Awaiting;
pub use connected::{Connected, Online};
pub use last_seen::LastSeen;
pub use positions::{Moved, ReadPositions};

use std::time::Duration;

/// Messages waiting in the inbox: timers and answers are not among them.
pub const INBOX_BOUND: usize = 16;
/// Read positions that wait to be stored at most: a write of so many takes a fraction of a second.
pub const PENDING_READS_MAX: usize = 50_000;
/// Read positions remembered after they were stored.
pub const REMEMBERED_READS_MAX: usize = 200_000;
/// Receipts told in one frame at most, so that it stays below what a client takes. The others are
/// seen by whoever asks.
pub const READS_TOLD_MAX: usize = 10_000;
/// Sessions whose last use waits to be stored at most.
pub const PENDING_SEEN_MAX: usize = 50_000;
/// Sessions of one write at most: what is committed meanwhile waits for it, and so many take a tenth
/// of a second. Where more are in use, each is part of every second or third flush.
pub const TOUCHES_MAX: usize = 10_000;
/// Offline is told so long after the last connection ended: a page that is loaded again is not seen.
pub const GRACE: Duration = Duration::from_secs(5);
/// A user whose node was killed is online for so long.
pub const LEASE: Duration = Duration::from_secs(10);
/// Leases are renewed this often, so that two renewals may fail.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Who comes and goes is looked at this often.
pub const PRESENCE_EVERY: Duration = Duration::from_secs(1);
/// Users whose rooms are read in one go.
pub const PRESENCE_TOLD_MAX: usize = 2_000;
/// A write or read that takes longer counts as failed.
pub const STORE_WAIT: Duration = Duration::from_secs(30);
