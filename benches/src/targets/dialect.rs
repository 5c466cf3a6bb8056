//! How to talk with each kind of server, so that one generator drives them all.

use crate::frame::{BINARY, TEXT, encode_client};
use serde_json::Value;
use std::fmt::Write;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The floor, and `ws` on Node: `JOIN room`, `PUB payload`.
    Plain,
    /// Socket.IO 4 with the events `join` and `pub`.
    SocketIo,
    /// The node, in JSON.
    Madang,
    /// The node, in MessagePack.
    MadangPack,
}

/// Who sits on one connection.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    /// The room it reads; empty, on a node: none.
    pub room: String,
    /// The session, where there are any.
    pub token: String,
    /// What was read before, where it resumes.
    pub after_seq: Option<u64>,
}

/// What a frame means to somebody who is greeting a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Nothing; wait on.
    Other,
    /// This step is done.
    Next,
    /// The server does not want it.
    Refused,
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To whoever is there now; nothing is stored.
    Signal,
    /// A message: stored, numbered, then told. The same as `Signal` to servers that store nothing.
    Send,
}

/// A message to be published.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    /// Stored or not.
    pub kind: Kind,
    /// Where.
    pub room: &'a str,
    /// What: printable ASCII without quotes or backslashes.
    pub body: &'a str,
    /// Unlike that of any other message of this process.
    pub number: u64,
    /// To be answered, with this number; `None`: only a refusal is told.
    pub id: Option<u64>,
}

impl Dialect {
    /// What the server is asked for by its clients' first line.
    pub fn path(self) -> &'static str {
        match self {
            Self::Plain => "/ws",
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket",
            Self::Madang | Self::MadangPack => "/v1/ws",
        }
    }

    /// The line of a request that asks for it; empty: it need not be asked for.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::MadangPack => "Sec-WebSocket-Protocol: madang.v1.msgpack\r\n",
            Self::Plain | Self::SocketIo | Self::Madang => "",
        }
    }

    /// Appends the frame that says `words`, which are JSON to a node.
    pub fn frame(self, words: &str, out: &mut Vec<u8>) {
        match self {
            Self::MadangPack => encode_client(BINARY, &packed(words), out),
            Self::Plain | Self::SocketIo | Self::Madang => {
                encode_client(TEXT, words.as_bytes(), out);
            }
        }
    }

    /// Steps of a greeting, after the upgrade.
    pub fn steps(self) -> u8 {
        match self {
            Self::Plain | Self::Madang | Self::MadangPack => 1,
            Self::SocketIo => 3,
        }
    }

    /// What a client says at the beginning of a step; `None`: it listens.
    pub fn say(self, step: u8, seat: &Seat) -> Option<String> {
        match (self, step) {
            (Self::Plain, _) => Some(format!("JOIN {}", seat.room)),
            (Self::SocketIo, 0) => None,
            (Self::SocketIo, 1) => Some("40".to_owned()),
            (Self::SocketIo, _) => Some(format!("420[\"join\",\"{}\"]", seat.room)),
            (Self::Madang | Self::MadangPack, _) => Some(hello(seat)),
        }
    }

    /// What an answer means in a step.
    pub fn heard(self, step: u8, payload: &[u8]) -> Heard {
        let is_done = match (self, step) {
            (Self::Plain, _) => payload == b"OK",
            (Self::SocketIo, 0) => payload.starts_with(b"0"),
            (Self::SocketIo, 1) => payload.starts_with(b"40"),
            (Self::SocketIo, _) => payload.starts_with(b"430"),
            (Self::Madang, _) => payload.starts_with(b"{\"op\":\"ok\""),
            (Self::MadangPack, _) => has_op(payload, b"\xa2ok"),
        };
        let is_refused = match self {
            Self::Madang => payload.starts_with(b"{\"op\":\"error\""),
            Self::MadangPack => has_op(payload, b"\xa5error"),
            Self::SocketIo => payload.starts_with(b"44"),
            Self::Plain => false,
        };
        match (is_done, is_refused) {
            (_, true) => Heard::Refused,
            (true, _) => Heard::Next,
            _ => Heard::Other,
        }
    }

    /// Appends the frame that publishes.
    pub fn publish(self, what: &Publication<'_>, scratch: &mut String, out: &mut Vec<u8>) {
        scratch.clear();
        let written = match self {
            Self::Plain => write!(scratch, "PUB {}", what.body),
            Self::SocketIo => write!(scratch, "42[\"pub\",\"{}\"]", what.body),
            Self::Madang | Self::MadangPack => madang(what, scratch),
        };
        debug_assert!(written.is_ok(), "a string takes everything");
        self.frame(scratch, out);
    }
}

/// The same in MessagePack: maps with names.
fn packed(json: &str) -> Vec<u8> {
    let value: Value = serde_json::from_str(json).expect("JSON that was just written");
    rmp_serde::to_vec(&value).expect("whatever is JSON")
}

/// Whether a small map begins with this `op`.
fn has_op(map: &[u8], op: &[u8]) -> bool {
    map.get(1..).and_then(|map| map.strip_prefix(b"\xa2op")).is_some_and(|map| map.starts_with(op))
}

fn hello(seat: &Seat) -> String {
    let Seat { room, token, after_seq } = seat;
    if room.is_empty() {
        return format!("{{\"op\":\"hello\",\"id\":1,\"token\":\"{token}\",\"subscribe\":[]}}");
    }
    let after = after_seq.map(|seq| format!(",\"after_seq\":{seq}")).unwrap_or_default();
    format!(
        "{{\"op\":\"hello\",\"id\":1,\"token\":\"{token}\",\
         \"subscribe\":[{{\"room\":\"{room}\"{after}}}]}}"
    )
}

fn madang(what: &Publication<'_>, out: &mut String) -> std::fmt::Result {
    let Publication { kind, room, body, number, id } = what;
    out.push('{');
    if let Some(id) = id {
        write!(out, "\"id\":{id},")?;
    }
    match kind {
        Kind::Signal => write!(out, "\"op\":\"signal\",\"room\":\"{room}\",\"data\":\"{body}\"}}"),
        Kind::Send => write!(
            out,
            "\"op\":\"send\",\"room\":\"{room}\",\"client_id\":\"{}-{number}\",\
             \"body\":\"{body}\"}}",
            std::process::id()
        ),
    }
}
