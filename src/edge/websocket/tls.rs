//! A TLS stream after the upgrade, shared by the connection that reads and the hub that writes.

use std::{
    cell::RefCell,
    io::{self, ErrorKind, Read, Write},
    net::TcpStream,
};
use tokio::net;
use tokio_rustls::{rustls::ServerConnection, server::TlsStream};

/// Reads of the network within one read of a stream: a peer that sends records with nothing in
/// them does not hold the thread.
const READS_MAX: usize = 32;

/// Both sides of one stream. Beside what the hub's out-queue holds, at most 64 KiB (rustls' own
/// bound) wait here encrypted, and only while the peer does not read.
pub(super) struct TlsSocket {
    pub(super) tcp: TcpStream,
    tls: RefCell<ServerConnection>,
}

impl TlsSocket {
    /// Takes a stream over, with what was decrypted and not read: the network will not announce
    /// that again.
    ///
    /// # Errors
    /// tokio cannot let go of it.
    pub(super) fn new(stream: TlsStream<net::TcpStream>) -> io::Result<(Self, Vec<u8>)> {
        let (tcp, mut tls) = stream.into_inner();
        let mut carry = Vec::new();
        // Ends with "would block" where nothing is left; an end of the stream shows itself again.
        let _ = tls.reader().read_to_end(&mut carry);
        Ok((Self { tcp: tcp.into_std()?, tls: RefCell::new(tls) }, carry))
    }

    /// Encrypts some of `bytes`, once everything before them is written.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.try_flush()?;
        let count = self.tls.borrow_mut().writer().write(bytes)?;
        match self.try_flush() {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(count), // what is held back is flushed by the next call
        }
    }

    /// Writes what is encrypted already, or `WouldBlock`.
    pub(super) fn try_flush(&self) -> io::Result<()> {
        let mut tls = self.tls.borrow_mut();
        while tls.wants_write() {
            tls.write_tls(&mut Wire(&self.tcp))?;
        }
        Ok(())
    }

    /// Decrypts into `bytes`; 0 is the end. `WouldBlock` leaves nothing unread, `Interrupted` may.
    pub(super) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        for _ in 0..READS_MAX {
            let mut tls = self.tls.borrow_mut();
            match tls.reader().read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            tls.read_tls(&mut Wire(&self.tcp))?;
            let processed = tls.process_new_packets();
            drop(tls);
            // A new key is acknowledged, a fault is told: now, or with whatever is written next.
            let _ = self.try_flush();
            processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        }
        Err(ErrorKind::Interrupted.into())
    }

    /// Says that nothing more will come.
    pub(super) fn close_notify(&self) {
        self.tls.borrow_mut().send_close_notify();
        let _ = self.try_flush(); // the peer may be gone
    }
}

/// The network below, without waiting.
struct Wire<'a>(&'a TcpStream);

impl Read for Wire<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        (&*self.0).write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
