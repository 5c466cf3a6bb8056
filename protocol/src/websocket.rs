//! What the node writes on a WebSocket: unmasked, unfragmented frames (RFC 6455 section 5.2).
//!
//! ```text
//!  byte 0          byte 1            2 or 8 bytes, big endian     payload
//! | FIN=1 | op 4b | MASK=0 | len 7b | length when len = 126, 127 | ...
//! ```
//!
//! A frame is built once, header and payload in one piece of memory, and shared by all who get it.

use crate::CloseCode;
use bytes::Bytes;

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message before.
    Continuation = 0x0,
    /// UTF-8 text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// Goodbye, with a code.
    Close = 0x8,
    /// Are you there.
    Ping = 0x9,
    /// I am here.
    Pong = 0xA,
}

impl Opcode {
    /// `None` for the reserved ones.
    pub fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Control frames may stand between the fragments of a message and are never fragmented.
    pub fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// Longest payload of a control frame, bytes.
pub const CONTROL_PAYLOAD_MAX: usize = 125;
/// Longest header the node writes, bytes: two and a 64-bit length.
const HEADER_MAX: usize = 10;
const FIN: u8 = 0x80;

/// A frame whose payload `write` appends to the buffer it is given.
pub fn frame(opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut buffer = Vec::with_capacity(256);
    buffer.resize(HEADER_MAX, 0);
    write(&mut buffer);
    let start = write_header(&mut buffer, opcode);
    Bytes::from(buffer).slice(start..)
}

/// A ping without payload; the answer says enough.
pub fn ping() -> Bytes {
    Bytes::from_static(&[FIN | Opcode::Ping as u8, 0])
}

/// The answer to a ping, repeating its payload.
pub fn pong(payload: &[u8]) -> Bytes {
    debug_assert!(payload.len() <= CONTROL_PAYLOAD_MAX, "control frames are short");
    frame(Opcode::Pong, |buffer| buffer.extend_from_slice(payload))
}

/// A close frame with the code's number and words.
pub fn close(code: CloseCode) -> Bytes {
    frame(Opcode::Close, |buffer| {
        buffer.extend_from_slice(&code.number().to_be_bytes());
        buffer.extend_from_slice(code.reason().as_bytes());
    })
}

/// Writes the header right-aligned into the `HEADER_MAX` bytes before the payload; returns where
/// it starts.
fn write_header(buffer: &mut [u8], opcode: Opcode) -> usize {
    let length = buffer.len() - HEADER_MAX;
    let first = FIN | opcode as u8;
    if length < 126 {
        let start = HEADER_MAX - 2;
        buffer[start] = first;
        buffer[start + 1] = u8::try_from(length).expect("below 126");
        start
    } else if let Ok(short) = u16::try_from(length) {
        let start = HEADER_MAX - 4;
        buffer[start] = first;
        buffer[start + 1] = 126;
        buffer[start + 2..HEADER_MAX].copy_from_slice(&short.to_be_bytes());
        start
    } else {
        buffer[0] = first;
        buffer[1] = 127;
        buffer[2..HEADER_MAX].copy_from_slice(&(length as u64).to_be_bytes());
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_grows_with_the_payload() {
        let cases: [(usize, &[u8]); 5] = [
            (0, &[0x82, 0]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65_535, &[0x82, 126, 0xff, 0xff]),
            (65_536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ];
        for (length, header) in cases {
            let frame = frame(Opcode::Binary, |buffer| buffer.resize(buffer.len() + length, 7));
            assert_eq!(&frame[..header.len()], header, "payload of {length}");
            assert_eq!(frame.len(), header.len() + length);
        }
    }

    #[test]
    fn control_frames() {
        assert_eq!(&ping()[..], [0x89, 0]);
        assert_eq!(&pong(b"hi")[..], [0x8a, 2, b'h', b'i']);
        let close = close(CloseCode::TooSlow);
        assert_eq!(close[..4], [0x88, 18, 0x0f, 0xa8]);
        assert_eq!(&close[4..], b"too slow, resume");
    }
}
