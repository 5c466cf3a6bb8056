//! What a client can ask for over a WebSocket.

use crate::{ClientId, Emoji, RoomId};
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
    /// Replace the body of an own message.
    Edit(Edit),
    /// Erase a message.
    Delete(Target),
    /// React to a message, or stop.
    React(React),
    /// Everything up to this message was read.
    Read(Target),
    /// Say that one types, or stopped.
    Typing(Typing),
    /// Send something that is not kept to those who listen.
    Signal(Signal),
    /// Ask who is online in a room.
    Presence(RoomId),
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
            Self::Edit(_) => "edit",
            Self::Delete(_) => "delete",
            Self::React(_) => "react",
            Self::Read(_) => "read",
            Self::Typing(_) => "typing",
            Self::Signal(_) => "signal",
            Self::Presence(_) => "presence",
            Self::History(_) => "history",
            Self::Ping => "ping",
        }
    }

    /// Every name of [`Operation::name`].
    pub const NAMES: [&'static str; 13] = [
        "hello",
        "subscribe",
        "unsubscribe",
        "send",
        "edit",
        "delete",
        "react",
        "read",
        "typing",
        "signal",
        "presence",
        "history",
        "ping",
    ];
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
    /// The last `rev` the client has; it wants what changed since. Only together with
    /// `after_seq`.
    pub after_rev: Option<u64>,
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

/// A message, named by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The room.
    pub room: RoomId,
    /// The message.
    pub seq: u64,
}

/// `edit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The message.
    pub target: Target,
    /// Its new text.
    pub body: Arc<str>,
    /// Only if its `rev` is still this; 0 = it was never changed.
    pub if_rev: Option<u64>,
}

/// `react`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct React {
    /// The message.
    pub target: Target,
    /// With what.
    pub emoji: Emoji,
    /// Set, or taken back.
    pub on: bool,
}

/// `typing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub room: RoomId,
    /// Types, or stopped.
    pub on: bool,
}

/// `signal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Where to.
    pub room: RoomId,
    /// At most `SIGNAL_BYTES_MAX` bytes.
    pub data: Arc<str>,
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
