//! The stream after the upgrade, shared by the connection that reads and the hub that writes.

use super::{decoder, poller::Place, tls::TlsSocket};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use madang_actors::hub::{self, Socket};
use rustix::event::epoll::EventFlags;
use socket2::SockRef;
use std::{
    cell::Cell,
    io::{self, ErrorKind, Read},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll, Waker},
};
use tokio::net;
use tokio_rustls::server::TlsStream;

/// Bytes looked at for answers to pings: more than anybody says by the way, and few enough to keep.
const LOOK_BYTES: usize = 512;
/// Looks before the connection is woken: with TLS only the second finds that there is no more.
const LOOKS_MAX: usize = 2;

/// What there is of a stream, which never waits.
pub(super) enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted; boxed, so that others need not be as large.
    Tls(Box<TlsSocket>),
}

/// Both sides of one stream, and who waits for it.
pub(super) struct Transport {
    stream: Stream,
    /// A read may find something.
    is_readable: Cell<bool>,
    /// The peer sends no more: what is read finds the end.
    has_ended: Cell<bool>,
    /// A write may succeed.
    is_writable: Cell<bool>,
    /// A pong was read of which the connection does not know.
    has_answered: Cell<bool>,
    /// The reader has nothing of a frame, so it need not know of a pong.
    is_between_frames: Cell<bool>,
    reader: Cell<Option<Waker>>,
    writer: Cell<Option<Waker>>,
    /// Read for the reader, at most [`LOOK_BYTES`].
    unread: Cell<Box<[u8]>>,
    _place: Place,
}

impl Stream {
    /// What hyper gives back, and the bytes that were read behind the request.
    ///
    /// # Errors
    /// It is no stream that we accepted, or tokio cannot let go of it.
    pub(super) fn of(upgraded: Upgraded) -> io::Result<(Self, Vec<u8>)> {
        let upgraded = match upgraded.downcast::<TokioIo<net::TcpStream>>() {
            Ok(parts) => {
                let tcp = parts.io.into_inner().into_std()?;
                return Ok((Self::Plain(tcp), parts.read_buf.to_vec()));
            }
            Err(upgraded) => upgraded,
        };
        let unknown = |_| io::Error::other("it is none that was accepted");
        let parts = upgraded.downcast::<TokioIo<TlsStream<net::TcpStream>>>().map_err(unknown)?;
        let (socket, decrypted) = TlsSocket::new(parts.io.into_inner())?;
        Ok((Self::Tls(Box::new(socket)), [parts.read_buf.to_vec(), decrypted].concat()))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
        }
    }
}

impl Transport {
    pub(super) fn new(stream: Stream, place: Place) -> Self {
        Self {
            stream,
            is_readable: Cell::new(false), // `epoll` says so if it is
            has_ended: Cell::new(false),
            is_writable: Cell::new(true),
            has_answered: Cell::new(false),
            is_between_frames: Cell::new(false),
            reader: Cell::new(None),
            writer: Cell::new(None),
            unread: Cell::default(),
            _place: place,
        }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        self.stream.tcp()
    }

    /// Reads what is there, or `WouldBlock`; 0 is the end. `bytes` are more than [`LOOK_BYTES`].
    pub(super) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let unread = self.unread.take();
        if unread.is_empty() {
            return self.read(bytes);
        }
        let (first, rest) = bytes.split_at_mut(unread.len());
        first.copy_from_slice(&unread);
        // An end shows itself again.
        let more = if self.may_be_read() { self.read(rest).unwrap_or(0) } else { 0 };
        Ok(first.len() + more)
    }

    /// Ready when a read may succeed; wakes the task otherwise. Not for the answer to a ping, if
    /// the reader `is_between_frames`.
    pub(super) fn poll_read_ready(&self, task: &Context<'_>, is_between_frames: bool) -> Poll<()> {
        if self.may_be_read() || self.has_unread() {
            return Poll::Ready(());
        }
        self.is_between_frames.set(is_between_frames);
        wait(&self.reader, task)
    }

    /// `epoll` says this. Who waits to read is not woken yet.
    pub(super) fn noticed(&self, flags: EventFlags) {
        let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
        if flags.intersects(ended) {
            self.has_ended.set(true);
        }
        if flags.intersects(EventFlags::IN) {
            self.is_readable.set(true);
        }
        if flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR) {
            self.is_writable.set(true);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }

    /// Where the reader waits and something came: takes answers to pings, calling `each`, and wakes the
    /// reader for anything else.
    pub(super) fn take_pongs(&self, each: &dyn Fn()) {
        if !self.may_be_read() {
            return;
        }
        let Some(reader) = self.reader.take() else {
            return; // it will look before it waits
        };
        let mut looks = if self.is_between_frames.get() { LOOKS_MAX } else { 0 };
        while looks > 0 && self.finds_only_pongs(each) {
            if !self.may_be_read() {
                self.reader.set(Some(reader));
                return;
            }
            looks -= 1;
        }
        reader.wake();
    }

    /// Looks once. False: there is something for the reader.
    fn finds_only_pongs(&self, each: &dyn Fn()) -> bool {
        let mut bytes = [0; LOOK_BYTES];
        let count = match self.read(&mut bytes) {
            Ok(0) => return false, // the reader will find the same
            Ok(count) => count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        let bytes = &bytes[..count];
        let Some(pongs) = decoder::count_if_pongs(bytes) else {
            self.unread.set(bytes.into());
            return false;
        };
        (0..pongs).for_each(|_| each());
        self.has_answered.set(true);
        true
    }

    fn may_be_read(&self) -> bool {
        self.is_readable.get() || self.has_ended.get()
    }

    fn has_unread(&self) -> bool {
        let unread = self.unread.take();
        let has_some = !unread.is_empty();
        self.unread.set(unread);
        has_some
    }

    /// Less than there was place for is all of it, where nothing is held back.
    fn read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let (read, is_all) = match &self.stream {
            Stream::Plain(tcp) => {
                let read = (&*tcp).read(bytes);
                let is_all = read.as_ref().is_ok_and(|count| *count < bytes.len());
                (read, is_all)
            }
            Stream::Tls(tls) => (tls.try_read(bytes), false),
        };
        if is_all || is_blocked(&read) {
            self.is_readable.set(false);
        }
        if is_blocked(&read) {
            self.has_ended.set(false); // whatever was said
        }
        read
    }

    /// What was tried, which is waited for if there is no place.
    fn tried<T>(&self, write: io::Result<T>) -> io::Result<T> {
        if is_blocked(&write) {
            self.is_writable.set(false);
        }
        write
    }
}

impl Socket for Transport {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.tried(match &self.stream {
            Stream::Plain(tcp) => hub::send(tcp, bytes),
            Stream::Tls(tls) => tls.try_write(bytes),
        })
    }

    fn try_flush(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(tls) => self.tried(tls.try_flush()),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.stream {
            Stream::Plain(tcp) => Some(tcp.as_fd()),
            Stream::Tls(_) => None,
        }
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_writable.get() {
            return Poll::Ready(Ok(()));
        }
        wait(&self.writer, task).map(Ok)
    }

    fn has_answered(&self) -> bool {
        self.has_answered.take()
    }

    fn end_writing(&self) {
        if let Stream::Tls(tls) = &self.stream {
            tls.close_notify();
        }
        let _ = SockRef::from(self.tcp()).shutdown(Shutdown::Write); // the peer may be gone
    }
}

fn wait(place: &Cell<Option<Waker>>, task: &Context<'_>) -> Poll<()> {
    place.set(Some(task.waker().clone()));
    Poll::Pending
}

fn is_blocked<T>(outcome: &io::Result<T>) -> bool {
    outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}
