//! WebSocket frames, as little of them as a generator and a floor need: whole frames, no
//! fragments, no limits. The node's own framing is in `madang_protocol::websocket`; nothing of it
//! is used here, so that the same code drives the node and everything beside it.
//!
//! ```text
//! 1 byte   0x80 | opcode
//! 1 byte   length below 126, or 126: two bytes follow, or 127: eight; 0x80 set: masked
//! 4 bytes  mask, only from clients
//! n bytes  payload
//! ```

use std::ops::Range;

/// A frame of text.
pub const TEXT: u8 = 1;
/// A frame of bytes.
pub const BINARY: u8 = 2;
/// The end of a connection.
pub const CLOSE: u8 = 8;
/// A question whether the other side is there.
pub const PING: u8 = 9;
/// The answer to it.
pub const PONG: u8 = 10;

const MASKED: u8 = 0x80;
/// All zero, as the protocol allows: nothing has to be done to the payload.
const MASK: [u8; 4] = [0; 4];

/// Where in a buffer a whole frame stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What kind of frame it is.
    pub opcode: u8,
    /// Its payload.
    pub payload: Range<usize>,
}

/// Appends a frame as a client sends it.
pub fn encode_client(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    head(opcode, payload.len(), MASKED, out);
    out.extend_from_slice(&MASK);
    out.extend_from_slice(payload);
}

/// Appends a frame as a server sends it.
pub fn encode_server(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    head(opcode, payload.len(), 0, out);
    out.extend_from_slice(payload);
}

fn head(opcode: u8, length: usize, masked: u8, out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    if length < 126 {
        out.push(masked | length as u8);
    } else if length <= usize::from(u16::MAX) {
        out.push(masked | 126);
        out.extend_from_slice(&(length as u16).to_be_bytes());
    } else {
        out.push(masked | 127);
        out.extend_from_slice(&(length as u64).to_be_bytes());
    }
}

/// The frame at the start of `buffer`, unmasked in place; `None`: more bytes are needed.
pub fn parse(buffer: &mut [u8]) -> Option<Frame> {
    let [first, second] = *buffer.first_chunk::<2>()?;
    let (length, mut at) = length(buffer, second & 0x7f)?;
    let mut mask = MASK;
    if second & MASKED != 0 {
        mask = *buffer.get(at..)?.first_chunk::<4>()?;
        at += mask.len();
    }
    let payload = at..at.checked_add(length)?;
    let bytes = buffer.get_mut(payload.clone())?;
    if mask != MASK {
        bytes.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    Some(Frame { opcode: first & 0x0f, payload })
}

/// The length, and where what follows it begins.
fn length(buffer: &[u8], short: u8) -> Option<(usize, usize)> {
    match short {
        126 => Some((usize::from(u16::from_be_bytes(*buffer.get(2..)?.first_chunk()?)), 4)),
        127 => {
            let long = u64::from_be_bytes(*buffer.get(2..)?.first_chunk()?);
            Some((usize::try_from(long).ok()?, 10))
        }
        short => Some((usize::from(short), 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            for encode in [encode_client, encode_server] {
                let mut bytes = Vec::new();
                encode(TEXT, &payload, &mut bytes);
                let whole = bytes.len();
                assert_eq!(parse(&mut bytes[..whole - 1]), None, "{length}");
                let frame = parse(&mut bytes).expect("a whole frame");
                assert_eq!((frame.opcode, frame.payload.len()), (TEXT, length));
                assert_eq!(frame.payload.end, whole);
                assert_eq!(bytes[frame.payload], payload[..]);
            }
        }
    }

    #[test]
    fn what_is_masked_is_unmasked() {
        let mut bytes =
            vec![0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2, b'l' ^ 3, b'l' ^ 4, b'o' ^ 1];
        let frame = parse(&mut bytes).expect("a whole frame");
        assert_eq!(&bytes[frame.payload], b"hello");
    }
}
