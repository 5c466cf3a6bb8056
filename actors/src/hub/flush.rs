//! What waits is written out: at the end of a turn, once for each socket.
//!
//! Nearly always that is one frame, and all of it. The system works through kilobytes for each write, so of
//! a thousand connections none is in a near cache when its turn comes. Therefore those of a slice are gone
//! through first, which fetches from memory what is needed of several at once, and written to afterwards, from a
//! list that lies together.

use super::{
    SLICE_SOCKETS, SlotId, Socket,
    core::{Core, Slot, find},
    outbox::{Flushed, Frame, Outbox},
    traffic::Traffic,
};
use crate::connection::ConnectionMessage;
use rustix::net::SendFlags;
use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    task,
    time::Duration,
};
use tokio::time::Instant;

/// So many further frames to one socket, or so many bytes, count as one more socket: about what they take.
const FRAMES_FOR_A_SOCKET: usize = 16;
const BYTES_FOR_A_SOCKET: usize = 4 * 1024;

/// All that waited for a connection, on its way.
struct Leaving {
    id: SlotId,
    frame: Frame,
}

/// How a frame gets into a socket.
enum Way<'a> {
    /// By a system call and nothing else.
    Descriptor(BorrowedFd<'a>),
    Socket(&'a dyn Socket),
}

impl Core {
    /// Writes out what waits, and tells how much it was: to [`SLICE_SOCKETS`] sockets, fewer if much waits
    /// for them, and to further ones as long as others took since some were left, so that those who bring
    /// work and those who are served get the same share. True: there is more to do.
    pub(super) fn flush(&mut self) -> bool {
        let left_at = self.left_at.take();
        let began = Instant::now();
        let others = left_at.map_or(Duration::ZERO, |left_at| began - left_at);
        while !self.dirty.is_empty() {
            self.flush_slice();
            if began.elapsed() >= others {
                break;
            }
        }
        self.traffic.tell(&self.metrics);
        let is_behind = !self.dirty.is_empty();
        self.left_at = is_behind.then(Instant::now);
        is_behind
    }

    fn flush_slice(&mut self) {
        let mut leaving = Vec::with_capacity(self.dirty.len().min(SLICE_SOCKETS));
        let mut sockets = 0;
        while sockets < SLICE_SOCKETS
            && let Some(id) = self.dirty.pop_front()
        {
            let Some(slot) = find(&mut self.slots, id) else {
                continue;
            };
            slot.is_dirty = false;
            match slot.take_only() {
                Some(frame) => {
                    leaving.push(Leaving { id, frame });
                    sockets += 1;
                }
                None => sockets += self.write(id, Outbox::flush_once),
            }
        }
        for (Leaving { id, frame }, written) in self.send(leaving) {
            if let Some(slot) = find(&mut self.slots, id) {
                slot.outbox.put_back(frame, written, &mut self.traffic);
                self.flush_one(id);
            }
        }
    }

    /// Returns those that did not leave whole, or are held back, and how many of their bytes were taken.
    fn send(&mut self, leaving: Vec<Leaving>) -> Vec<(Leaving, usize)> {
        let mut left = Vec::new();
        let ways: Vec<Way<'_>> =
            leaving.iter().map(|one| self.slots[one.id.index as usize].way()).collect();
        for (one, way) in leaving.into_iter().zip(ways) {
            let bytes = one.frame.bytes.len();
            let written = way.write(&one.frame.bytes).unwrap_or(0); // who writes the rest meets the error
            if written == bytes && way.flush().is_ok() {
                self.traffic.sent(one.frame.what, bytes);
            } else {
                left.push((one, written));
            }
        }
        left
    }

    /// Writes out what waits for one connection.
    pub(super) fn flush_one(&mut self, id: SlotId) {
        self.write(id, Outbox::flush);
    }

    /// Lets an out-queue be written. Returns for how many sockets of a slice that counts.
    fn write(
        &mut self,
        id: SlotId,
        flush: impl FnOnce(&mut Outbox, &dyn Socket, &mut Vec<u8>, &mut Traffic) -> io::Result<Flushed>,
    ) -> usize {
        let limits = self.limits;
        let Some(slot) = find(&mut self.slots, id) else {
            return 0;
        };
        let waited = (slot.outbox.frames(), slot.outbox.bytes());
        let (scratch, traffic) = (&mut self.scratch, &mut self.traffic);
        let flushed = flush(&mut slot.outbox, &*slot.socket, scratch, traffic);
        let (frames, bytes) = (waited.0 - slot.outbox.frames(), waited.1 - slot.outbox.bytes());
        let share = 1 + (frames / FRAMES_FOR_A_SOCKET).max(bytes / BYTES_FOR_A_SOCKET);
        slot.blocked_at = match &flushed {
            Ok(Flushed::Blocked) => {
                let since = slot.blocked_at.filter(|_| bytes == 0);
                since.or_else(|| Some(Instant::now()))
            }
            _ => None,
        };
        let now_low = slot.wants_low && slot.outbox.is_low(limits);
        if now_low {
            slot.wants_low = false;
        }
        // Its address is elsewhere in memory: not touched where there is nothing to tell.
        let told = (now_low || flushed.is_err()).then(|| slot.connection.clone());
        match &flushed {
            Ok(Flushed::Drained) if slot.is_closing => slot.socket.end_writing(),
            Ok(Flushed::Drained) => {}
            Ok(Flushed::More) => {
                self.mark_dirty(id);
            }
            Ok(Flushed::Blocked) => self.wait_until_writable(id),
            Err(_) => slot.is_closing = true, // the peer is gone: nobody to tell why
        }
        let Some(connection) = told else {
            return share;
        };
        if flushed.is_err() {
            connection.stop();
        }
        if now_low {
            self.tell(id, &connection, ConnectionMessage::Low);
        }
        share
    }

    fn wait_until_writable(&mut self, id: SlotId) {
        let waker = self.ready.waker(id);
        let Some(slot) = self.get(id) else {
            return;
        };
        slot.is_blocked = true;
        let poll = slot.socket.poll_write_ready(&mut task::Context::from_waker(&waker));
        if poll.is_ready() {
            waker.wake(); // became writable in between; the next turn writes
        }
    }
}

impl Slot {
    /// The frame that waits, if it is the only one and nothing has to be looked at once it has left.
    fn take_only(&mut self) -> Option<Frame> {
        let is_plain = !(self.is_closing || self.is_blocked || self.wants_low);
        (is_plain && self.blocked_at.is_none()).then(|| self.outbox.take_only()).flatten()
    }

    fn way(&self) -> Way<'_> {
        self.socket.descriptor().map_or(Way::Socket(&*self.socket), Way::Descriptor)
    }
}

impl Way<'_> {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Descriptor(descriptor) => send(descriptor, bytes),
            Self::Socket(socket) => socket.try_write(bytes),
        }
    }

    fn flush(&self) -> io::Result<()> {
        match self {
            Self::Descriptor(_) => Ok(()),
            Self::Socket(socket) => socket.try_flush(),
        }
    }
}

/// Writes some of `bytes` to a socket of the system.
///
/// # Errors
/// `WouldBlock` if it is full, whatever was set for it; others when it takes nothing any more.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?)
}
