//! Owns the out-queues of every connection on its arbiter and alone writes to their sockets.
//!
//! **In**: one shared delivery per room event, whatever the number of readers; readers to attach;
//! and, from the connections beside it on the same thread, their own answers ([`LocalHub`]).
//! **Out**: at the end of each turn one write per socket that has something waiting; to audiences
//! how many readers went; to a connection that it is being closed, or has room again.
//!
//! **Bounds**: an out-queue holds `outbox_bytes_max` bytes and `outbox_frames_max` frames, beyond
//! that ephemeral frames are shed, the oldest first, and where there are none its connection is
//! closed with 4008 and resumes. A reader whose out-queue has no place for what a room sends is turned
//! back before that: it catches up from where it stands, in pages, at its own pace, and is closed with
//! 4008 if its socket takes nothing at all for [`liveness::STUCK`]. A turn puts about
//! [`SLICE_FRAMES`] into out-queues, in the middle of a delivery if need be, and writes to
//! [`SLICE_SOCKETS`] sockets, or to fewer if much waits for them, or to more as long as others took; then they
//! have theirs. No more than [`JOBS_MAX`] deliveries are taken in at once, others wait in the inbox of
//! [`INBOX_BOUND`]. **Invariants**:
//! deliveries, attachments and adoptions are worked off in the order they came, so a reader gets
//! everything from its place on, once; nothing of a room comes after its connection said that it
//! wants no more of it; the hub never waits for a reader.

mod actor;
mod behind;
mod core;
mod flush;
mod found;
mod item;
mod jobs;
mod liveness;
mod local;
pub mod outbox;
mod readers;
mod ready;
mod traffic;
mod waiting;
mod wanted;
pub mod wheel;

#[cfg(test)]
mod tests;

pub use actor::start;
pub use core::HubLimits;
pub use flush::send;
pub use item::{Item, Items};
pub use local::LocalHub;
pub use traffic::{Received, Traffic};

use crate::{
    audience::AudienceMessage,
    connection::Attached,
    kernel::{Address, Reply},
};
use madang_protocol::{CloseCode, Heads, Place, Role, RoomId, SessionId, UserId};
use std::{
    io,
    os::fd::BorrowedFd,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

/// Messages waiting in the inbox.
pub const INBOX_BOUND: usize = 8_192;
/// Frames put into out-queues before others on the arbiter get their turn: some tenths of a millisecond.
pub const SLICE_FRAMES: usize = 2_048;
/// Sockets written to before that: about as long, where a room of 1,000 in one go would be several
/// milliseconds. The others are first in the next turn, and by then have in one write what came meanwhile: the
/// more there is to do, the less a frame costs.
pub const SLICE_SOCKETS: usize = 64;
/// Deliveries taken from the inbox and not worked off.
pub const JOBS_MAX: usize = 256;

/// A connection of a hub. A slot is used again by later connections; the generation tells them
/// apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlotId {
    index: u32,
    generation: u32,
}

/// Who a connection speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The user.
    pub user: UserId,
    /// The login.
    pub session: SessionId,
}

/// The writing side of a connection's transport. Never waits.
pub trait Socket {
    /// Writes some of `bytes`, or `WouldBlock`.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what was taken and is held back (a bounded part, encrypted already), or `WouldBlock`.
    fn try_flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Where to [`send`] instead, if `try_write` does nothing else and nothing is held back.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Ready when a write may succeed again; wakes the task otherwise.
    fn poll_write_ready(&self, task: &mut task::Context<'_>) -> Poll<io::Result<()>>;

    /// The peer answered a ping since the last call, and its connection was not told: most of the time
    /// there is nothing else to wake it for.
    fn has_answered(&self) -> bool {
        false
    }

    /// Tells the peer that nothing more will come. It may still be read from.
    fn end_writing(&self);
}

/// What a hub is told.
pub enum HubMessage {
    /// Something happened in a room.
    Deliver(Arc<Delivery>),
    /// A reader is to receive a room from now on.
    Attach(Attach),
    /// An audience begins, or begins again: its present readers are counted to it.
    Adopt(Adopt),
    /// The audience of this room lost membership changes: its readers must prove themselves.
    Recheck(RoomId),
    /// Users became members of a room: those who want all their rooms receive it from now on.
    Joined(Arc<Joined>),
    /// These sessions ended: their sockets are closed with this code, also those that say `hello`
    /// just now.
    EndSessions(Arc<[SessionId]>, CloseCode),
    /// Who do your connections speak for?
    Sessions(Reply<Vec<Identity>>),
    /// Which users want all their rooms?
    WhoWantsAll(Reply<Vec<UserId>>),
    /// These users, by id, are in these rooms: those who want all and do not receive one look again.
    Found(Arc<Vec<(UserId, Vec<RoomId>)>>),
    /// The node is about to stop: everybody is told to come back elsewhere within this time.
    Goaway(Duration),
    /// The hub's own timer.
    Tick,
}

/// New memberships of a room.
#[derive(Debug)]
pub struct Joined {
    /// The room.
    pub room: RoomId,
    /// Where it stood when they joined.
    pub heads: Heads,
    /// Who, and as what.
    pub members: Vec<(UserId, Role)>,
}

/// One or more events of a room.
#[derive(Debug)]
pub struct Delivery {
    /// The room.
    pub room: RoomId,
    /// In order.
    pub items: Items,
}

/// A reader that has everything up to a place, and what it misses up to the audience's head; or one
/// that is to hear what has no number until then. Its audience counted one reader more.
pub struct Attach {
    /// The room.
    pub room: RoomId,
    /// The reader.
    pub slot: SlotId,
    /// Its audience, to be told when it goes.
    pub audience: Address<AudienceMessage>,
    /// Which life of the audience counts it.
    pub epoch: u64,
    /// The audience's head: the next delivery begins after it.
    pub head: Place,
    /// What lies between, and who types.
    pub catch_up: Items,
    /// Tells the connection that it is live; `None`: it is to get nothing that has a number.
    pub reply: Option<Reply<Attached>>,
}

/// An audience asks for its readers.
pub struct Adopt {
    /// The room.
    pub room: RoomId,
    /// The audience.
    pub audience: Address<AudienceMessage>,
    /// Which life of it.
    pub epoch: u64,
    /// Tells it.
    pub reply: Reply<Adopted>,
}

/// The readers a hub has for an audience.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// How many.
    pub readers: usize,
    /// Up to where they were served, if there are any.
    pub delivered: Option<Place>,
}

/// All hubs of a node, one per edge arbiter.
#[derive(Clone)]
pub struct Hubs(Arc<[Address<HubMessage>]>);

impl Hubs {
    /// In the order of their arbiters.
    pub fn new(hubs: Vec<Address<HubMessage>>) -> Self {
        Self(hubs.into())
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one at that place.
    pub fn get(&self, index: usize) -> &Address<HubMessage> {
        &self.0[index]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Address<HubMessage>> {
        self.0.iter()
    }

    /// Tells every hub, whatever is waiting there.
    pub fn tell_all(&self, message: impl Fn() -> HubMessage) {
        for hub in self.0.iter() {
            hub.urge(message());
        }
    }
}
