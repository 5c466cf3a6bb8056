//! Reads a socket's frames.
//!
//! A connection that had more to say than is read in one turn, and one that ended, go on only when
//! the turnstile of their thread lets them through: however many there are of them, those who say
//! little are served in between.

use super::{
    decoder::{Decoder, Found},
    socket::Transport,
};
use crate::edge::turnstile::{Ticket, Turnstile};
use bytes::{Buf, BytesMut};
use madang_actors::connection::{Flow, Incoming, Source};
use madang_protocol::websocket::Opcode;
use std::{
    cell::RefCell,
    io::ErrorKind::{Interrupted, WouldBlock},
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
    carry: BytesMut,
    turnstile: Turnstile,
    /// There while it has more to do than one turn's share.
    ticket: Option<Box<Ticket>>,
    /// The transport ended, which is not told yet.
    is_at_end: bool,
    /// The peer broke the rules: what still comes is thrown away until it ends.
    is_broken: bool,
}

impl FrameSource {
    /// `carry` was read behind the request: the first frames.
    pub(super) fn new(
        socket: Rc<Transport>,
        frame_bytes_max: usize,
        carry: &[u8],
        turnstile: Turnstile,
    ) -> Self {
        let (decoder, carry) = (Decoder::new(frame_bytes_max), BytesMut::from(carry));
        Self { socket, decoder, carry, turnstile, ticket: None, is_at_end: false, is_broken: false }
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
        // What is left stays where it is: copied at each turn, or each read of a long frame, it
        // would cost the square of its length.
        carry.advance(used);
        if !carry.is_empty() {
            self.carry = carry;
        }
        flow
    }

    fn read(&mut self, each: &mut dyn FnMut(Incoming<'_>) -> Flow) -> Flow {
        READ_BUFFER.with_borrow_mut(|buffer| match self.socket.try_read(buffer) {
            Ok(0) => self.ended(),
            Ok(_) if self.is_broken => Flow::More,
            Ok(count) if self.carry.is_empty() => {
                let bytes = &mut buffer[..count];
                let (used, flow) = self.decode(bytes, each);
                self.carry = BytesMut::from(&bytes[used..]);
                flow
            }
            Ok(count) => {
                self.carry.extend_from_slice(&buffer[..count]);
                self.decode_carry(each)
            }
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => Flow::More,
            Err(_) => self.ended(),
        })
    }

    fn ended(&mut self) -> Flow {
        self.is_at_end = true;
        Flow::Pause
    }

    /// One turn's share of what there is to do.
    fn turn(
        &mut self,
        task: &mut Context<'_>,
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<Flow> {
        if self.is_at_end {
            each(Incoming::End);
            return Poll::Ready(Flow::More);
        }
        if !self.carry.is_empty() && self.decode_carry(each) == Flow::Pause {
            return Poll::Ready(Flow::Pause);
        }
        ready!(self.socket.poll_read_ready(task, self.carry.is_empty()));
        Poll::Ready(self.read(each))
    }
}

impl Source for FrameSource {
    fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<()> {
        let step = match &self.ticket {
            Some(ticket) => Some(ready!(ticket.poll_pass(task))),
            None => None,
        };
        let turn = self.turn(task, each);
        drop(step);
        if turn == Poll::Ready(Flow::Pause) {
            let new = || Box::new(self.turnstile.ticket());
            self.ticket.get_or_insert_with(new);
        } else {
            self.ticket = None;
        }
        turn.map(|_| ())
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

#[cfg(test)]
mod tests {
    use super::{
        super::{poller::Poller, socket::Stream},
        *,
    };
    use std::future::poll_fn;
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
        task::{LocalSet, spawn_local, yield_now},
    };

    const CONNECTIONS: usize = 20;
    /// A text of one letter, masked with nothing.
    const FRAME: &[u8] = b"\x81\x81\0\0\0\0x";

    /// What connections and a chat beside them did, in order: a frame, an end, a turn of the chat.
    type Log = Rc<RefCell<String>>;

    /// Reads to the end, one frame a turn.
    async fn read(mut source: FrameSource, log: Log) {
        let mut is_over = false;
        while !is_over {
            poll_fn(|task| {
                source.poll_read(task, &mut |incoming| {
                    is_over = incoming == Incoming::End;
                    log.borrow_mut().push(if is_over { 'e' } else { 'f' });
                    Flow::Pause
                })
            })
            .await;
        }
    }

    async fn chat(log: Log) {
        loop {
            log.borrow_mut().push('c');
            yield_now().await;
        }
    }

    /// Twenty connections at once that say so many things, and end.
    async fn log_of(frames: usize) -> String {
        let (log, turnstile) = (Log::default(), Turnstile::start());
        let poller = Poller::start(|| ()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (chat, mut readers) = (spawn_local(chat(log.clone())), Vec::new());
        for _ in 0..CONNECTIONS {
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let stream = listener.accept().await.unwrap().0.into_std().unwrap();
            let socket = poller.add(Stream::Plain(stream)).unwrap();
            peer.write_all(&FRAME.repeat(frames)).await.unwrap();
            let source = FrameSource::new(socket, 1_000, &[], turnstile.clone());
            readers.push(spawn_local(read(source, log.clone())));
        }
        for reader in readers {
            reader.await.unwrap();
        }
        chat.abort();
        log.take()
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_end_together_end_one_by_one() {
        let log = LocalSet::new().run_until(log_of(0)).await;
        assert_eq!(log.matches('e').count(), CONNECTIONS, "{log}");
        assert!(!log.contains("ee"), "the chat has its turn between two of them: {log}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_say_much_take_turns_with_those_that_say_little() {
        let log = LocalSet::new().run_until(log_of(10)).await;
        assert_eq!(log.matches('f').count(), 10 * CONNECTIONS, "{log}");
        // The first turn of each waits for nobody.
        let together = log.as_bytes().windows(2).filter(|pair| pair == b"ff").count();
        assert!(together <= CONNECTIONS, "the chat has its turn between two of them: {log}");
    }
}
