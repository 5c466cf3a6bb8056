//! What the node says over a WebSocket, before a codec turns it into bytes.

use crate::{
    ErrorCode, MemberChange, Millis, Refusal, Role, RoomId, SessionId, UserId,
    object::MessageObject,
};
use serde::Serialize;
use utoipa::ToSchema;

/// One frame to a client. Every answer carries the `id` of its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum NodeFrame {
    /// To `hello`.
    #[serde(rename = "ok")]
    #[schema(title = "HelloOk")]
    HelloOk(HelloOk),
    /// To `subscribe`.
    #[serde(rename = "ok")]
    #[schema(title = "SubscribeOk")]
    SubscribeOk {
        /// Of the request.
        id: u64,
        /// What was subscribed to.
        #[serde(flatten)]
        room: SubscribedRoom,
    },
    /// To `unsubscribe`.
    #[serde(rename = "ok")]
    #[schema(title = "UnsubscribeOk")]
    UnsubscribeOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
    },
    /// To `send`: committed.
    #[serde(rename = "ok")]
    #[schema(title = "SendOk")]
    SendOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
        /// The message's place.
        seq: u64,
        /// Its time.
        #[schema(value_type = u64)]
        ts: Millis,
        /// It was there already.
        duplicate: bool,
    },
    /// To `edit` and `delete`: committed.
    #[serde(rename = "ok")]
    #[schema(title = "ChangeOk")]
    ChangeOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
        /// Which message.
        seq: u64,
        /// The `rev` of its latest change; 0 = it never changed.
        rev: u64,
    },
    /// To `react`: committed.
    #[serde(rename = "ok")]
    #[schema(title = "ReactOk")]
    ReactOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
        /// Which message.
        seq: u64,
    },
    /// To `read`.
    #[serde(rename = "ok")]
    #[schema(title = "ReadOk")]
    ReadOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
        /// Up to where the user has read now.
        read_seq: u64,
    },
    /// To `typing` and `signal`.
    #[serde(rename = "ok")]
    #[schema(title = "RoomOk")]
    RoomOk {
        /// Of the request.
        id: u64,
        /// Which room.
        room: RoomId,
    },
    /// To `presence`.
    #[serde(rename = "ok")]
    #[schema(title = "PresenceOk")]
    PresenceOk {
        /// Of the request.
        id: u64,
        /// Members with a connection now, ordered.
        online: Vec<UserId>,
        /// The room has more members than presence is told of.
        #[serde(skip_serializing_if = "Option::is_none")]
        truncated: Option<bool>,
    },
    /// To `history`.
    #[serde(rename = "ok")]
    #[schema(title = "HistoryOk")]
    HistoryOk {
        /// Of the request.
        id: u64,
        /// Ascending.
        messages: Vec<MessageObject>,
        /// The room's newest `seq`.
        last_seq: u64,
    },
    /// To `ping`.
    #[serde(rename = "ok")]
    #[schema(title = "PingOk")]
    PingOk {
        /// Of the request.
        id: u64,
        /// Now, at the node.
        #[schema(value_type = u64)]
        server_time: Millis,
    },
    /// A request was not performed.
    Error {
        /// Of the request, if it had one.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for developers.
        message: String,
        /// When to try again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
    /// A message of a subscribed room.
    Message(MessageObject),
    /// A message of a subscribed room as it is now.
    Changed(MessageObject),
    /// Members of a subscribed room read on.
    Read {
        /// Which room.
        room: RoomId,
        /// Who, and up to where.
        reads: Vec<ReadObject>,
    },
    /// Everyone who types in a subscribed room now.
    Typing {
        /// Which room.
        room: RoomId,
        /// Ordered.
        users: Vec<UserId>,
    },
    /// A member's own word to the others.
    Signal {
        /// Which room.
        room: RoomId,
        /// From whom.
        sender: UserId,
        /// As it was sent.
        data: std::sync::Arc<str>,
    },
    /// Members of a subscribed room came or went.
    Presence {
        /// Which room.
        room: RoomId,
        /// These have a connection now.
        online: Vec<UserId>,
        /// These have none any more.
        offline: Vec<UserId>,
    },
    /// A subscribed room has another name.
    Room {
        /// Which room.
        room: RoomId,
        /// Its name now.
        name: std::sync::Arc<str>,
    },
    /// A membership of a subscribed room changed.
    Member {
        /// Which room.
        room: RoomId,
        /// Whose membership.
        user: UserId,
        /// What happened to it.
        change: MemberChange,
        /// The role held now.
        #[serde(skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// For the user concerned, who joined: the room's newest `seq` then. Later messages
        /// follow, earlier ones are history.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_seq: Option<u64>,
        /// The room's newest `rev` then.
        #[serde(skip_serializing_if = "Option::is_none")]
        last_rev: Option<u64>,
    },
    /// The node is about to stop; it closes with 1012 after that time.
    Goaway {
        /// Why.
        reason: &'static str,
        /// When to reconnect; differs per connection, so that not all come at once.
        reconnect_after_ms: u64,
    },
}

/// The answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct HelloOk {
    /// Of the request.
    pub id: u64,
    /// Who the token speaks for.
    pub user: UserId,
    /// By which login.
    pub session: SessionId,
    /// The node's name.
    pub node: String,
    /// Now, at the node.
    #[schema(value_type = u64)]
    pub server_time: Millis,
    /// How often the node pings.
    pub heartbeat_ms: u64,
    /// Longest frame the node takes.
    pub max_frame_bytes: usize,
    /// What was subscribed to.
    pub rooms: Vec<HelloRoom>,
}

/// One room of the answer to `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum HelloRoom {
    /// Subscribed.
    Subscribed(SubscribedRoom),
    /// Not subscribed.
    Failed {
        /// The text that was to name a room.
        room: String,
        /// Why.
        error: ErrorCode,
    },
}

/// A room that is received from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SubscribedRoom {
    /// Which.
    pub room: RoomId,
    /// Its newest `seq`.
    pub last_seq: u64,
    /// Its newest `rev`.
    pub last_rev: u64,
    /// Up to where the user has read.
    pub read_seq: u64,
    /// More was missed than is replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated: Option<bool>,
    /// The first `seq` that is replayed, when truncated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_from: Option<u64>,
    /// More messages changed than are told: only the latest of them are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncated_changes: Option<bool>,
}

/// Up to where a member has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Read)]
pub struct ReadObject {
    /// Who.
    pub user: UserId,
    /// The last `seq` read.
    pub seq: u64,
}

impl NodeFrame {
    /// A refusal as the answer to request `id`.
    pub fn refusal(id: Option<u64>, refusal: Refusal) -> Self {
        let message = match refusal.field {
            Some(field) => format!("{field}: {}", refusal.message),
            None => refusal.message.into_owned(),
        };
        Self::Error { id, code: refusal.code, message, retry_after_ms: refusal.retry_after_ms }
    }

    /// The metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Message(_) => "message",
            Self::Changed(_) => "changed",
            Self::Read { .. } => "read",
            Self::Typing { .. } => "typing",
            Self::Signal { .. } => "signal",
            Self::Presence { .. } => "presence",
            Self::Room { .. } => "room",
            Self::Member { .. } => "member",
            Self::Goaway { .. } => "goaway",
            Self::HelloOk(_)
            | Self::SubscribeOk { .. }
            | Self::UnsubscribeOk { .. }
            | Self::SendOk { .. }
            | Self::ChangeOk { .. }
            | Self::ReactOk { .. }
            | Self::ReadOk { .. }
            | Self::RoomOk { .. }
            | Self::PresenceOk { .. }
            | Self::HistoryOk { .. }
            | Self::PingOk { .. } => "ok",
        }
    }
}
