//! What a room's home tells every node with readers, after it was committed.

use crate::{Message, Role, RoomId, UserId};
use std::sync::Arc;

/// How far a room has come. Compared and merged per number; each only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heads {
    /// The newest message's `seq`; 0 = none yet.
    pub last_seq: u64,
    /// The newest change's `rev`; 0 = none yet.
    pub last_rev: u64,
    /// Counts membership changes.
    pub member_rev: u64,
}

/// How much of a room somebody has: every message up to `seq`, and of those every change up to
/// `rev`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The last message.
    pub seq: u64,
    /// The last change.
    pub rev: u64,
}

impl Heads {
    /// Where one stands who has everything.
    pub fn place(&self) -> Place {
        Place { seq: self.last_seq, rev: self.last_rev }
    }

    /// True when `other` knows something that `self` does not.
    pub fn is_behind(&self, other: &Heads) -> bool {
        self.last_seq < other.last_seq
            || self.last_rev < other.last_rev
            || self.member_rev < other.member_rev
    }
}

/// One publication. Without events it is a beacon: it only says how far the room is.
///
/// A reader applies the events when `before` equals what it has, ignores the batch when `after`
/// brings nothing new, and otherwise fetches what it missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventBatch {
    /// The room.
    pub room: RoomId,
    /// The heads before the events.
    pub before: Heads,
    /// The heads after them.
    pub after: Heads,
    /// Committed, in order.
    pub events: Vec<Event>,
}

/// One thing that happened in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message took the next `seq`.
    Message(Arc<Message>),
    /// A message was changed; as it is now, with the `rev` this took.
    Changed(Arc<Message>),
    /// A membership changed; took the next `member_rev`.
    Member(MemberEvent),
    /// The room has another name; took the next `member_rev`.
    Renamed(Arc<str>),
}

/// What a room's readers hear of and nobody keeps: no number, never stored, never replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ephemeral {
    /// A member's own word to the others.
    Signal {
        /// Who.
        sender: UserId,
        /// At most `SIGNAL_BYTES_MAX`.
        data: Arc<str>,
    },
    /// A member types, or stopped.
    Typing {
        /// Who.
        user: UserId,
        /// Types.
        on: bool,
    },
    /// Members read up to a `seq`.
    Reads(Vec<(UserId, u64)>),
    /// Members came or went.
    Presence {
        /// These have a connection now.
        online: Vec<UserId>,
        /// These have none any more.
        offline: Vec<UserId>,
    },
}

/// What the bus carries to the nodes that have readers of a room. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Publication {
    /// Committed, numbered: what is missed is noticed and fetched.
    Batch(Arc<EventBatch>),
    /// For whoever listens now.
    Ephemeral(RoomId, Arc<Ephemeral>),
}

impl Publication {
    /// The room it is about.
    pub fn room(&self) -> RoomId {
        match self {
            Self::Batch(batch) => batch.room,
            Self::Ephemeral(room, _) => *room,
        }
    }
}

/// A membership change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberEvent {
    /// Whose membership.
    pub user: UserId,
    /// What happened to it.
    pub change: MemberChange,
    /// The role held now, absent for one who is gone.
    pub role: Option<Role>,
}

/// What happened to a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberChange {
    /// Became a member.
    Joined,
    /// Left by choice.
    Left,
    /// Was put out by an owner or admin.
    Removed,
    /// Holds another role.
    Role,
}

impl MemberChange {
    /// The membership is over.
    pub fn ends(self) -> bool {
        matches!(self, Self::Left | Self::Removed)
    }
}
