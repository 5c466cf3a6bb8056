//! How a node notices what its readers missed, though nothing was told to it.
//!
//! The bus may lose everything, and a room in which nobody speaks has no beacon. So, for all rooms
//! with readers on this node, this actor asks and looks, and what it finds goes to the audiences as
//! if the room had said it; they fetch what is missing.
//!
//! **Asks the home** where a room stands when that is another node than before, and of every room when
//! the bus says that anything may have been missed: one question to each home with a list of rooms,
//! again until it is answered. (An audience that begins asks by itself.) A home that did not know the
//! room begins it, so somebody is at home.
//!
//! **Looks into the store** at every room every [`SWEEP_EVERY`], [`SWEEP_ROOMS_MAX`] in one query: that
//! finds what no home knows of either, and what another side of a bus in two parts committed.
//!
//! **In**: the node's view, gaps of the bus, answers. **Out**: questions, queries, heads to audiences.
//! **Bounds**: [`ASKED_A_SECOND_MAX`] rooms are asked about in a second, a question to each home and
//! one query are under way. A node that is alone has none of this. **Invariants**: nothing here
//! decides what is true; heads only say that there is something to fetch.

mod actor;
pub mod logic;
#[cfg(test)]
mod tests;

pub use actor::{Ask, Noticing, NoticingActor, NoticingMessage, NoticingServices, Readers, start};

use std::time::Duration;

/// Messages waiting in the inbox: a gap that does not fit follows another.
pub const INBOX_BOUND: usize = 64;
/// Rooms asked about in a second: a node that dies leaves thousands behind, and each that its new
/// home has to begin costs a read.
pub const ASKED_A_SECOND_MAX: usize = 500;
/// How often questions that are due are asked.
pub const TICK: Duration = Duration::from_millis(200);
/// From one look at all rooms to the next; each by up to a tenth earlier, so that nodes do not look
/// together.
pub const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Rooms of one query, and of one question.
pub const SWEEP_ROOMS_MAX: usize = 500;
