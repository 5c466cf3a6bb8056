//! Frames that wait for one socket.

use super::{Socket, traffic::Traffic, waiting::Waiting};
use crate::metrics::Sent;
use bytes::Bytes;
use std::io;

/// Two or more small frames are copied into one buffer of this size at most and written at once: one
/// system call costs more than the copy.
pub const GATHER_BYTES: usize = 64 * 1024;
/// Frames gathered for one write at most: to copy and drop small ones takes longer than to write them, since of
/// the tens of thousands that may wait for a client which does not keep up none is in a near cache.
const GATHER_FRAMES: usize = 256;

/// The out-queue of one connection.
#[derive(Default)]
pub struct Outbox {
    frames: Waiting<Frame>,
    /// Waiting in all.
    bytes: usize,
    /// Already written of the first frame.
    written: usize,
    /// Ephemeral frames among those that wait.
    ephemeral: usize,
    /// Bytes of them.
    ephemeral_bytes: usize,
    /// None of the first so many frames can be shed: found by an earlier search.
    searched: usize,
}

/// A frame that waits.
pub(super) struct Frame {
    pub(super) bytes: Bytes,
    pub(super) what: Sent,
    /// May be shed when there is no room.
    is_ephemeral: bool,
}

/// How far a flush came.
#[derive(Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing waits any more.
    Drained,
    /// The socket takes no more now.
    Blocked,
    /// It may take more.
    More,
}

impl Outbox {
    /// Adds a frame.
    pub fn push(&mut self, what: Sent, frame: Bytes) {
        self.add(Frame { bytes: frame, what, is_ephemeral: false });
    }

    /// Adds a frame that its reader can do without.
    pub fn push_ephemeral(&mut self, what: Sent, frame: Bytes) {
        self.add(Frame { bytes: frame, what, is_ephemeral: true });
    }

    fn add(&mut self, frame: Frame) {
        self.bytes += frame.bytes.len();
        if frame.is_ephemeral {
            self.ephemeral += 1;
            self.ephemeral_bytes += frame.bytes.len();
        }
        self.frames.push(frame);
    }

    /// Takes the frame out that waits, if it is the only one and nothing of it was written.
    pub(super) fn take_only(&mut self) -> Option<Frame> {
        let frame = if self.written == 0 { self.frames.take_only() } else { None };
        if frame.is_some() {
            (self.bytes, self.ephemeral, self.ephemeral_bytes, self.searched) = (0, 0, 0, 0);
        }
        frame
    }

    /// Takes a frame back that was taken out, of which so many bytes were written meanwhile. Nothing waits.
    pub(super) fn put_back(&mut self, frame: Frame, written: usize, traffic: &mut Traffic) {
        debug_assert!(self.is_empty(), "it would come behind what waits");
        self.add(frame);
        self.advance(written, traffic);
    }

    /// Drops the oldest ephemeral frame of which nothing was written. False: there is none.
    pub fn shed_oldest(&mut self) -> bool {
        if self.ephemeral == 0 {
            return false;
        }
        let from = self.searched.max(usize::from(self.written > 0));
        let mut places = self.frames.iter().enumerate().skip(from);
        let place = places.find(|(_, frame)| frame.is_ephemeral).map(|(place, _)| place);
        drop(places);
        self.searched = place.unwrap_or(self.frames.len());
        let Some(shed) = place.and_then(|place| self.frames.remove(place)) else {
            return false;
        };
        self.bytes -= shed.bytes.len();
        self.ephemeral_bytes -= shed.bytes.len();
        self.ephemeral -= 1;
        true
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frames waiting.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Bytes waiting that cannot be shed; about, where a frame was begun.
    pub(super) fn bytes_kept(&self) -> usize {
        self.bytes.saturating_sub(self.ephemeral_bytes)
    }

    /// Frames waiting that cannot be shed.
    pub(super) fn frames_kept(&self) -> usize {
        self.frames.len() - self.ephemeral
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.first().is_none()
    }

    /// Drops what waits, except the rest of a frame whose beginning the reader has.
    pub fn clear_whole_frames(&mut self) {
        let begun = if self.written > 0 { self.frames.pop() } else { None };
        self.frames.clear();
        begun.into_iter().for_each(|begun| self.frames.push(begun));
        self.bytes =
            self.frames.iter().map(|frame| frame.bytes.len()).sum::<usize>() - self.written;
        let ephemeral = self.frames.iter().filter(|frame| frame.is_ephemeral);
        self.ephemeral_bytes = ephemeral.clone().map(|frame| frame.bytes.len()).sum();
        self.ephemeral = ephemeral.count();
        self.searched = 0;
    }

    /// Writes until nothing waits or the socket is full, and counts what was written. `scratch` is
    /// shared by all out-queues of a thread.
    ///
    /// # Errors
    /// The socket's: it takes nothing any more.
    pub fn flush(
        &mut self,
        socket: &dyn Socket,
        scratch: &mut Vec<u8>,
        traffic: &mut Traffic,
    ) -> io::Result<Flushed> {
        loop {
            let flushed = self.flush_once(socket, scratch, traffic)?;
            if flushed != Flushed::More {
                return Ok(flushed);
            }
        }
    }

    /// As [`Outbox::flush`], with one write.
    pub(super) fn flush_once(
        &mut self,
        socket: &dyn Socket,
        scratch: &mut Vec<u8>,
        traffic: &mut Traffic,
    ) -> io::Result<Flushed> {
        let result = match (self.frames.first(), self.frames.len()) {
            (None, _) => return self.drained(socket),
            (Some(first), 1) => socket.try_write(&first.bytes[self.written..]),
            _ => {
                self.gather(scratch);
                socket.try_write(scratch)
            }
        };
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => self.advance(count, traffic),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Ok(Flushed::Blocked);
            }
            Err(error) => return Err(error),
        }
        if self.is_empty() { self.drained(socket) } else { Ok(Flushed::More) }
    }

    fn drained(&mut self, socket: &dyn Socket) -> io::Result<Flushed> {
        self.frames.clear(); // most connections are idle most of the time
        match socket.try_flush() {
            Ok(()) => Ok(Flushed::Drained),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Flushed::Blocked),
            Err(error) => Err(error),
        }
    }

    fn gather(&self, scratch: &mut Vec<u8>) {
        scratch.clear();
        let mut skip = self.written;
        for frame in self.frames.iter().take(GATHER_FRAMES) {
            let rest = &frame.bytes[std::mem::take(&mut skip)..];
            if !scratch.is_empty() && scratch.len() + rest.len() > GATHER_BYTES {
                break;
            }
            scratch.extend_from_slice(rest);
        }
    }

    fn advance(&mut self, mut count: usize, traffic: &mut Traffic) {
        self.bytes -= count;
        while let Some(first) = self.frames.first() {
            let rest = first.bytes.len() - self.written;
            if count < rest {
                self.written += count;
                return;
            }
            count -= rest;
            self.written = 0;
            traffic.sent(first.what, first.bytes.len());
            if first.is_ephemeral {
                self.ephemeral -= 1;
                self.ephemeral_bytes -= first.bytes.len();
            }
            self.searched = self.searched.saturating_sub(1);
            self.frames.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::{Cell, RefCell},
        task::{Context, Poll},
    };

    /// Takes `room` bytes in all, at most `most` at once.
    struct Narrow {
        room: Cell<usize>,
        most: usize,
        taken: RefCell<Vec<u8>>,
        writes: Cell<usize>,
    }

    impl Narrow {
        fn new(room: usize, most: usize) -> Self {
            let (taken, writes) = (RefCell::default(), Cell::new(0));
            Self { room: Cell::new(room), most, taken, writes }
        }
    }

    impl Socket for Narrow {
        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.writes.set(self.writes.get() + 1);
            let count = bytes.len().min(self.most).min(self.room.get());
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room.set(self.room.get() - count);
            self.taken.borrow_mut().extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn end_writing(&self) {}
    }

    fn outbox(frames: &[&'static str]) -> Outbox {
        let mut outbox = Outbox::default();
        for frame in frames {
            outbox.push(Sent::Ok, Bytes::from_static(frame.as_bytes()));
        }
        outbox
    }

    #[test]
    fn small_frames_leave_in_one_write() {
        let mut outbox = outbox(&["one", "two", "three"]);
        let socket = Narrow::new(100, 100);
        assert_eq!(
            outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap(),
            Flushed::Drained
        );
        assert_eq!(*socket.taken.borrow(), b"onetwothree");
        assert_eq!((socket.writes.get(), outbox.bytes()), (1, 0));
    }

    #[test]
    fn whatever_the_socket_takes_nothing_is_lost_or_repeated() {
        for most in 1..12 {
            let mut outbox = outbox(&["one", "two", "three"]);
            let socket = Narrow::new(7, most);
            assert_eq!(
                outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap(),
                Flushed::Blocked
            );
            assert_eq!((outbox.bytes(), outbox.frames()), (4, 1));
            socket.room.set(100);
            assert_eq!(
                outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap(),
                Flushed::Drained
            );
            assert_eq!(*socket.taken.borrow(), b"onetwothree", "{most} bytes a write");
        }
    }

    #[test]
    fn one_write_takes_so_many_frames_and_the_rest_stays() {
        let mut outbox = outbox(&["x"; GATHER_FRAMES + 1]);
        let (socket, mut traffic) = (Narrow::new(1_000, 1_000), Traffic::default());
        let mut once = |outbox: &mut Outbox| {
            outbox.flush_once(&socket, &mut Vec::new(), &mut traffic).unwrap()
        };
        assert_eq!(once(&mut outbox), Flushed::More);
        assert_eq!((outbox.bytes(), outbox.frames()), (1, 1));
        assert_eq!(once(&mut outbox), Flushed::Drained);
        assert_eq!((socket.taken.borrow().len(), socket.writes.get()), (GATHER_FRAMES + 1, 2));
    }

    #[test]
    fn clearing_keeps_a_frame_that_was_begun() {
        let mut outbox = outbox(&["one", "two"]);
        let socket = Narrow::new(1, 1);
        outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap();
        outbox.clear_whole_frames();
        outbox.push(Sent::Ok, Bytes::from_static(b"!"));
        assert_eq!((outbox.bytes(), outbox.frames()), (3, 2));
        socket.room.set(100);
        outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert_eq!(*socket.taken.borrow(), b"one!");
    }

    #[test]
    fn clearing_drops_frames_that_were_not_begun() {
        let mut outbox = outbox(&["one", "two"]);
        outbox.clear_whole_frames();
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }

    #[test]
    fn the_oldest_ephemeral_goes_first_and_nothing_else_does() {
        let mut outbox = outbox(&["one"]);
        for (frame, is_ephemeral) in
            [("a", true), ("two", false), ("b", true), ("three", false), ("c", true)]
        {
            let frame = Bytes::from_static(frame.as_bytes());
            if is_ephemeral {
                outbox.push_ephemeral(Sent::Signal, frame)
            } else {
                outbox.push(Sent::Ok, frame)
            }
        }
        assert!(outbox.shed_oldest());
        assert!(outbox.shed_oldest());
        assert_eq!((outbox.bytes(), outbox.frames()), (12, 4));
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"d"));
        assert!(outbox.shed_oldest());
        let socket = Narrow::new(100, 100);
        outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert_eq!(*socket.taken.borrow(), b"onetwothreed");
        assert!(!outbox.shed_oldest());
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"e"));
        assert!(outbox.shed_oldest());
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_frame_that_was_begun_is_not_shed() {
        let mut outbox = Outbox::default();
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"begun"));
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"not"));
        let socket = Narrow::new(1, 1);
        outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert!(outbox.shed_oldest());
        assert!(!outbox.shed_oldest());
        socket.room.set(100);
        outbox.flush(&socket, &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert_eq!(*socket.taken.borrow(), b"begun");
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"next"));
        assert!(outbox.shed_oldest(), "searched anew");
    }

    #[test]
    fn the_only_frame_may_be_taken_out_and_given_back_with_a_part_written() {
        let mut traffic = Traffic::default();
        for written in 0..=3 {
            let mut outbox = outbox(&["one"]);
            let frame = outbox.take_only().unwrap();
            assert_eq!((outbox.bytes(), outbox.frames()), (0, 0));
            outbox.put_back(frame, written, &mut traffic);
            assert_eq!(outbox.bytes(), 3 - written);
            outbox.push(Sent::Ok, Bytes::from_static(b"two"));
            let socket = Narrow::new(100, 100);
            outbox.flush(&socket, &mut Vec::new(), &mut traffic).unwrap();
            assert_eq!(*socket.taken.borrow(), b"onetwo"[written..]);
        }
    }

    #[test]
    fn no_other_frame_is_taken_out() {
        let mut two = outbox(&["one", "two"]);
        assert!(two.take_only().is_none());
        let mut begun = outbox(&["one"]);
        begun.flush(&Narrow::new(1, 1), &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert!(begun.take_only().is_none());
        assert!(Outbox::default().take_only().is_none());
    }

    #[test]
    fn a_frame_that_was_given_back_may_be_shed_as_before() {
        let mut outbox = Outbox::default();
        outbox.push_ephemeral(Sent::Signal, Bytes::from_static(b"a"));
        let frame = outbox.take_only().unwrap();
        assert_eq!((outbox.frames_kept(), outbox.bytes_kept()), (0, 0));
        outbox.put_back(frame, 0, &mut Traffic::default());
        assert_eq!((outbox.frames(), outbox.frames_kept(), outbox.bytes_kept()), (1, 0, 0));
        assert!(outbox.shed_oldest());
        assert!(outbox.is_empty());
    }

    #[test]
    fn an_idle_queue_holds_no_memory() {
        let mut outbox = Outbox::default();
        for _ in 0..100 {
            outbox.push(Sent::Ok, Bytes::from_static(b"frame"));
        }
        outbox.flush(&Narrow::new(1_000, 1_000), &mut Vec::new(), &mut Traffic::default()).unwrap();
        assert!(outbox.frames.is_small());
    }
}
