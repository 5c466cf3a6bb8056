//! Messages and what happens to them: two gapless sequences per room.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{
    ChangeKind, ClientId, Emoji, Entry, Heads, Message, Millis, RoomId, RoomKind, UserId,
    operation::Range,
};
use std::sync::Arc;

/// Messages named by [`Activation::uncounted`] at most.
pub const UNCOUNTED_MAX: usize = 1_000;

/// Rooms asked about by one [`MessageLog::news`] at most.
pub const NEWS_MAX: usize = 500;

/// The log of all rooms.
///
/// **Unique**: (room, seq), (room, rev) and (room, sender, client_id), for ever; a message is never
/// removed, a deleted one only loses its body.
/// **Durable**: what `append` reports as committed survives any crash of node or machine.
/// **Majority**: every read sees every committed entry and no uncommitted one.
/// **Up to date**: every message that is read is as the changes and reactions up to then left it.
#[async_trait]
pub trait MessageLog: Send + Sync + 'static {
    /// One ordered command: applies `entries` in order and stops at the first that is taken.
    ///
    /// The caller keeps the chain rule: seq k is sent only if k-1 is committed, or stands before
    /// it in the same command; likewise rev. What would leave a hole is refused, and so is what
    /// concerns an unknown room or message, or changes a deleted one. Of a message that is taken
    /// on trust by a store that several nodes share: it looks at nothing before it inserts.
    ///
    /// - A *message* also moves its sender's read position to its seq, if they are a member. A
    ///   store that several nodes share may write that a little later: what is read through it
    ///   shows it at once, through another node then, and a crash may lose it.
    /// - A *change* brings its message up to date in the same step. An edit or delete takes body
    ///   and `edited_at` from the change, a delete also erases the body and all reactions for
    ///   good. Every field that no change is about stays as it was sent. The counts of reactions
    ///   are never taken from the change but kept by the log.
    /// - A *reaction* adjusts the counts; the same again changes nothing. The number of kinds is
    ///   the caller's to bound. It makes its message *uncounted*, until a change of that message,
    ///   of any kind, says the counts that the log has.
    async fn append(&self, entries: Vec<Entry>) -> Appended;

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

    /// Messages up to `to_seq` whose latest change has a rev above `after_rev`, ascending by rev,
    /// at most `limit` of them and at most `bytes_max` of bodies (but never none where there is
    /// one), with the heads of the same snapshot. The log may end a page early, even with none,
    /// where it had to pass over many others: [`ChangedPage::reached_rev`] says where to go on. An
    /// unknown room reads as an empty one.
    async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<ChangedPage, StoreError>;

    /// The changes above `after_rev`, ascending, also those that later ones replaced, at most
    /// `limit`: for finding out what became of a change.
    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError>;

    /// One message, and what `user` reacted to it with. `None`: no such message.
    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError>;

    /// What `user` reacted with to each of `seqs`, in the order asked.
    async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError>;

    /// The heads now of those rooms that are further, in any of the three, than the caller knows;
    /// in the order asked. Rooms that are not there are left out. At most [`NEWS_MAX`] rooms are
    /// looked at, the first ones; the number of questions to the store is the same for all.
    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError>;
}

/// What became of an ordered command of n entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The first this many are committed.
    pub committed: usize,
    /// Why the next one was not; `None` when all are committed.
    pub stopped: Option<Stopped>,
}

/// Why an ordered command stopped. Entries behind that place were not attempted, except after
/// `Unknown`, which says nothing about any entry from that place on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// Its (room, sender, client_id) is in the log already.
    Duplicate,
    /// Its (room, seq) is taken by another message, or its (room, rev) by another change.
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
    /// Messages with reactions that no change has told yet, ascending, the first
    /// [`UNCOUNTED_MAX`] of them.
    pub uncounted: Vec<u64>,
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
    /// The newest `rev` in the same snapshot.
    pub last_rev: u64,
}

/// A part of a room's changed messages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangedPage {
    /// Ascending by rev.
    pub messages: Vec<Arc<Message>>,
    /// Whoever has this page and those before it lacks no change up to this rev, except those of
    /// messages whose latest change is above it. `heads.last_rev` when nothing is left.
    pub reached_rev: u64,
    /// How far the room is in the same snapshot.
    pub heads: Heads,
}

/// Those that are further than `known` in any number; for [`MessageLog::news`].
pub(crate) fn is_news(known: &Heads, now: &Heads) -> bool {
    now.last_seq > known.last_seq
        || now.last_rev > known.last_rev
        || now.member_rev > known.member_rev
}

/// Who changed what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The rev it took.
    pub rev: u64,
    /// The message.
    pub seq: u64,
    /// What it was.
    pub kind: ChangeKind,
    /// Who asked for it.
    pub by: Option<UserId>,
    /// When.
    pub ts: Millis,
}

/// A message that somebody is about to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// As it now is.
    pub message: Arc<Message>,
    /// What the one who asked reacted with, by the bytes of the text.
    pub mine: Vec<Emoji>,
}
