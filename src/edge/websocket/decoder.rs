//! From bytes to whole messages (RFC 6455 section 5): pure.
//!
//! ```text
//!  byte 0                   byte 1             2 or 8 bytes       4 bytes   payload
//! | FIN | RSV=0 | opcode 4b | MASK=1 | len 7b | len if 126, 127 | mask key | masked |
//! ```
//!
//! A client must mask. Lengths are checked when the header is read, before memory is taken for
//! what they announce; the fragments of a message are summed.

use madang_protocol::{
    CloseCode,
    websocket::{CONTROL_PAYLOAD_MAX, Opcode},
};

/// The longest header: two bytes, a 64-bit length, a mask key.
pub const HEADER_BYTES_MAX: usize = 14;
/// The first byte of a pong that is whole.
const PONG: u8 = 0x8a;
/// Of the second byte: the payload is masked.
const MASKED: u8 = 0x80;

/// Reads the frames of one connection.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: usize,
    /// The message whose last fragment has not come. Bounded by `message_bytes_max`.
    fragments: Option<Fragments>,
}

#[derive(Debug)]
struct Fragments {
    opcode: Opcode,
    bytes: Vec<u8>,
}

/// What a decoder found at the start of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// A whole message: text (checked to be UTF-8) or binary.
    Message(Opcode, Payload<'a>),
    /// Ping, pong or close, with its payload.
    Control(Opcode, &'a [u8]),
    /// A fragment was put aside.
    Fragment,
}

/// A message in the caller's bytes, or put together from fragments.
#[derive(Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Unmasked in place.
    Borrowed(&'a [u8]),
    /// Put together.
    Owned(Vec<u8>),
}

impl AsRef<[u8]> for Payload<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

struct Header {
    is_final: bool,
    opcode: Opcode,
    mask: [u8; 4],
    payload_start: usize,
    payload_length: usize,
}

impl Decoder {
    /// Takes messages of up to so many bytes.
    pub fn new(message_bytes_max: usize) -> Self {
        Self { message_bytes_max, fragments: None }
    }

    /// Takes the first frame off `bytes`: how long it is, and what was found. `None`: there is
    /// more to come. An error is final.
    pub fn decode<'a>(
        &mut self,
        bytes: &'a mut [u8],
    ) -> Result<Option<(usize, Found<'a>)>, CloseCode> {
        let Some(header) = self.header(bytes)? else {
            return Ok(None);
        };
        let end = header.payload_start + header.payload_length;
        let Some(payload) = bytes.get_mut(header.payload_start..end) else {
            return Ok(None);
        };
        unmask(payload, header.mask);
        Ok(Some((end, self.found(&header, payload)?)))
    }

    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, CloseCode> {
        let [first, second, rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(CloseCode::ProtocolError)?;
        let is_final = first & 0x80 != 0;
        let has_extensions = first & 0x70 != 0;
        let is_masked = second & MASKED != 0;
        if has_extensions || !is_masked || !self.may_follow(opcode, is_final) {
            return Err(CloseCode::ProtocolError);
        }
        let Some((length, length_bytes)) = payload_length(second & 0x7f, rest)? else {
            return Ok(None);
        };
        if opcode.is_control() && length > CONTROL_PAYLOAD_MAX as u64 {
            return Err(CloseCode::ProtocolError);
        }
        let waiting = self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len());
        let is_data = !opcode.is_control();
        if is_data && length > (self.message_bytes_max - waiting) as u64 {
            return Err(CloseCode::TooBig);
        }
        let Some(mask) = rest.get(length_bytes..length_bytes + 4) else {
            return Ok(None);
        };
        Ok(Some(Header {
            is_final,
            opcode,
            mask: mask.try_into().expect("four bytes"),
            payload_start: 2 + length_bytes + 4,
            payload_length: usize::try_from(length).map_err(|_| CloseCode::TooBig)?,
        }))
    }

    /// Fragments of one message follow one another; only control frames come between.
    fn may_follow(&self, opcode: Opcode, is_final: bool) -> bool {
        match opcode {
            Opcode::Continuation => self.fragments.is_some(),
            Opcode::Text | Opcode::Binary => self.fragments.is_none(),
            Opcode::Close | Opcode::Ping | Opcode::Pong => is_final,
        }
    }

    fn found<'a>(&mut self, header: &Header, payload: &'a [u8]) -> Result<Found<'a>, CloseCode> {
        if header.opcode.is_control() {
            if header.opcode == Opcode::Close {
                check_close(payload)?;
            }
            return Ok(Found::Control(header.opcode, payload));
        }
        if header.is_final && self.fragments.is_none() {
            check_text(header.opcode, payload)?;
            return Ok(Found::Message(header.opcode, Payload::Borrowed(payload)));
        }
        let new = || Fragments { opcode: header.opcode, bytes: Vec::new() };
        self.fragments.get_or_insert_with(new).bytes.extend_from_slice(payload);
        match self.fragments.take_if(|_| header.is_final) {
            None => Ok(Found::Fragment),
            Some(Fragments { opcode, bytes }) => {
                check_text(opcode, &bytes)?;
                Ok(Found::Message(opcode, Payload::Owned(bytes)))
            }
        }
    }
}

/// How many answers to pings these are, if they are nothing else and the last is whole. For bytes at whose
/// begin a frame begins.
pub fn count_if_pongs(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while let [PONG, second, rest @ ..] = bytes {
        let length = usize::from(second.checked_sub(MASKED)?);
        if length > CONTROL_PAYLOAD_MAX {
            return None;
        }
        bytes = rest.get(4 + length..)?;
        count += 1;
    }
    bytes.is_empty().then_some(count)
}

/// The payload's length and how many bytes say it; `None`: not all of them are here.
fn payload_length(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, CloseCode> {
    Ok(match short {
        126 => rest.first_chunk().map(|bytes| (u64::from(u16::from_be_bytes(*bytes)), 2)),
        127 => match rest.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)) {
            Some(length) if length >> 63 != 0 => return Err(CloseCode::ProtocolError),
            length => length.map(|length| (length, 8)),
        },
        length => Some((u64::from(length), 0)),
    })
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    let key = u32::from_ne_bytes(mask);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask) {
        *byte ^= key;
    }
}

fn check_text(opcode: Opcode, payload: &[u8]) -> Result<(), CloseCode> {
    if opcode == Opcode::Text && simdutf8::basic::from_utf8(payload).is_err() {
        return Err(CloseCode::Undecodable);
    }
    Ok(())
}

/// Empty, or a code that may be sent (RFC 6455 section 7.4) and words in UTF-8.
fn check_close(payload: &[u8]) -> Result<(), CloseCode> {
    let [first, second, reason @ ..] = payload else {
        return if payload.is_empty() { Ok(()) } else { Err(CloseCode::ProtocolError) };
    };
    match u16::from_be_bytes([*first, *second]) {
        1000..=1003 | 1007..=1014 | 3000..=4999 => check_text(Opcode::Text, reason),
        _ => Err(CloseCode::ProtocolError),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    const FIN: u8 = 0x80;

    /// A masked client frame.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            length => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    fn message(decoder: &mut Decoder, bytes: &mut [u8]) -> Option<(Opcode, Vec<u8>)> {
        match decoder.decode(bytes).unwrap().unwrap() {
            (_, Found::Message(opcode, payload)) => Some((opcode, payload.as_ref().to_vec())),
            _ => None,
        }
    }

    fn error(bytes: &[u8]) -> CloseCode {
        Decoder::new(1_000).decode(&mut bytes.to_vec()).unwrap_err()
    }

    #[test]
    fn a_message_of_any_length() {
        for length in [0, 1, 3, 4, 5, 125, 126, 127, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|index| b'a' + (index % 26) as u8).collect();
            for opcode in [Opcode::Text, Opcode::Binary] {
                let mut bytes = frame(FIN | opcode as u8, &payload);
                let whole = bytes.len();
                bytes.extend(b"next");
                let mut decoder = Decoder::new(100_000);
                match decoder.decode(&mut bytes).unwrap().unwrap() {
                    (used, Found::Message(found, Payload::Borrowed(bytes))) => {
                        assert_eq!((used, found, bytes), (whole, opcode, &payload[..]));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    #[test]
    fn less_than_a_frame_waits_and_stays_masked() {
        let whole = frame(FIN | 1, &[b'x'; 300]);
        for length in 0..whole.len() {
            let mut part = whole[..length].to_vec();
            assert_eq!(Decoder::new(1_000).decode(&mut part), Ok(None), "{length} bytes");
            assert_eq!(part, whole[..length]);
        }
    }

    #[test]
    fn fragments_with_a_ping_between() {
        let mut decoder = Decoder::new(100);
        assert_eq!(
            decoder.decode(&mut frame(1, "h\u{e9}".as_bytes()[..2].as_ref())),
            Ok(Some((8, Found::Fragment)))
        );
        assert_eq!(
            decoder.decode(&mut frame(FIN | 9, b"?")),
            Ok(Some((7, Found::Control(Opcode::Ping, b"?"))))
        );
        assert_eq!(decoder.decode(&mut frame(0, b"")), Ok(Some((6, Found::Fragment))));
        let last = message(&mut decoder, &mut frame(FIN, &[0xa9]));
        assert_eq!(last, Some((Opcode::Text, "h\u{e9}".as_bytes().to_vec())));
        let next = message(&mut decoder, &mut frame(FIN | 2, &[0xff]));
        assert_eq!(next, Some((Opcode::Binary, vec![0xff])));
    }

    #[test]
    fn only_whole_pongs_are_counted() {
        let (pong, long) = (frame(FIN | 10, b""), frame(FIN | 10, &[b'x'; 125]));
        for (pongs, bytes) in [(0, vec![]), (1, pong.clone()), (3, [&*pong, &long, &pong].concat())]
        {
            assert_eq!(count_if_pongs(&bytes), Some(pongs), "{bytes:?}");
        }
        let others: [(&str, Vec<u8>); 7] = [
            ("a part of the first", pong[..1].to_vec()),
            ("a part of the last", [&pong, &long[..50]].concat()),
            ("a ping behind it", [pong.clone(), frame(FIN | 9, b"")].concat()),
            ("a message", frame(FIN | 1, b"hi")),
            ("not masked", vec![FIN | 10, 0]),
            ("too long", frame(FIN | 10, &[0; 126])),
            ("a fragment", frame(10, b"")),
        ];
        for (what, bytes) in others {
            assert_eq!(count_if_pongs(&bytes), None, "{what}");
        }
    }

    #[test]
    fn sizes_are_refused_by_the_header_alone() {
        assert_eq!(error(&frame(FIN | 1, &[0; 1_001])[..8]), CloseCode::TooBig);
        let announced = [FIN | 2, 0x80 | 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(error(&announced), CloseCode::TooBig);
        let mut decoder = Decoder::new(1_000);
        decoder.decode(&mut frame(1, &[b'a'; 600])).unwrap();
        assert_eq!(decoder.decode(&mut frame(FIN, &[b'a'; 401])), Err(CloseCode::TooBig));
    }

    #[test]
    fn broken_framing() {
        let negative = [FIN | 2, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        let cases: [(&str, Vec<u8>); 10] = [
            ("not masked", vec![FIN | 1, 2, b'h', b'i']),
            ("reserved bit", frame(FIN | 0x40 | 1, b"hi")),
            ("reserved opcode", frame(FIN | 3, b"hi")),
            ("reserved control opcode", frame(FIN | 0xb, b"hi")),
            ("continuation of nothing", frame(FIN, b"hi")),
            ("fragmented ping", frame(9, b"hi")),
            ("long ping", frame(FIN | 9, &[0; 126])),
            ("negative length", negative.to_vec()),
            ("close with half a code", frame(FIN | 8, &[3])),
            ("close with a code nobody may send", frame(FIN | 8, &1005_u16.to_be_bytes())),
        ];
        for (what, bytes) in cases {
            assert_eq!(error(&bytes), CloseCode::ProtocolError, "{what}");
        }
        let mut decoder = Decoder::new(1_000);
        decoder.decode(&mut frame(1, b"a")).unwrap();
        let mut within = frame(FIN | 1, b"b");
        let second = decoder.decode(&mut within);
        assert_eq!(second, Err(CloseCode::ProtocolError), "a message within a message");
    }

    #[test]
    fn text_is_utf8() {
        assert_eq!(error(&frame(FIN | 1, &[0xff])), CloseCode::Undecodable);
        assert_eq!(error(&frame(FIN | 8, &[0x03, 0xe8, 0xff])), CloseCode::Undecodable);
        let mut decoder = Decoder::new(1_000);
        decoder.decode(&mut frame(1, &[0xc3])).unwrap();
        assert_eq!(decoder.decode(&mut frame(FIN, &[0x28])), Err(CloseCode::Undecodable));
    }

    #[test]
    fn a_goodbye() {
        for payload in [&[][..], &[0x03, 0xe8], b"\x0b\xb8bye"] {
            let mut bytes = frame(FIN | 8, payload);
            let used = bytes.len();
            let found = Decoder::new(10).decode(&mut bytes);
            assert_eq!(found, Ok(Some((used, Found::Control(Opcode::Close, payload)))));
        }
    }
}
