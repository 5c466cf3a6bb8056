//! One socket of the floor, and what waits for it.

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use std::{collections::VecDeque, net::TcpStream, sync::Arc};

/// A message as it goes out, the same for all.
pub(super) type Shared = Arc<[u8]>;

/// Frames that may wait for a reader. Beyond: it does not get them, which its counts will show.
const WAITING_MAX: usize = 8_192;
/// Two or more frames are copied into one buffer up to this, which costs less than a vector of
/// small pieces.
const GATHER_BYTES: usize = 64 * 1024;
/// A queue that once was longer gives its memory back when it is empty.
const KEPT_FRAMES: usize = 16;

/// Where a write got to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The socket takes no more for now.
    Full,
}

/// A reader.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: TcpStream,
    /// Its head has been read and answered.
    pub(super) is_upgraded: bool,
    /// It is among those to be written to at the end of the turn.
    pub(super) is_dirty: bool,
    /// It waits for being writable.
    pub(super) is_full: bool,
    /// The part of a frame whose rest has not come.
    pub(super) carry: Vec<u8>,
    /// Its room, and its place there.
    pub(super) room: Option<(usize, usize)>,
    waiting: VecDeque<Shared>,
    /// Bytes of the first frame that are sent.
    offset: usize,
}

impl Connection {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            is_upgraded: false,
            is_dirty: false,
            is_full: false,
            carry: Vec::new(),
            room: None,
            waiting: VecDeque::new(),
            offset: 0,
        }
    }

    /// Queues a frame; true when the connection has to be put among the dirty ones.
    pub(super) fn push(&mut self, frame: Shared) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        self.waiting.push_back(frame);
        let is_new = !self.is_dirty && !self.is_full;
        self.is_dirty |= is_new;
        is_new
    }

    /// Reads behind the part of a frame that was kept. `None`: nothing there; `Some(0)`: over.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let kept = self.carry.len();
        match rustix::net::recv(&self.socket, &mut buffer[kept..], RecvFlags::DONTWAIT) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            Ok((0, _)) | Err(_) => Some(0),
            Ok((read, _)) => {
                buffer[..kept].copy_from_slice(&self.carry);
                self.carry = Vec::new();
                Some(kept + read)
            }
        }
    }

    /// Writes what waits. `sends` counts system calls.
    pub(super) fn flush(&mut self, gathered: &mut Vec<u8>, sends: &mut u64) -> Flushed {
        while let Some(first) = self.waiting.front() {
            let bytes = if self.waiting.len() == 1 {
                &first[self.offset..]
            } else {
                gather(&self.waiting, self.offset, gathered);
                &gathered[..]
            };
            *sends += 1;
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match rustix::net::send(&self.socket, bytes, flags) {
                Ok(sent) => self.advance(sent),
                Err(Errno::AGAIN) => return Flushed::Full,
                // The next read finds out why.
                Err(_) => self.waiting.clear(),
            }
        }
        if self.waiting.capacity() > KEPT_FRAMES {
            self.waiting = VecDeque::new();
        }
        self.offset = 0;
        Flushed::All
    }

    fn advance(&mut self, mut sent: usize) {
        while sent > 0 {
            let Some(first) = self.waiting.front() else { return };
            let left = first.len() - self.offset;
            if sent < left {
                self.offset += sent;
                return;
            }
            sent -= left;
            self.offset = 0;
            self.waiting.pop_front();
        }
    }
}

fn gather(waiting: &VecDeque<Shared>, mut offset: usize, into: &mut Vec<u8>) {
    into.clear();
    for frame in waiting {
        into.extend_from_slice(&frame[offset..]);
        offset = 0;
        if into.len() >= GATHER_BYTES {
            return;
        }
    }
}
