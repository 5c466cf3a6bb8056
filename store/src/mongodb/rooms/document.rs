//! Rooms and members as documents, and what the aggregations of [`super::pipeline`] make of them.
//!
//! ```text
//! rooms        {_id: room, kind, name?, private, creator, created_at, member_rev, members,
//!               client_id?, pair?, steps?, removed?}
//! members      {_id: {room, user}, room, user, role, joined_at, read_seq}
//! bans         {_id: {room, user}}
//! room_counts  {_id: user, rooms}
//! ```
//!
//! `members` of a room counts them, `rooms` of a user counts their memberships: both change in the
//! transaction that changes a membership, so that two which would pass a bound together conflict.
//! `steps` counts the changes of a room, so that also those which tell nothing conflict.
//! The counter of a user is no field of the user, because a transaction that a dying node leaves
//! open locks what it has written for up to a minute: it must not keep anybody from logging in.

use crate::{
    mongodb::{bytes::Bytes, message::MessageRecord},
    rooms::{Access, NewRoom, RoomView},
};
use madang_protocol::{ClientId, Heads, Millis, Role, RoomId, RoomKind, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct RoomDocument {
    #[serde(rename = "_id")]
    pub(in crate::mongodb) room: Bytes<15>,
    pub(in crate::mongodb) kind: RoomKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mongodb) name: Option<String>,
    pub(in crate::mongodb) private: bool,
    pub(in crate::mongodb) creator: Bytes<15>,
    pub(in crate::mongodb) created_at: Millis,
    pub(in crate::mongodb) member_rev: u64,
    pub(in crate::mongodb) members: u64,
    /// The creator's name for it, until the creator gives it to another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mongodb) client_id: Option<ClientId>,
    /// The two of a direct room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mongodb) pair: Option<Bytes<30>>,
    /// The latest who were removed and are no members again; at most `REMOVED_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::mongodb) removed: Vec<Bytes<15>>,
}

impl RoomDocument {
    /// A room without messages.
    pub(super) fn new(new: &NewRoom, members: u64) -> Self {
        Self {
            room: Bytes(new.room.0),
            kind: new.kind,
            name: new.name.clone(),
            private: new.private,
            creator: Bytes(new.creator.0),
            created_at: new.created_at,
            member_rev: 0,
            members,
            client_id: new.client_id.clone(),
            pair: new.pair().map(pair_of),
            removed: Vec::new(),
        }
    }
}

/// The two of a direct room as one value, the lower id first. As an array it could not be unique:
/// an index holds the elements of an array, not the array.
pub(in crate::mongodb) fn pair_of((lower, higher): (UserId, UserId)) -> Bytes<30> {
    let mut pair = [0; 30];
    pair[..15].copy_from_slice(&lower.0);
    pair[15..].copy_from_slice(&higher.0);
    Bytes(pair)
}

/// A room and a user: what a membership, a ban and a receipt are found by. The order of the
/// fields is part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::mongodb) struct MemberKey {
    pub(in crate::mongodb) room: Bytes<15>,
    pub(in crate::mongodb) user: Bytes<15>,
}

impl MemberKey {
    pub(in crate::mongodb) fn new(room: RoomId, user: UserId) -> Self {
        Self { room: Bytes(room.0), user: Bytes(user.0) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct MemberDocument {
    #[serde(rename = "_id")]
    pub(in crate::mongodb) key: MemberKey,
    pub(in crate::mongodb) room: Bytes<15>,
    pub(in crate::mongodb) user: Bytes<15>,
    pub(in crate::mongodb) role: Role,
    pub(in crate::mongodb) joined_at: Millis,
    /// The newest message then: a member has read what was there before.
    pub(in crate::mongodb) read_seq: u64,
}

impl MemberDocument {
    pub(in crate::mongodb) fn new(
        room: RoomId,
        user: UserId,
        role: Role,
        joined_at: Millis,
        read_seq: u64,
    ) -> Self {
        let key = MemberKey::new(room, user);
        Self { key, room: key.room, user: key.user, role, joined_at, read_seq }
    }
}

/// A ban: all of it is its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct BanDocument {
    #[serde(rename = "_id")]
    pub(in crate::mongodb) key: MemberKey,
}

/// How many rooms a user is in; one in none may have no such document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct RoomCountDocument {
    #[serde(rename = "_id")]
    pub(in crate::mongodb) user: Bytes<15>,
    pub(in crate::mongodb) rooms: u64,
}

/// A room with the one user who asks about it.
#[derive(Debug, Deserialize)]
pub(super) struct SeenRoom {
    of_room: RoomDocument,
    /// Of the user; absent: no member. With it comes `read_seq`.
    role: Option<Role>,
    #[serde(default)]
    read_seq: u64,
    /// The user's receipt.
    #[serde(default)]
    read: u64,
    #[serde(default)]
    last_seq: u64,
    #[serde(default)]
    last_rev: u64,
    /// From where on messages lack changes.
    unapplied: Option<u64>,
    message: Option<MessageRecord>,
}

impl SeenRoom {
    pub(super) fn room(&self) -> RoomId {
        RoomId(self.of_room.room.0)
    }

    /// Corrects how far the user has read, who is a member.
    pub(super) fn has_read(&mut self, correct: impl FnOnce(RoomId, u64) -> u64) {
        self.read = correct(self.room(), self.read_seq());
    }

    /// The changes that its messages do not have yet, if they are to be shown.
    pub(super) fn unapplied(&self) -> Option<(u64, u64)> {
        let from = self.unapplied.filter(|_| self.message.is_some())?;
        Some((from, self.last_rev))
    }

    /// What `user`, who asks, may do.
    pub(super) fn access(&self, user: UserId) -> Access {
        Access {
            kind: self.of_room.kind,
            private: self.of_room.private,
            role: self.role,
            heads: self.heads(),
            read_seq: self.role.map_or(0, |_| self.read_seq()),
            was_removed: self.of_room.removed.contains(&Bytes(user.0)),
        }
    }

    /// `None`: the one who asks is no member.
    pub(super) fn view(self) -> Option<RoomView> {
        let (room, role, heads, read_seq) =
            (self.room(), self.role?, self.heads(), self.read_seq());
        let RoomDocument { kind, name, private, created_at, members, .. } = self.of_room;
        let last_message = self.message.map(|message| Arc::new(message.into()));
        Some(RoomView {
            room,
            kind,
            name,
            private,
            role,
            created_at,
            heads,
            read_seq,
            members,
            last_message,
        })
    }

    fn heads(&self) -> Heads {
        Heads {
            last_seq: self.last_seq,
            last_rev: self.last_rev,
            member_rev: self.of_room.member_rev,
        }
    }

    fn read_seq(&self) -> u64 {
        self.read.max(self.read_seq)
    }
}
