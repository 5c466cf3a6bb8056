//! Rooms, members, read positions.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{
    ClientId, Heads, Message, Millis, Role, RoomId, RoomKind, UserId, event::MemberEvent,
};
use std::sync::Arc;

/// The rooms and who is in them. Writes are durable when they return.
#[async_trait]
pub trait RoomStore: Send + Sync + 'static {
    /// Makes a room with its first members, or finds the one that is there already: the same
    /// creator's `client_id`, or the same pair for a direct room.
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError>;

    /// The room as `user` sees it; `None` when unknown or `user` is not in it.
    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError>;

    /// Rooms of `user`, latest activity first (newest message, else creation; ties by id), after
    /// the place `after`.
    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError>;

    /// What `user` may do in each of `rooms`, answered in the order asked; `None`: no such room.
    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError>;

    /// As `access`, for the `limit` rooms of `user` with the latest activity.
    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError>;

    /// Makes `user` a member, or finds that it is one.
    async fn join(&self, room: RoomId, user: UserId, at: Millis) -> Result<Joined, StoreError>;

    /// Ends a membership, or finds that there is none.
    async fn leave(&self, room: RoomId, user: UserId) -> Result<Left, StoreError>;

    /// Members ordered by user id, after the user `after`.
    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;
}

/// A room to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRoom {
    /// Its id, if it is new.
    pub room: RoomId,
    /// Its kind; `Direct` is unique per pair of `creator` and `members[0]`.
    pub kind: RoomKind,
    /// Its name.
    pub name: Option<String>,
    /// Hidden from others.
    pub private: bool,
    /// The owner. In a direct room both have role `member`.
    pub creator: UserId,
    /// Further members; the creator and repeats are passed over.
    pub members: Vec<UserId>,
    /// Makes a repeated creation answer the first room.
    pub client_id: Option<ClientId>,
    /// Now.
    pub created_at: Millis,
}

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// Made just now, as its creator sees it.
    New(RoomView),
    /// It was there already.
    Existing(RoomView),
    /// These ids are no users; nothing was made.
    UnknownUsers(Vec<UserId>),
    /// This user is in `ROOMS_MAX` rooms already; nothing was made.
    TooManyRooms(UserId),
}

/// A room as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomView {
    /// Its id.
    pub room: RoomId,
    /// Its kind.
    pub kind: RoomKind,
    /// Its name.
    pub name: Option<String>,
    /// Hidden from others.
    pub private: bool,
    /// The viewer's role.
    pub role: Role,
    /// When it was made.
    pub created_at: Millis,
    /// How far it has come.
    pub heads: Heads,
    /// Up to where the viewer has read.
    pub read_seq: u64,
    /// How many members.
    pub members: u64,
    /// The newest message.
    pub last_message: Option<Arc<Message>>,
}

impl RoomView {
    /// Its place in its viewer's list.
    pub fn place(&self) -> ListPlace {
        let active_at = self.last_message.as_ref().map_or(self.created_at, |message| message.ts);
        ListPlace { active_at, room: self.room }
    }
}

/// A place in a room list: what a cursor holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListPlace {
    /// Latest activity of the room there.
    pub active_at: Millis,
    /// The room there.
    pub room: RoomId,
}

/// What one user may do in one room, and how far both are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The room's kind.
    pub kind: RoomKind,
    /// Hidden from others.
    pub private: bool,
    /// The user's role; `None`: not a member.
    pub role: Option<Role>,
    /// How far the room has come.
    pub heads: Heads,
    /// Up to where the user has read; 0 for one who is no member.
    pub read_seq: u64,
}

/// What became of a join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// A member since now, starting with `read_seq` = `last_seq`.
    New {
        /// What to tell the room.
        event: MemberEvent,
        /// The room's heads with this change counted.
        heads: Heads,
    },
    /// Was a member already, in this role.
    Already(Role),
    /// Unknown, or private and not the caller's.
    NoRoom,
    /// A direct room: nobody joins.
    Closed,
    /// `MEMBERS_MAX` members, or the user is in `ROOMS_MAX` rooms.
    Full,
}

/// What became of leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// No member any more.
    Gone {
        /// What to tell the room.
        event: MemberEvent,
        /// The room's heads with this change counted.
        heads: Heads,
    },
    /// Was no member of this (visible) room.
    NotMember,
    /// Unknown, or private and not the caller's.
    NoRoom,
    /// A direct room: nobody leaves.
    Direct,
    /// The owner cannot leave.
    Owner,
}

/// One member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Millis,
    /// Up to where they have read.
    pub read_seq: u64,
}
