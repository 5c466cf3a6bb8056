//! A TCP proxy that fails as networks do.

use crate::free_address;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Stands between a client and a server on loopback. Ends when dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

/// What a [`Proxy`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes bytes on, both ways.
    Forward,
    /// Takes connections and never answers; those that are there stay and say nothing more.
    Blackhole,
    /// Closes connections, new ones as well.
    Cut,
}

impl Proxy {
    /// Forwards to `server` from an address of its own.
    pub async fn start(server: SocketAddr) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).await.expect("a free address");
        let (mode, watched) = watch::channel(Mode::Forward);
        let accepted = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(accept(listener, server, watched, accepted.clone()));
        Self { address, mode, accepted, task }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on, to connections that are there as well. Bytes on their way when a
    /// blackhole begins are lost: a connection that was in one is closed when it ends.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Connections taken so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    mode: watch::Receiver<Mode>,
    accepted: Arc<AtomicUsize>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(serve(client, server, mode.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// Until either side, or the mode, ends it.
async fn serve(mut client: TcpStream, server: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let now = *mode.borrow_and_update();
    if now == Mode::Forward
        && let Ok(mut server) = TcpStream::connect(server).await
    {
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = mode.wait_for(|mode| *mode != Mode::Forward) => {}
        }
    }
    // Held open, unread: what the kernel's buffers do not take is not taken.
    if *mode.borrow() == Mode::Blackhole {
        let _ = mode.wait_for(|mode| *mode != Mode::Blackhole).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(free_address()).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.into_split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    async fn asked(client: &mut TcpStream) -> Option<usize> {
        let mut bytes = [0; 4];
        client.write_all(b"ping").await.ok()?;
        let read = tokio::time::timeout(Duration::from_millis(200), client.read(&mut bytes));
        read.await.ok().map(|read| read.unwrap_or(0))
    }

    #[tokio::test]
    async fn forwards_swallows_and_cuts() {
        let proxy = Proxy::start(echo().await).await;
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut client).await, Some(4));
        proxy.set(Mode::Blackhole);
        let mut swallowed = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!((asked(&mut client).await, asked(&mut swallowed).await), (None, None));
        proxy.set(Mode::Forward);
        wait::within("it is closed", wait::SOON, swallowed.read(&mut [0; 4])).await.unwrap_or(0);
        let mut again = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut again).await, Some(4));
        proxy.set(Mode::Cut);
        let end = wait::within("it is closed", wait::SOON, again.read(&mut [0; 4])).await;
        assert_eq!(end.unwrap_or(0), 0);
        assert_eq!(proxy.accepted(), 3);
    }
}
