//! One client's socket, as an actor.
//!
//! **In**: frames from the socket ([`Source`]); answers to what it asked of rooms, audiences and
//! the store; from its hub, that it is being closed, or has room for more replay. **Out**:
//! answers through its slot in the hub; sends to rooms; requests to be attached to audiences.
//!
//! ```text
//! Fresh --hello--> Authenticating --session found--> Live --close frame sent--> Closing
//! ```
//!
//! **Bounds**: `in_flight_sends` unanswered sends, beyond that `overloaded`; [`REQUESTS_MAX`]
//! other unanswered requests, beyond that reading pauses; `subscriptions_max` rooms;
//! `frames_per_second` frames, beyond that `rate_limited`, and closed with 4029 when that goes on.
//! **Replay** is paged by the reader's own pace: the next page, or the next room, is fetched when
//! the out-queue is below half, so a resume never trips the out-queue's bound by itself; what is
//! committed meanwhile is part of the replay. Pages of history are read in the same way, one at a
//! time. **Invariants**: sends to one room reach it in the
//! order they were read; the answer to a subscription precedes what the subscription brings.

mod actor;
pub mod allowance;
pub mod logic;
pub mod replay;
mod source;
#[cfg(test)]
mod tests;

pub use actor::{ConnectionActor, ConnectionMessage, ConnectionServices, start};
pub use source::{Authentication, Authenticator, Flow, Incoming, Source};

use madang_protocol::{Place, codec::Codec};

/// Messages of hubs waiting in the inbox; answers are bounded by what was asked.
pub const INBOX_BOUND: usize = 256;
/// Unanswered requests other than sends.
pub const REQUESTS_MAX: usize = 16;
/// Frames read in one turn.
pub const TURN_FRAMES: usize = 64;
/// Messages, or changes, of one page of a replay.
pub const REPLAY_PAGE_MESSAGES: usize = 100;

/// The settings a connection works by; 0 = off where it says so.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Frames a second in the long run; 0 = off.
    pub frames_per_second: u32,
    /// Frames at once.
    pub frames_burst: u32,
    /// Unanswered sends; 0 = off.
    pub in_flight_sends: usize,
    /// Longest message body, bytes; 0 = off.
    pub body_bytes_max: usize,
    /// Rooms received at once; 0 = off. `all` takes the latest so many.
    pub subscriptions_max: usize,
    /// Missed messages replayed; 0 = off.
    pub replay_limit: u64,
    /// Bytes of one page, read as history or replayed: a quarter of the out-queue, so that a page
    /// of each fits above its lower half.
    pub page_bytes_max: usize,
    /// Members of a room among which `presence` is told at most.
    pub presence_members_max: usize,
    /// Told to the client in `hello`.
    pub heartbeat_ms: u64,
    /// Told to the client in `hello`.
    pub frame_bytes_max: usize,
}

/// What is spoken on a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// The protocol, written like this.
    Protocol(Codec),
    /// Whatever is said is said back, without a `hello`: for suites that test framing.
    Echo,
}

impl Speech {
    /// How frames of the node's own are written.
    fn codec(self) -> Codec {
        match self {
            Self::Protocol(codec) => codec,
            Self::Echo => Codec::Json,
        }
    }
}

/// What became of a reader that wanted to be attached to a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// It got what it missed, and gets everything from now on.
    Live,
    /// It misses more than is kept in memory: read pages first. The room stands here.
    Behind(Place),
    /// Memberships of the room changed meanwhile: look again whether it may.
    Recheck,
}
