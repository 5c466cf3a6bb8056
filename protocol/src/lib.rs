//! The words two sides of a Madang connection share: ids, messages, operations, events, codes,
//! limits and codecs. Pure data and pure functions; no runtime, no actor, no clock.
//!
//! A client's frame becomes a [`Request`] in [`codec::json`]; what the node says is one of the
//! types of [`frame`], encoded by the same codec and wrapped by [`websocket`]. HTTP bodies are the
//! same objects ([`object`]). [`schema`] describes all of it to programs.

pub mod change;
pub mod code;
pub mod codec;
pub mod event;
pub mod frame;
pub mod id;
pub mod limits;
pub mod message;
pub mod object;
pub mod operation;
pub mod schema;
pub mod websocket;

pub use change::{Amended, Change, ChangeKind, Emoji, Entry, Reaction};
pub use code::{CloseCode, ErrorCode, Refusal};
pub use event::{
    Ephemeral, Event, EventBatch, Heads, MemberChange, MemberEvent, Place, Publication,
};
pub use id::{RoomId, SessionId, UserId};
pub use message::{ClientId, Message};
pub use object::{Role, RoomKind};
pub use operation::{Operation, Request};

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = u64;
