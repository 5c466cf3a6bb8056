//! Messages: one gapless sequence per room.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{
    ClientId, Heads, Message, Millis, RoomId, RoomKind, UserId, operation::Range,
};
use std::sync::Arc;

/// The log of all rooms.
///
/// **Unique**: (room, seq) and (room, sender, client_id), for ever; a message is never removed.
/// **Durable**: what `append` reports as committed survives any crash of node or machine.
/// **Majority**: every read sees every committed message and no uncommitted one.
#[async_trait]
pub trait MessageLog: Send + Sync + 'static {
    /// One ordered command: inserts `messages` in order and stops at the first that is taken.
    ///
    /// The caller keeps the chain rule: seq k is sent only if k-1 is committed, or stands before
    /// it in the same command. A committed message also moves its sender's read position to its
    /// seq, if they are a member.
    async fn append(&self, messages: Vec<Arc<Message>>) -> Appended;

    /// What a home needs to begin: heads and the newest messages, in one snapshot.
    /// `None`: no such room.
    async fn activate(&self, room: RoomId, window: usize)
    -> Result<Option<Activation>, StoreError>;

    /// Looks up messages by their sender's name for them; answers stand in the order asked.
    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError>;

    /// A part of a room's messages, ascending, at most `limit` of them and at most `bytes_max` of
    /// bodies (but never none where there is one), with the head of the same snapshot. An unknown
    /// room reads as an empty one.
    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError>;
}

/// What became of an ordered command of n messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The first this many are committed.
    pub committed: usize,
    /// Why the next one was not; `None` when all are committed.
    pub stopped: Option<Stopped>,
}

/// Why an ordered command stopped. Messages behind that place were not attempted, except after
/// `Unknown`, which says nothing about any message from that place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Its (room, sender, client_id) is in the log already.
    Duplicate,
    /// Its (room, seq) is taken by another message.
    Taken,
    /// Nothing from that place on was written, and nothing will be.
    Refused(StoreError),
    /// It, and those behind it, may or may not be written, now or later.
    Unknown(StoreError),
}

/// A room as its home finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// What kind of room it is.
    pub kind: RoomKind,
    /// How far it has come.
    pub heads: Heads,
    /// `ts` of the newest message; 0 = none.
    pub last_ts: Millis,
    /// The newest messages, ascending.
    pub window: Vec<Arc<Message>>,
}

/// Where a message was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its place.
    pub seq: u64,
    /// Its time.
    pub ts: Millis,
}

/// A part of a room's messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Ascending, contiguous.
    pub messages: Vec<Arc<Message>>,
    /// The newest `seq` in the same snapshot.
    pub last_seq: u64,
}
