//! What a client can ask for over a WebSocket.

use crate::{ClientId, RoomId};
use std::sync::Arc;

/// One operation with the number its answer will carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the client, may repeat. Without it only a failure is answered.
    pub id: Option<u64>,
    /// What to do.
    pub operation: Operation,
}

/// The operations of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Authenticate; the first frame of every connection.
    Hello(Hello),
    /// Receive a room's messages.
    Subscribe(Subscription),
    /// Stop receiving them.
    Unsubscribe(RoomId),
    /// Post a message.
    Send(Send),
    /// Read older messages.
    History(History),
    /// Ask for the node's time.
    Ping,
}

impl Operation {
    /// The name on the wire, also the metric label.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
            Self::Send(_) => "send",
            Self::History(_) => "history",
            Self::Ping => "ping",
        }
    }

    /// Every name of [`Operation::name`].
    pub const NAMES: [&'static str; 6] =
        ["hello", "subscribe", "unsubscribe", "send", "history", "ping"];
}

/// `hello`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// The bearer token; secret.
    pub token: Box<str>,
    /// Which rooms to receive.
    pub subscribe: Wish,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello").field("subscribe", &self.subscribe).finish_non_exhaustive()
    }
}

/// The rooms a connection wants from the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// All rooms of the user.
    All,
    /// These. `Err` holds a text that names no room; it is answered in its place.
    Rooms(Vec<Result<Subscription, Box<str>>>),
}

/// One room to receive, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The room.
    pub room: RoomId,
    /// The last `seq` the client has; it wants what came since.
    pub after_seq: Option<u64>,
}

/// `send`, also `POST /v1/rooms/{room}/messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// Where to.
    pub room: RoomId,
    /// The sender's name for the message.
    pub client_id: ClientId,
    /// The text.
    pub body: Arc<str>,
    /// An existing `seq` it answers.
    pub reply_to: Option<u64>,
}

/// `history`, also `GET /v1/rooms/{room}/messages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Of which room.
    pub room: RoomId,
    /// Which part of it.
    pub range: Range,
    /// How many at most.
    pub limit: u32,
}

/// A part of a room's messages; bounds are exclusive, answers ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// The newest.
    Newest,
    /// The newest below this `seq`.
    Before(u64),
    /// The oldest above this `seq`.
    After(u64),
}
