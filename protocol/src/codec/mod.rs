//! From bytes to [`Request`] and from [`NodeFrame`] to bytes. A subprotocol names a codec.

pub mod fields;
pub mod json;
pub mod msgpack;
mod tree;
pub mod wire;

use crate::{
    Refusal, Request,
    frame::NodeFrame,
    websocket::{self, Opcode},
};
use bytes::Bytes;

/// How the frames of one connection are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// `madang.v1.json`, text frames.
    Json,
    /// `madang.v1.msgpack`, binary frames.
    MessagePack,
}

/// Why a frame gave no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// Not a map in this codec, or too deep: close with 1007.
    Undecodable,
    /// A map that asks for nothing we can do: answer this.
    Refused {
        /// The request's id, if it could be read.
        id: Option<u64>,
        /// What to answer.
        refusal: Refusal,
    },
}

impl Codec {
    /// Every codec; `codec as usize` is its place.
    pub const ALL: [Self; 2] = [Self::Json, Self::MessagePack];

    /// The subprotocol that names it.
    pub fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "madang.v1.json",
            Self::MessagePack => "madang.v1.msgpack",
        }
    }

    /// The frame type it uses.
    pub fn opcode(self) -> Opcode {
        match self {
            Self::Json => Opcode::Text,
            Self::MessagePack => Opcode::Binary,
        }
    }

    /// Reads one client frame. Bytes of text frames are UTF-8 already.
    pub fn decode(self, bytes: &[u8]) -> Result<Request, DecodeError> {
        match self {
            Self::Json => json::decode(bytes),
            Self::MessagePack => msgpack::decode(bytes),
        }
    }

    /// Writes one node frame, ready for the socket.
    pub fn encode(self, frame: &NodeFrame) -> Bytes {
        websocket::frame(self.opcode(), |buffer| match self {
            Self::Json => json::encode(frame, buffer),
            Self::MessagePack => msgpack::encode(frame, buffer),
        })
    }
}
