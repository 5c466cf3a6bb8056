//! A TCP proxy that fails as networks do: for everybody, or for one client of MongoDB and not for
//! another.

use crate::free_address;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Bytes of one connection that a blackhole keeps.
const SAID_MAX: usize = 256 * 1024;
/// What is looked at to find a name.
const FIRST_MESSAGE_MAX: usize = 4 * 1024;
/// Between two looks whether the rest of a message came.
const PEEK_AGAIN: std::time::Duration = std::time::Duration::from_millis(1);

/// Stands between a client and a server on loopback. Ends when dropped, with its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    accepted: Arc<AtomicUsize>,
    swallowed: Swallowed,
    task: JoinHandle<()>,
}

/// What was said to blackholes, by connection.
type Swallowed = Arc<Mutex<Vec<Vec<u8>>>>;

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

/// What is done to whom.
#[derive(Debug, Clone)]
struct Rules {
    /// To those that are not named.
    others: Mode,
    named: BTreeMap<String, Mode>,
}

impl Rules {
    fn of(&self, caller: &str) -> Mode {
        self.named.get(caller).copied().unwrap_or(self.others)
    }
}

impl Proxy {
    /// Forwards to `server` from an address of its own.
    pub async fn start(server: SocketAddr) -> Self {
        Self::on(server, false).await
    }

    /// Before a member of a replica set: knows clients by the application name they give to the
    /// server, and other members by their ports.
    pub async fn of_member(server: SocketAddr) -> Self {
        Self::on(server, true).await
    }

    async fn on(server: SocketAddr, asks_names: bool) -> Self {
        let address = free_address();
        let listener = TcpListener::bind(address).await.expect("a free address");
        let (rules, watched) =
            watch::channel(Rules { others: Mode::Forward, named: BTreeMap::new() });
        let accepted = Arc::new(AtomicUsize::new(0));
        let swallowed = Swallowed::default();
        let door = Door { server, asks_names, swallowed: swallowed.clone() };
        let task = tokio::spawn(accept(listener, door, watched, accepted.clone()));
        Self { address, rules, accepted, swallowed, task }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it does from now on, to connections that are there as well. Bytes on their way when a
    /// blackhole begins are lost: a connection that was in one is closed when it ends.
    pub fn set(&self, mode: Mode) {
        self.rules.send_replace(Rules { others: mode, named: BTreeMap::new() });
    }

    /// The same for one caller alone.
    pub fn set_for(&self, caller: &str, mode: Mode) {
        self.rules.send_modify(|rules| {
            rules.named.insert(caller.to_owned(), mode);
        });
    }

    /// How often this was said to blackholes so far.
    pub fn swallowed(&self, what: &[u8]) -> usize {
        let said = lock(&self.swallowed);
        let count = |said: &Vec<u8>| said.windows(what.len()).filter(|part| *part == what).count();
        said.iter().map(count).sum()
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

/// What every connection passes.
#[derive(Clone)]
struct Door {
    server: SocketAddr,
    asks_names: bool,
    swallowed: Swallowed,
}

async fn accept(
    listener: TcpListener,
    door: Door,
    rules: watch::Receiver<Rules>,
    accepted: Arc<AtomicUsize>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        accepted.fetch_add(1, Ordering::Relaxed);
        let (rules, door) = (rules.clone(), door.clone());
        connections.spawn(async move {
            let caller = if door.asks_names { name_of(&client).await } else { String::new() };
            door.serve(client, &caller, rules).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

impl Door {
    /// Until either side, or the mode, ends it.
    async fn serve(&self, mut client: TcpStream, caller: &str, mut rules: watch::Receiver<Rules>) {
        let now = rules.borrow_and_update().of(caller);
        if now == Mode::Forward
            && let Ok(mut server) = TcpStream::connect(self.server).await
        {
            tokio::select! {
                _ = copy_bidirectional(&mut client, &mut server) => return,
                _ = rules.wait_for(|rules| rules.of(caller) != Mode::Forward) => {}
            }
        }
        let is_swallowed = rules.borrow().of(caller) == Mode::Blackhole;
        if is_swallowed {
            tokio::select! {
                () = self.listen(client) => {}
                _ = rules.wait_for(|rules| rules.of(caller) != Mode::Blackhole) => {}
            }
        }
    }

    /// Takes what is said and never ends: also whoever has said all stays. Beyond [`SAID_MAX`] nothing
    /// is taken but by the kernel's buffers.
    async fn listen(&self, mut client: TcpStream) {
        let place = {
            let mut all = lock(&self.swallowed);
            all.push(Vec::new());
            all.len() - 1
        };
        let (mut part, mut taken) = ([0; 4 * 1024], 0);
        while taken < SAID_MAX {
            let Ok(count @ 1..) = client.read(&mut part).await else { break };
            taken += count;
            lock(&self.swallowed)[place].extend_from_slice(&part[..count]);
        }
        std::future::pending::<()>().await;
    }
}

/// Every change is complete in itself, so a panic elsewhere spoils nothing.
fn lock(swallowed: &Swallowed) -> MutexGuard<'_, Vec<Vec<u8>>> {
    swallowed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom the first message of a client of MongoDB, which is left to be read, is from; empty if it does
/// not say.
async fn name_of(client: &TcpStream) -> String {
    let mut bytes = vec![0; FIRST_MESSAGE_MAX];
    let mut seen = 0;
    loop {
        let Ok(peeked) = client.peek(&mut bytes).await else { return String::new() };
        let length = bytes[..peeked].first_chunk().map(|length| i32::from_le_bytes(*length));
        let whole = length.map_or(4, |length| usize::try_from(length).unwrap_or(0));
        if peeked >= whole.min(FIRST_MESSAGE_MAX) || peeked == 0 {
            return name_in(&bytes[..peeked]).unwrap_or_default();
        }
        if peeked == seen {
            tokio::time::sleep(PEEK_AGAIN).await; // the rest is on its way
        }
        seen = peeked;
    }
}

/// In BSON: `application: { name: "a" }` of a client, `hostInfo: "host:port"` of a member that runs
/// with test commands enabled.
fn name_in(message: &[u8]) -> Option<String> {
    if let Some(host) = text_behind(message, b"hostInfo\0") {
        return host.rsplit(':').next().map(str::to_owned);
    }
    let inner = behind(message, b"application\0")?;
    text_behind(inner, b"name\0").map(str::to_owned)
}

fn text_behind<'a>(message: &'a [u8], key: &[u8]) -> Option<&'a str> {
    let value = behind(message, key)?;
    let length = usize::try_from(i32::from_le_bytes(*value.first_chunk()?)).ok()?;
    std::str::from_utf8(value.get(4..)?.get(..length.checked_sub(1)?)?).ok()
}

fn behind<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    let at = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some(&bytes[at + mark.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Duration;
    use tokio::io::AsyncWriteExt;

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

    #[test]
    fn callers_say_who_they_are() {
        let client = b"..\x03application\0....\x02name\0\x03\0\0\0n1\0\0";
        assert_eq!(name_in(client).as_deref(), Some("n1"));
        let member = b"..\x02hostInfo\0\x0c\0\0\0there:27017\0\x03client\0";
        assert_eq!(name_in(member).as_deref(), Some("27017"));
        assert_eq!(name_in(b"..\x02name\0\x03\0\0\0n1\0"), None);
    }

    #[tokio::test]
    async fn forwards_swallows_and_cuts() {
        let proxy = Proxy::start(echo().await).await;
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(asked(&mut client).await, Some(4));
        proxy.set(Mode::Blackhole);
        let mut swallowed = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!((asked(&mut client).await, asked(&mut swallowed).await), (None, None));
        assert_eq!((proxy.swallowed(b"ping"), proxy.swallowed(b"pong")), (2, 0));
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
