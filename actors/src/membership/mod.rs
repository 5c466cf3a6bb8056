//! Who is in the cluster, as this node hears it.
//!
//! **In**: what every node announces every [`BEAT_EVERY`], this one included; that the node drains or
//! leaves. **Out**: its own announcements; to [`Homes`](crate::homes::Homes) the view and when the
//! node last heard itself; to the root that this life must end. A node that is alone has none of
//! this.
//!
//! ```text
//! Joining --heard itself, and one round passed--> Member --left, or gave up--> Over
//!    ^                                              |
//!    +------ did not hear itself for SILENT_FOR ----+   nobody is home meanwhile
//! ```
//!
//! A node that joins asks the others to say at once that they are there, and is nobody's home before
//! they could: one that began with a view of itself alone would take every room from its home.
//!
//! **Of two nodes with one name the later stays.** Which is later is told by how long each lives, and
//! where that is nearly the same by the incarnation, so both come to one result without a clock in
//! common. The earlier ends with a message, the later waits until it is silent.
//!
//! **Settings** on which nodes must agree are compared when a node joins: the one that joins does not
//! start, those that are there pass it over.
//!
//! **Bounds**: the inbox ([`INBOX_BOUND`]), what does not fit is lost, like on the bus. **Invariants**:
//! only local, monotonic time counts; a node is fresh since it *sent* the announcement that it heard,
//! and after everything heard before it was taken into the view.

mod actor;
mod announcement;
pub mod logic;
#[cfg(test)]
mod tests;

pub use actor::{
    Membership, MembershipActor, MembershipMessage, MembershipServices, Standing, start,
};
pub use announcement::{Announcement, Kind, NotUnderstood, Terms};

use std::time::Duration;

/// Messages waiting in the inbox: two rounds of 250 nodes.
pub const INBOX_BOUND: usize = 512;
/// Every node says so often that it is there.
pub const BEAT_EVERY: Duration = Duration::from_millis(500);
/// A node that was not heard for so long is out of the view; one that did not hear itself knows that
/// it is.
pub const SILENT_FOR: Duration = Duration::from_secs(3);
/// How often silence is looked for.
pub const TICK: Duration = Duration::from_millis(100);
/// Two lives of one name that differ by less in age are told apart by their incarnations: more than
/// an announcement takes.
pub const SAME_AGE: Duration = Duration::from_secs(1);
