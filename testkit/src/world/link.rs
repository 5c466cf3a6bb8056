//! A connection without a network: the transport between a client and a node.
//!
//! Below the framing of what clients write, above that of what the node writes: the node's frames
//! are parsed from its bytes here, so a frame that was torn or mixed up would be seen.

use madang_actors::{
    connection::{Flow, Incoming, Source},
    hub::Socket,
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Bytes the node may write before the client reads them: what a kernel's buffers take.
pub(super) const PIPE_BYTES: usize = 16 * 1024;

/// What a client says.
#[derive(Debug)]
enum Said {
    Text(Vec<u8>),
    Pong,
    Close,
}

/// What a client hears.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole text.
    Text(Vec<u8>),
    /// Answer it.
    Ping,
    /// The node says goodbye.
    Close(u16),
    /// Anything else: the node broke the framing.
    Broken,
}

#[derive(Default)]
struct Pipe {
    to_node: VecDeque<Said>,
    to_client: VecDeque<u8>,
    /// Taken by the client, not a whole frame yet.
    received: VecDeque<u8>,
    node_reads: Option<Waker>,
    node_writes: Option<Waker>,
    client_reads: Option<Waker>,
    /// The client hung up, or the cable is cut: nothing goes either way.
    is_cut: bool,
    /// The node will write nothing more.
    is_ended: bool,
}

/// The client's end. Dropping it hangs up.
pub(super) struct ClientEnd(Rc<RefCell<Pipe>>);

/// The node's end, for reading and for writing. Dropping both ends the link.
pub(super) struct NodeEnd(Rc<RefCell<Pipe>>);

/// A way to cut the link, as when the node's machine dies.
pub(super) struct Cable(std::rc::Weak<RefCell<Pipe>>);

/// A fresh link: the client's end, the node's for writing and for reading, and the cable.
pub(super) fn link() -> (ClientEnd, NodeEnd, NodeEnd, Cable) {
    let pipe = Rc::new(RefCell::new(Pipe::default()));
    let cable = Cable(Rc::downgrade(&pipe));
    (ClientEnd(pipe.clone()), NodeEnd(pipe.clone()), NodeEnd(pipe), cable)
}

impl Cable {
    /// What was not read yet is lost, and both sides see the end.
    pub(super) fn cut(&self) {
        if let Some(pipe) = self.0.upgrade() {
            pipe.borrow_mut().cut();
        }
    }
}

impl Pipe {
    fn cut(&mut self) {
        self.is_cut = true;
        self.to_node.clear();
        self.to_client.clear();
        for waker in [&mut self.node_reads, &mut self.node_writes, &mut self.client_reads] {
            waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// The first frame, if all of it is there.
    fn take_frame(&mut self) -> Option<Frame> {
        let bytes = &self.received;
        let (first, second) = (*bytes.front()?, *bytes.get(1)?);
        let wide = |count: usize| {
            let digits = (2..2 + count).map(|place| bytes.get(place).copied());
            digits.map(|digit| digit.map(usize::from)).sum_wide()
        };
        let (header, length) = match second {
            126 => (4, wide(2)?),
            127 => (10, wide(8)?),
            short => (2, usize::from(short)),
        };
        if bytes.len() < header + length {
            return None;
        }
        let payload: Vec<u8> = self.received.drain(..header + length).skip(header).collect();
        Some(match (first, &payload[..]) {
            (0x81, _) => Frame::Text(payload),
            (0x89, _) => Frame::Ping,
            (0x88, [high, low, ..]) => Frame::Close(u16::from_be_bytes([*high, *low])),
            _ => Frame::Broken,
        })
    }
}

/// Bytes as one big-endian number; `None` when one is missing.
trait SumWide {
    fn sum_wide(self) -> Option<usize>;
}

impl<I: Iterator<Item = Option<usize>>> SumWide for I {
    fn sum_wide(mut self) -> Option<usize> {
        self.try_fold(0, |sum, digit| Some(sum << 8 | digit?))
    }
}

impl ClientEnd {
    /// Says a text. Lost when the link is.
    pub(super) fn say(&self, text: String) {
        self.put(Said::Text(text.into_bytes()));
    }

    /// Answers a ping.
    pub(super) fn pong(&self) {
        self.put(Said::Pong);
    }

    /// Says goodbye.
    pub(super) fn close(&self) {
        self.put(Said::Close);
    }

    /// The next frame that is there. `None`: nothing now.
    pub(super) fn take(&self) -> Option<Frame> {
        let pipe = &mut *self.0.borrow_mut();
        if !pipe.to_client.is_empty() {
            pipe.received.append(&mut pipe.to_client);
            pipe.node_writes.take().into_iter().for_each(Waker::wake);
        }
        pipe.take_frame()
    }

    /// Nothing more will come than what is there.
    pub(super) fn is_over(&self) -> bool {
        let pipe = self.0.borrow();
        pipe.is_cut || (pipe.is_ended && pipe.to_client.is_empty())
    }

    /// Returns when a frame, or the end, is there.
    pub(super) async fn readable(&self) {
        std::future::poll_fn(|task| {
            let mut pipe = self.0.borrow_mut();
            if pipe.is_cut || pipe.is_ended || !pipe.to_client.is_empty() {
                return Poll::Ready(());
            }
            pipe.client_reads = Some(task.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn put(&self, said: Said) {
        let mut pipe = self.0.borrow_mut();
        if !pipe.is_cut {
            pipe.to_node.push_back(said);
            pipe.node_reads.take().into_iter().for_each(Waker::wake);
        }
    }
}

impl Drop for ClientEnd {
    fn drop(&mut self) {
        self.0.borrow_mut().cut();
    }
}

impl Drop for NodeEnd {
    fn drop(&mut self) {
        let mut pipe = self.0.borrow_mut();
        pipe.is_ended = true;
        pipe.client_reads.take().into_iter().for_each(Waker::wake);
    }
}

impl Socket for NodeEnd {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.0.borrow_mut();
        if pipe.is_cut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(PIPE_BYTES.saturating_sub(pipe.to_client.len()));
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.to_client.extend(&bytes[..count]);
        pipe.client_reads.take().into_iter().for_each(Waker::wake);
        Ok(count)
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = self.0.borrow_mut();
        if pipe.is_cut || pipe.to_client.len() < PIPE_BYTES {
            return Poll::Ready(Ok(()));
        }
        pipe.node_writes = Some(task.waker().clone());
        Poll::Pending
    }

    fn end_writing(&self) {
        let mut pipe = self.0.borrow_mut();
        pipe.is_ended = true;
        pipe.client_reads.take().into_iter().for_each(Waker::wake);
    }
}

impl Source for NodeEnd {
    fn poll_read(
        &mut self,
        task: &mut Context<'_>,
        each: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<()> {
        loop {
            let said = {
                let mut pipe = self.0.borrow_mut();
                match pipe.to_node.pop_front() {
                    Some(said) => said,
                    None if pipe.is_cut => {
                        drop(pipe);
                        each(Incoming::End);
                        return Poll::Pending;
                    }
                    None => {
                        pipe.node_reads = Some(task.waker().clone());
                        return Poll::Pending;
                    }
                }
            };
            let flow = match &said {
                Said::Text(text) => each(Incoming::Text(text)),
                Said::Pong => each(Incoming::Pong),
                Said::Close => each(Incoming::Close),
            };
            if flow == Flow::Pause {
                return Poll::Ready(());
            }
        }
    }
}
