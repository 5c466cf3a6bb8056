//! A TCP stream after the upgrade, shared by the connection that reads and the hub that writes.

use madang_actors::hub::Socket;
use socket2::SockRef;
use std::{
    io,
    net::Shutdown,
    task::{Context, Poll},
};
use tokio::net::TcpStream;

/// Both sides of one stream.
pub(super) struct TcpSocket(pub(super) TcpStream);

impl Socket for TcpSocket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn poll_write_ready(&self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_write_ready(task)
    }

    fn end_writing(&self) {
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Write); // the peer may be gone
    }
}
