//! TLS of one connection. It knows bytes only: its owner has the socket.

use crate::error::{BenchError, Done};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    sync::Arc,
};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// A session.
#[derive(Debug)]
pub(super) struct Session(Box<ClientConnection>);

impl Session {
    /// Its first bytes are what [`Session::seal`] makes of none.
    pub(super) fn new(config: &Arc<ClientConfig>, to: SocketAddr) -> Done<Self> {
        let name = ServerName::from(to.ip());
        let session = ClientConnection::new(config.clone(), name);
        let session =
            session.map_err(|error| BenchError::target(&to.to_string(), error.to_string()))?;
        Ok(Self(Box::new(session)))
    }

    /// What has to be sent so that the server gets these bytes, and whatever else it has to get. What
    /// is said before the handshake is over is kept and sent then.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.writer().write_all(bytes)?;
        let mut sealed = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut sealed)?;
        }
        Ok(sealed)
    }

    /// It has something to say of its own.
    pub(super) fn has_words(&self) -> bool {
        self.0.wants_write()
    }

    /// Puts what these bytes say into `plain`, which has room for as many, and returns how much it is.
    pub(super) fn open(&mut self, mut sealed: &[u8], plain: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while !sealed.is_empty() {
            self.0.read_tls(&mut sealed)?;
            self.0.process_new_packets().map_err(io::Error::other)?;
            filled += self.opened(&mut plain[filled..])?;
        }
        Ok(filled)
    }

    fn opened(&mut self, plain: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        loop {
            match self.0.reader().read(&mut plain[filled..]) {
                Ok(0) => return Ok(filled),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(filled),
                Err(error) => return Err(error),
            }
        }
    }
}
