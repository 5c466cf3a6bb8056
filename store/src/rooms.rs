//! Rooms, members, read positions.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{ClientId, Event, Heads, Message, Millis, Role, RoomId, RoomKind, UserId};
use std::sync::Arc;

/// Users of whom a room remembers that they were removed. Beyond: the earliest is forgotten, and looks as
/// if it had left.
pub const REMOVED_MAX: usize = 32;

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

    /// Changes who is in a room, in which role, or its name, if `by` may do that. What is allowed
    /// is decided here, by what is stored when the change is.
    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError>;

    /// Members ordered by user id, after the user `after`.
    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;

    /// Those of `users` that are members, in the order asked.
    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError>;

    /// The rooms of each of `users`, without those of more than `members_max` members; answered in
    /// the order asked, by one read however many.
    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError>;
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

impl NewRoom {
    /// The two of a direct room, the lower id first: the same whoever asks.
    pub(crate) fn pair(&self) -> Option<(UserId, UserId)> {
        let other = *self.members.first()?;
        let is_direct = self.kind == RoomKind::Direct;
        is_direct.then(|| (self.creator.min(other), self.creator.max(other)))
    }

    /// The creator and the further members, each once.
    pub(crate) fn users(&self) -> Vec<UserId> {
        let further_max = if self.kind == RoomKind::Direct { 1 } else { self.members.len() };
        let mut users = vec![self.creator];
        for user in self.members.iter().take(further_max) {
            if !users.contains(user) {
                users.push(*user);
            }
        }
        users
    }
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
    /// The user is no member any more because another one wanted it so. Of those who were removed a room
    /// remembers the latest [`REMOVED_MAX`].
    pub was_removed: bool,
}

/// A change of a room that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomChange {
    /// To become a member, of a room that is open. The first member of an empty room owns it.
    Join,
    /// To be none any more. The owner leaves last.
    Leave,
    /// To make this user a member; owner and admins may. A ban of that user ends.
    Add(UserId),
    /// To end a membership; owner and admins may, but not the owner's.
    Remove {
        /// Whose.
        user: UserId,
        /// Keeps the user out from now on, member or not.
        ban: bool,
    },
    /// To give a member another role; the owner may. Who gives `Owner` away becomes admin.
    SetRole {
        /// Whose.
        user: UserId,
        /// Which.
        role: Role,
    },
    /// To give the room another name; owner and admins may.
    Rename(Arc<str>),
}

impl RoomChange {
    /// The user it is about, when `by` asks for it.
    pub fn concerns(&self, by: UserId) -> UserId {
        match self {
            Self::Join | Self::Leave | Self::Rename(_) => by,
            Self::Add(user) | Self::Remove { user, .. } | Self::SetRole { user, .. } => *user,
        }
    }
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoomChanged {
    /// Made just now.
    Done {
        /// What to tell the room, each with the next `member_rev`. None for a ban of somebody who
        /// was no member.
        events: Vec<Event>,
        /// The room's heads with these counted.
        heads: Heads,
        /// The role now of the user it concerns.
        role: Option<Role>,
    },
    /// It was so before; with the role of the user it concerns.
    Already(Option<Role>),
    /// Not made.
    Refused(RoomRefusal),
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomRefusal {
    /// Unknown, or private and not the caller's.
    NoRoom,
    /// The caller may know of the room but is not in it.
    NotMember,
    /// The caller's role does not allow it.
    NotAllowed,
    /// A direct room is always the same two, without a name.
    Direct,
    /// The owner has to give the room away first.
    OwnerLeaves,
    /// `MEMBERS_MAX` members, or the user is in `ROOMS_MAX` rooms.
    Full,
    /// The user is kept out.
    Banned,
    /// The user to be added is none.
    UnknownUser,
    /// The user to be removed, or given a role, is no member; to be removed: is no user.
    NoSuchMember,
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
