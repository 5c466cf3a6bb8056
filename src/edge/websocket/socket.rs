//! The stream after the upgrade, shared by the connection that reads and the hub that writes.

use super::tls::TlsSocket;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use madang_actors::hub::{self, Socket};
use socket2::SockRef;
use std::{
    io,
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    task::{Context, Poll},
};
use tokio::{io::Interest, net::TcpStream};
use tokio_rustls::server::TlsStream;

/// Both sides of one stream.
pub(super) enum Transport {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted; boxed, so that others need not be as large.
    Tls(Box<TlsSocket>),
}

impl Transport {
    /// What hyper gives back, and the bytes that were read behind the request. `None`: it is no
    /// stream that we accepted.
    pub(super) fn of(upgraded: Upgraded) -> Option<(Self, Vec<u8>)> {
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => {
                return Some((Self::Plain(parts.io.into_inner()), parts.read_buf.to_vec()));
            }
            Err(upgraded) => upgraded,
        };
        let parts = upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>().ok()?;
        let (socket, decrypted) = TlsSocket::new(parts.io.into_inner());
        Some((Self::Tls(Box::new(socket)), [parts.read_buf.to_vec(), decrypted].concat()))
    }

    /// Reads what is there, or `WouldBlock`; 0 is the end.
    pub(super) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => read(tcp, bytes),
            Self::Tls(tls) => tls.try_read(bytes),
        }
    }

    /// Ready when a read may succeed; wakes the task otherwise.
    pub(super) fn poll_read_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_read_ready(task)
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
        }
    }
}

impl Socket for Transport {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => send(tcp, bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }

    fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.try_flush(),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(tcp) => Some(tcp.as_fd()),
            Self::Tls(_) => None,
        }
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tcp().poll_write_ready(task)
    }

    fn end_writing(&self) {
        if let Self::Tls(tls) = self {
            tls.close_notify();
        }
        let _ = SockRef::from(self.tcp()).shutdown(Shutdown::Write); // the peer may be gone
    }
}

/// Reads what is there. Less than there was place for is all of it: tokio is told so, as by its own
/// `poll_read`, instead of by one more call that finds nothing.
fn read(tcp: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
    let count = tcp.try_read(bytes)?;
    if 0 < count && count < bytes.len() {
        let drained = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _ = tcp.try_io(Interest::READABLE, drained); // the error is what is told
    }
    Ok(count)
}

/// Sends without asking tokio whether the socket is ready: nearly always it is, and what is known about
/// it lies elsewhere in memory for each of a thousand readers. One that is full is asked through tokio,
/// which notes that it has to be waited for.
fn send(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match hub::send(tcp, bytes) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => tcp.try_write(bytes),
        sent => sent,
    }
}
