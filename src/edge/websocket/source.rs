//! Reads a socket's frames.

use super::{
    decoder::{Decoder, Found},
    socket::Transport,
};
use madang_actors::connection::{Flow, Incoming, Source};
use madang_protocol::websocket::Opcode;
use std::{
    cell::RefCell,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

thread_local! {
    /// One for all connections of a thread: an idle connection keeps no buffer.
    static READ_BUFFER: RefCell<Box<[u8]>> =
        RefCell::new(vec![0; READ_BYTES].into_boxed_slice());
}

/// The reading side of a connection.
pub(super) struct FrameSource {
    socket: Rc<Transport>,
    decoder: Decoder,
    /// Read and not decoded: less than a frame, or what came while reading was paused. Bounded by
    /// a frame and one read.
    carry: Vec<u8>,
    /// The peer broke the rules: what still comes is thrown away until it ends.
    is_broken: bool,
}

impl FrameSource {
    /// `carry` was read behind the request: the first frames.
    pub(super) fn new(socket: Rc<Transport>, frame_bytes_max: usize, carry: Vec<u8>) -> Self {
        Self { socket, decoder: Decoder::new(frame_bytes_max), carry, is_broken: false }
    }

    /// Decodes as far as it goes: how far that was, and whether to go on.
    fn decode(
        &mut self,
        bytes: &mut [u8],
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> (usize, Flow) {
        let mut start = 0;
        let mut flow = Flow::More;
        while flow == Flow::More && !self.is_broken {
            match self.decoder.decode(&mut bytes[start..]) {
                Ok(None) => break,
                Ok(Some((used, found))) => {
                    start += used;
                    flow = hand_over(found, each);
                }
                Err(code) => {
                    self.is_broken = true;
                    flow = each(Incoming::Broken(code));
                }
            }
        }
        (if self.is_broken { bytes.len() } else { start }, flow)
    }

    /// Decodes what was kept. Paused: there is no place for more.
    fn decode_carry(&mut self, each: &mut dyn FnMut(Incoming<'_>) -> Flow) -> Flow {
        let mut carry = std::mem::take(&mut self.carry);
        let (used, flow) = self.decode(&mut carry, each);
        // A part of a long frame grows where it is: copied at each read, it would cost the square
        // of the frame's length.
        self.carry = if used == 0 { carry } else { carry[used..].to_vec() };
        flow
    }

    fn read(&mut self, each: &mut dyn FnMut(Incoming<'_>) -> Flow) {
        READ_BUFFER.with_borrow_mut(|buffer| match self.socket.try_read(buffer) {
            Ok(0) => {
                each(Incoming::End);
            }
            Ok(_) if self.is_broken => {}
            Ok(count) if self.carry.is_empty() => {
                let bytes = &mut buffer[..count];
                let (used, _) = self.decode(bytes, each);
                self.carry = bytes[used..].to_vec();
            }
            Ok(count) => {
                self.carry.extend_from_slice(&buffer[..count]);
                self.decode_carry(each);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                each(Incoming::End);
            }
        });
    }
}

impl Source for FrameSource {
    fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<()> {
        if !self.carry.is_empty() && self.decode_carry(each) == Flow::Pause {
            return Poll::Ready(());
        }
        if ready!(self.socket.poll_read_ready(task)).is_err() {
            each(Incoming::End);
            return Poll::Ready(());
        }
        self.read(each);
        Poll::Ready(())
    }
}

fn hand_over(found: Found<'_>, each: &mut dyn FnMut(Incoming<'_>) -> Flow) -> Flow {
    match found {
        Found::Fragment => Flow::More,
        Found::Message(Opcode::Text, payload) => each(Incoming::Text(payload.as_ref())),
        Found::Message(_, payload) => each(Incoming::Binary(payload.as_ref())),
        Found::Control(Opcode::Ping, payload) => each(Incoming::Ping(payload)),
        Found::Control(Opcode::Close, _) => each(Incoming::Close),
        Found::Control(_, _) => each(Incoming::Pong),
    }
}
