//! What is held to be true of any bytes a client may send: plain functions that panic when it is
//! not. `tests/fuzz` drives them with mutated frames, `cargo fuzz` by coverage.

use madang::edge::websocket::decoder::{Decoder, Found};
use madang_protocol::{
    CloseCode,
    codec::{Codec, DecodeError},
    frame::NodeFrame,
    limits::NUMBER_END,
    websocket::Opcode,
};

/// A text frame is decided upon, always in the same way, and the answer can be written.
pub(crate) fn json(bytes: &[u8]) {
    decided(Codec::Json, bytes);
}

/// The same of a binary frame.
pub(crate) fn msgpack(bytes: &[u8]) {
    decided(Codec::MessagePack, bytes);
}

fn decided(codec: Codec, bytes: &[u8]) {
    let decision = codec.decode(bytes);
    assert_eq!(codec.decode(bytes), decision, "decided again");
    let id = match &decision {
        Ok(request) => request.id,
        Err(DecodeError::Refused { id, .. }) => *id,
        Err(DecodeError::Undecodable) => None,
    };
    assert!(id.is_none_or(|id| id < NUMBER_END), "an id no client can read");
    if let Err(DecodeError::Refused { id, refusal }) = decision {
        let answer = NodeFrame::refusal(id, refusal);
        for codec in Codec::ALL {
            assert!(!codec.encode(&answer).is_empty());
        }
    }
}

/// Most bytes of a message; small, so that many inputs reach it.
const MESSAGE_BYTES_MAX: usize = 512;

/// However a stream is cut into reads, the same is found in it, up to the same error, and no
/// message is larger than allowed. The first byte says how it is cut.
pub(crate) fn framing(bytes: &[u8]) {
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let whole = read(stream, stream.len().max(1));
    for message in &whole.0 {
        let of_control = matches!(message.0, Opcode::Ping | Opcode::Pong | Opcode::Close);
        assert!(message.1.len() <= if of_control { 125 } else { MESSAGE_BYTES_MAX });
        let is_text = message.0 == Opcode::Text;
        assert!(!is_text || std::str::from_utf8(&message.1).is_ok(), "text that is none");
    }
    assert_eq!(read(stream, usize::from(*cut).max(1)), whole, "cut every {cut} bytes");
}

type Read = (Vec<(Opcode, Vec<u8>)>, Option<CloseCode>);

/// What a decoder finds in a stream of which it gets so many bytes at once.
fn read(stream: &[u8], step: usize) -> Read {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let (mut found, mut waiting) = (Vec::new(), Vec::new());
    for part in stream.chunks(step) {
        waiting.extend_from_slice(part);
        loop {
            match decoder.decode(&mut waiting) {
                Ok(None) => break,
                Ok(Some((used, one))) => {
                    match one {
                        Found::Message(opcode, payload) => {
                            found.push((opcode, payload.as_ref().to_vec()));
                        }
                        Found::Control(opcode, payload) => found.push((opcode, payload.to_vec())),
                        Found::Fragment => {}
                    }
                    assert!((1..=waiting.len()).contains(&used), "goes on, within what is there");
                    waiting.drain(..used);
                }
                Err(code) => return (found, Some(code)),
            }
        }
    }
    (found, None)
}
