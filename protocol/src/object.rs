//! Objects that HTTP answers and WebSocket frames share.

use crate::{Message, Millis, RoomId, UserId};
use serde::{Deserialize, Serialize};

/// What kind of room. `channel` and `event` are not offered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Members talk.
    Group,
    /// Exactly two users; one room per pair.
    Direct,
}

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Posts and reads.
    Member,
    /// Also adds, removes, renames.
    Admin,
    /// Everything; exactly one per room.
    Owner,
}

/// A room as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomObject {
    /// Its id.
    pub room: RoomId,
    /// Its kind.
    pub kind: RoomKind,
    /// Its name; direct rooms have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hidden from those who are not members.
    pub private: bool,
    /// The caller's role.
    pub role: Role,
    /// When it was made.
    pub created_at: Millis,
    /// The newest `seq`.
    pub last_seq: u64,
    /// The newest `rev`.
    pub last_rev: u64,
    /// Up to where the caller has read.
    pub read_seq: u64,
    /// `last_seq - read_seq`.
    pub unread: u64,
    /// How many members.
    pub members: u64,
    /// The newest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<MessageObject>,
}

/// A message as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageObject {
    /// The room.
    pub room: RoomId,
    /// Its place in the room.
    pub seq: u64,
    /// When it was taken.
    pub ts: Millis,
    /// Who sent it.
    pub sender: UserId,
    /// The text.
    pub body: std::sync::Arc<str>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// Only to its sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<crate::ClientId>,
}

impl MessageObject {
    /// The message as `viewer` may see it; `None` sees it as a stranger to its sender.
    pub fn seen_by(message: &Message, viewer: Option<UserId>) -> Self {
        Self {
            room: message.room,
            seq: message.seq,
            ts: message.ts,
            sender: message.sender,
            body: message.body.clone(),
            reply_to: message.reply_to,
            client_id: (viewer == Some(message.sender)).then(|| message.client_id.clone()),
        }
    }
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserObject {
    /// The id.
    pub user: UserId,
    /// The name used to log in.
    pub username: String,
    /// The name shown.
    pub display_name: String,
}

/// One member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberObject {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Millis,
    /// Up to where they have read.
    pub read_seq: u64,
}
