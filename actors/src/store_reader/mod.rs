//! Reads, off the edge: on a store arbiter, bounded, identical ones at once.
//!
//! **In**: [`Query`]s with the call that answers them. **Out**: one answer to everybody who asked
//! the same while it waited. **Bounds**: [`CONCURRENT_MAX`] calls under way, [`INBOX_BOUND`]
//! waiting; beyond that `overloaded` at once. Whoever asks waits [`Reader`]'s deadline, then
//! `unavailable`. **Invariant**: a read is only shared with those who asked before it was begun,
//! so everybody sees what was committed before they asked. Where the store is far away, sessions,
//! profiles and memberships are looked for in a cache first, and may be a minute old: see `copies`.

mod actor;
mod copies;
mod reader;
#[cfg(test)]
mod tests;

pub use actor::StoreReader;
pub(crate) use actor::{Ask, ErasedAnswer};
pub use reader::{Reader, refusal};

use madang_protocol::{RoomId, UserId, operation::Range};
use madang_store::{
    accounts::{AddressKey, ProfileKeys, TokenHash},
    rooms::ListPlace,
};

/// Reads waiting at most.
pub const INBOX_BOUND: usize = 4_096;
/// Reads under way at most: what a store's connection pool carries.
pub const CONCURRENT_MAX: usize = 20;
/// Rooms that learn how far they are at once. A client that comes opens all its rooms together, and
/// after a start nobody has them open; the others wait outside of the inbox, so that they stand in
/// nobody's way.
pub const ACTIVATIONS_MAX: usize = 8;

/// What a read asks for. Equal queries have equal answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Query {
    Activate(RoomId),
    FindSent(RoomId),
    Page(RoomId, Range, usize),
    Changed(RoomId, u64, u64, usize),
    Marks(RoomId, u64),
    Target(RoomId, u64, UserId),
    MyReactions(RoomId, UserId, Vec<u64>),
    View(RoomId, UserId),
    List(UserId, Option<ListPlace>, usize),
    Access(UserId, Vec<RoomId>),
    AccessAll(UserId, usize),
    Members(RoomId, Option<UserId>, usize),
    MembersAmong(RoomId, Vec<UserId>),
    Readers(RoomId, u64, Option<UserId>, usize),
    Profiles(ProfileKeys),
    Credentials(String),
    Session(TokenHash),
    LastLogin(UserId, AddressKey),
}

impl Query {
    /// These carry arguments beside the query, or are asked by one actor alone: never shared.
    fn is_shared(&self) -> bool {
        !matches!(self, Self::Activate(_) | Self::FindSent(_) | Self::Marks(..))
    }
}
