//! One connection: what it is about to do, and what it still has to send.

use super::tls::Session;
use crate::{
    error::{Doing, Done},
    targets::{Dialect, Seat},
};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use socket2::{Domain, Socket, Type};
use std::{
    io::{
        self,
        ErrorKind::{Interrupted, WouldBlock},
    },
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tokio_rustls::rustls::ClientConfig;

/// Bytes that may wait for a socket that takes none. Beyond: the frame is not sent and counts as
/// blocked.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// What a reader's kernel takes ahead of it, if the system allows so much. On loopback a segment may be
/// 64 KiB, half of what there is otherwise: once the generator was late, a segment that did not fit waited
/// for a timer of 200 ms, servers and generator idle meanwhile.
const RECEIVE_BYTES: usize = 1 << 20;
/// Bytes of TLS that are read at once: one record.
const SEALED_BYTES: usize = 17 << 10;
/// Connections from one source address, of the about 28,000 that its ports allow.
const PER_SOURCE: usize = 10_000;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Between SYN and its answer.
    Connecting,
    /// Waits for the answer to its upgrade.
    Upgrading,
    /// In this step of the greeting.
    Greeting(u8),
    /// Frames go to the listener.
    Ready,
    /// Over.
    Dead,
}

/// A socket and what belongs to it.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) stage: Stage,
    /// The part of a frame whose rest has not come.
    pub(super) carry: Vec<u8>,
    /// What the socket would not take, at most [`UNSENT_BYTES_MAX`].
    unsent: Vec<u8>,
    /// `None`: plain TCP.
    session: Option<Session>,
    /// What was wrong with the session.
    pub(super) complaint: Option<String>,
    /// When it was begun.
    pub(super) begun_ns: u64,
}

/// What became of bytes handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    /// The socket has them all.
    Sent,
    /// Some wait; look again when it is writable.
    Waiting,
    /// Too many wait already; these were dropped.
    Blocked,
}

impl Connection {
    /// Begins to connect. A close discards, so that no port waits for stragglers.
    pub(super) fn begin(
        to: SocketAddr,
        index: usize,
        tls: Option<&Arc<ClientConfig>>,
        now: u64,
    ) -> Done<Self> {
        Ok(Self {
            socket: socket(to, index).doing(|| format!("connecting to {to}"))?,
            stage: Stage::Connecting,
            carry: Vec::new(),
            unsent: Vec::new(),
            session: tls.map(|config| Session::new(config, to)).transpose()?,
            complaint: None,
            begun_ns: now,
        })
    }

    /// Sends, or keeps what the socket does not take.
    pub(super) fn give(&mut self, bytes: &[u8]) -> Given {
        match self.session.as_mut().map(|session| session.seal(bytes)) {
            None => self.give_raw(bytes),
            Some(Ok(sealed)) => self.give_raw(&sealed),
            Some(Err(error)) => {
                self.complaint = Some(error.to_string());
                Given::Blocked
            }
        }
    }

    /// Sends what a session has to say of its own.
    pub(super) fn give_own(&mut self) -> Given {
        let has_words = self.session.as_ref().is_some_and(Session::has_words);
        if has_words { self.give(&[]) } else { Given::Sent }
    }

    fn give_raw(&mut self, bytes: &[u8]) -> Given {
        if !self.unsent.is_empty() {
            if self.unsent.len() + bytes.len() > UNSENT_BYTES_MAX {
                return Given::Blocked;
            }
            self.unsent.extend_from_slice(bytes);
            return Given::Waiting;
        }
        let sent = self.send(bytes);
        if sent == bytes.len() {
            return Given::Sent;
        }
        self.unsent.extend_from_slice(&bytes[sent..]);
        Given::Waiting
    }

    /// Sends what waits; true when nothing does any more.
    pub(super) fn flush(&mut self) -> bool {
        let waiting = std::mem::take(&mut self.unsent);
        let sent = self.send(&waiting);
        self.unsent.extend_from_slice(&waiting[sent..]);
        self.unsent.is_empty()
    }

    /// How many bytes the socket took. An error shows when it is read next.
    fn send(&self, bytes: &[u8]) -> usize {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::net::send(&self.socket, bytes, flags).unwrap_or(0)
    }

    /// Reads behind the part of a frame that was kept; `None`: nothing there now. 0 bytes more than
    /// were kept: it is over.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let kept = self.carry.len();
        match self.receive(&mut buffer[kept..]) {
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => None,
            Ok(0) => Some(0),
            Ok(read) => {
                buffer[..kept].copy_from_slice(&self.carry);
                self.carry.clear();
                Some(kept + read)
            }
            Err(error) => {
                self.complaint = Some(error.to_string());
                Some(0)
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(session) = &mut self.session else {
            return receive(&self.socket, buffer);
        };
        let mut sealed = [0; SEALED_BYTES];
        match receive(&self.socket, &mut sealed)? {
            0 => Ok(0),
            read => match session.open(&sealed[..read], buffer)? {
                0 => Err(WouldBlock.into()),
                read => Ok(read),
            },
        }
    }

    /// The request that makes it a WebSocket.
    pub(super) fn upgrade(&mut self, dialect: Dialect, host: SocketAddr) -> Given {
        let (path, protocol) = (dialect.path(), dialect.subprotocol());
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             {protocol}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.stage = Stage::Upgrading;
        self.give(request.as_bytes())
    }

    /// Says what this step of the greeting begins with.
    pub(super) fn greet(&mut self, step: u8, dialect: Dialect, seat: &Seat) -> Given {
        self.stage = Stage::Greeting(step);
        let Some(words) = dialect.say(step, seat) else { return Given::Sent };
        let mut frame = Vec::with_capacity(words.len() + 14);
        dialect.frame(&words, &mut frame);
        self.give(&frame)
    }
}

fn receive(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    let (read, _) = rustix::net::recv(socket, buffer, RecvFlags::DONTWAIT)?;
    Ok(read)
}

fn socket(to: SocketAddr, index: usize) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_nodelay(true)?;
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    socket.set_nonblocking(true)?;
    // A network of its own per process: one that has just ended leaves ports behind.
    let source = [127, 1, (std::process::id() % 250) as u8, 2 + (index / PER_SOURCE) as u8];
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => Ok(socket),
        done => done.map(|()| socket),
    }
}
