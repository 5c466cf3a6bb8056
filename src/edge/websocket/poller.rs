//! Tells which of a thread's WebSockets can be read or written again, and reads the answers to pings.
//!
//! Of most connections, most of the time, nothing comes but the answer to a ping. To wake the actor
//! of a connection for that is to touch a dozen pieces of memory that nobody used for half a
//! minute, microseconds each. So the WebSockets of a thread have an `epoll` of their own, in place of the
//! record that tokio keeps for each of its sockets; it is tokio that says when something is there. Where a
//! connection waits for a frame to begin, what comes is looked at here: answers to pings go no further, and
//! anything else wakes the connection, which gets what was read.
//!
//! **Bounds**: [`EVENTS_MAX`] sockets are looked at before others on the thread have their turn, and of each
//! some hundred bytes are read. Nobody's who does not wait for them.

use super::socket::{Stream, Transport};
use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
};
use slab::Slab;
use std::{
    cell::RefCell,
    io::{self, ErrorKind},
    rc::{Rc, Weak},
};
use tokio::{net::unix::pipe::Receiver, task::yield_now};

/// Sockets looked at in one turn: some tenths of a millisecond.
const EVENTS_MAX: usize = 128;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The poller of one thread. Cloning shares it.
#[derive(Clone)]
pub struct Poller(Rc<Shared>);

struct Shared {
    /// Not a pipe, but that is what tokio calls a descriptor which it watches for reading without asking
    /// what it is: its `AsyncFd` takes `unsafe`.
    epoll: Receiver,
    /// By what `epoll` calls them. They are taken out when they are dropped.
    sockets: RefCell<Slab<Weak<Transport>>>,
    on_pong: Box<dyn Fn()>,
}

/// Where a socket is known, for as long as it is there.
pub(super) struct Place {
    poller: Poller,
    index: usize,
}

impl Poller {
    /// Starts it, on the thread it is for. Calls `on_pong` for each answer to a ping that no connection
    /// sees.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn start(on_pong: impl Fn() + 'static) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let epoll = Receiver::from_owned_fd_unchecked(epoll)?;
        let sockets = RefCell::default();
        let poller = Self(Rc::new(Shared { epoll, sockets, on_pong: Box::new(on_pong) }));
        tokio::task::spawn_local(poller.clone().run());
        Ok(poller)
    }

    /// Takes a stream that tokio does not know (any more).
    pub(super) fn add(&self, stream: Stream) -> io::Result<Rc<Transport>> {
        let index = self.0.sockets.borrow_mut().insert(Weak::new());
        let place = Place { poller: self.clone(), index };
        let socket = Rc::new(Transport::new(stream, place));
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.0.epoll, socket.tcp(), EventData::new_u64(index as u64), flags)?;
        self.0.sockets.borrow_mut()[index] = Rc::downgrade(&socket);
        Ok(socket)
    }

    async fn run(self) {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while self.0.epoll.readable().await.is_ok() {
            let is_all = self.look(&mut events);
            self.notice(events.drain(..));
            if !is_all {
                yield_now().await;
            }
        }
    }

    /// What has happened, or [`EVENTS_MAX`] of it. True: that is all, and tokio tells when there is more.
    fn look(&self, events: &mut Vec<Event>) -> bool {
        let looked = self.0.epoll.try_io(|| {
            epoll::wait(&self.0.epoll, spare_capacity(events), Some(&AT_ONCE))?;
            if events.len() < EVENTS_MAX { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match looked {
            Ok(()) => false,
            Err(error) if error.kind() == ErrorKind::WouldBlock => true,
            Err(error) => {
                tracing::error!(%error, "an edge thread cannot ask for its sockets");
                false
            }
        }
    }

    fn notice(&self, events: impl Iterator<Item = Event>) {
        // Before anybody is woken, who may drop sockets.
        let known: Vec<_> = {
            let sockets = self.0.sockets.borrow();
            let socket = |event: &Event| sockets.get(event.data.u64() as usize)?.upgrade();
            events.filter_map(|event| Some((socket(&event)?, event.flags))).collect()
        };
        // All of them before the first is read: what is fetched from memory is fetched of several at once.
        for (socket, flags) in &known {
            socket.noticed(*flags);
        }
        for (socket, _) in known {
            socket.take_pongs(&self.0.on_pong);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.poller.0.sockets.borrow_mut().remove(self.index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use madang_actors::hub::Socket;
    use std::{
        cell::Cell,
        future::poll_fn,
        io::Write,
        sync::Arc,
        task::{Context, Wake, Waker},
        time::Duration,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
        task::LocalSet,
        time::timeout,
    };

    /// A pong that is masked with nothing.
    const PONG: &[u8] = b"\x8a\x80\0\0\0\0";
    const SOON: Duration = Duration::from_secs(10);

    /// A socket, its peer, and how many pongs were kept from its reader.
    struct Pair {
        socket: Rc<Transport>,
        peer: TcpStream,
        pongs: Rc<Cell<usize>>,
        poller: Poller,
    }

    impl Pair {
        async fn new() -> Self {
            let pongs = Rc::new(Cell::new(0));
            let counted = pongs.clone();
            let poller = Poller::start(move || counted.set(counted.get() + 1)).unwrap();
            let (socket, peer) = connect(&poller).await;
            Self { socket, peer, pongs, poller }
        }
    }

    /// A socket of `poller`, and its peer.
    async fn connect(poller: &Poller) -> (Rc<Transport>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        peer.set_nodelay(true).unwrap();
        let stream = listener.accept().await.unwrap().0.into_std().unwrap();
        (poller.add(Stream::Plain(stream)).unwrap(), peer)
    }

    /// What is read once the reader is woken.
    async fn read(socket: &Transport, is_between_frames: bool) -> Vec<u8> {
        let mut bytes = vec![0; 100_000];
        loop {
            let ready = poll_fn(|task| socket.poll_read_ready(task, is_between_frames));
            timeout(SOON, ready).await.expect("woken");
            match socket.try_read(&mut bytes) {
                Ok(count) => return bytes[..count].to_vec(),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }

    async fn on_a_thread(test: impl AsyncFnOnce(Pair)) {
        LocalSet::new().run_until(async { test(Pair::new().await).await }).await;
    }

    #[tokio::test]
    async fn pongs_do_not_wake_the_reader_and_what_comes_behind_does() {
        on_a_thread(async |mut pair| {
            for pongs in 1..=3 {
                let reading = read(&pair.socket, true);
                tokio::pin!(reading);
                assert!(reading.as_mut().now_or_never().is_none());
                pair.peer.write_all(PONG).await.unwrap();
                let all_seen = async {
                    while pair.pongs.get() < pongs {
                        yield_now().await;
                    }
                };
                timeout(SOON, all_seen).await.expect("it is read");
                assert!(reading.as_mut().now_or_never().is_none());
                assert!(pair.socket.has_answered() && !pair.socket.has_answered(), "told once");
                pair.peer.write_all(b"frame").await.unwrap();
                assert_eq!(reading.await, b"frame");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn pongs_with_something_behind_reach_the_reader_with_it() {
        on_a_thread(async |mut pair| {
            let both = [PONG, b"frame"].concat();
            pair.peer.write_all(&both).await.unwrap();
            assert_eq!(read(&pair.socket, true).await, both);
            assert_eq!(pair.pongs.get(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn within_a_frame_nothing_is_taken_for_a_pong() {
        on_a_thread(async |mut pair| {
            pair.peer.write_all(PONG).await.unwrap();
            assert_eq!(read(&pair.socket, false).await, PONG);
            assert_eq!(pair.pongs.get(), 0);
        })
        .await;
    }

    #[tokio::test]
    async fn an_end_is_seen_behind_pongs_and_behind_what_was_kept() {
        on_a_thread(async |mut pair| {
            pair.peer.write_all(b"frame").await.unwrap();
            assert_eq!(read(&pair.socket, true).await, b"frame");
            pair.peer.write_all(PONG).await.unwrap();
            pair.peer.shutdown().await.unwrap();
            assert_eq!(read(&pair.socket, true).await, b"");
            assert_eq!(pair.pongs.get(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn more_than_a_buffer_arrives_whole() {
        on_a_thread(async |mut pair| {
            let sent: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
            let read = async {
                let mut taken = Vec::new();
                while taken.len() < sent.len() {
                    taken.extend(read(&pair.socket, true).await);
                }
                taken
            };
            let (written, taken) = tokio::join!(pair.peer.write_all(&sent), read);
            written.unwrap();
            assert!(taken == sent);
        })
        .await;
    }

    #[tokio::test]
    async fn a_full_socket_can_be_written_once_the_peer_reads() {
        on_a_thread(async |mut pair| {
            let bytes = vec![b'x'; 100_000];
            let mut written = 0;
            while let Ok(count) = pair.socket.try_write(&bytes) {
                written += count;
            }
            let mut writable = poll_fn(|task| pair.socket.poll_write_ready(task));
            assert!((&mut writable).now_or_never().is_none());
            pair.peer.read_exact(&mut vec![0; written]).await.unwrap();
            timeout(SOON, writable).await.expect("told").unwrap();
            assert!(pair.socket.try_write(&bytes).is_ok());
        })
        .await;
    }

    #[tokio::test]
    async fn who_floods_with_pongs_is_read_by_its_own_connection() {
        on_a_thread(async |mut pair| {
            const SENT: usize = 2_000;
            pair.peer.write_all(&PONG.repeat(SENT)).await.unwrap();
            let mut left = SENT * PONG.len();
            while left > pair.pongs.get() * PONG.len() {
                left -= read(&pair.socket, true).await.len();
            }
            assert!(pair.pongs.get() < SENT / 10, "{}", pair.pongs.get());
        })
        .await;
    }

    #[tokio::test]
    async fn when_many_answer_at_once_others_have_their_turn() {
        const CONNECTIONS: usize = 3 * EVENTS_MAX;
        let log: Rc<RefCell<String>> = Rc::default();
        let (answered, chatted) = (log.clone(), log.clone());
        LocalSet::new()
            .run_until(async move {
                let poller = Poller::start(move || answered.borrow_mut().push('p')).unwrap();
                let (mut sockets, mut peers) = (Vec::new(), Vec::new());
                for _ in 0..CONNECTIONS {
                    let (socket, peer) = connect(&poller).await;
                    let ready = poll_fn(|task| socket.poll_read_ready(task, true)).now_or_never();
                    assert_eq!(ready, None);
                    peers.push(peer.into_std().unwrap());
                    sockets.push(socket);
                }
                peers.iter().for_each(|mut peer| peer.write_all(PONG).unwrap());
                while chatted.borrow().matches('p').count() < CONNECTIONS {
                    chatted.borrow_mut().push('c');
                    yield_now().await;
                }
            })
            .await;
        let longest = log.borrow().split('c').map(str::len).max();
        assert!(longest <= Some(EVENTS_MAX), "{longest:?}");
    }

    thread_local! {
        static HELD: RefCell<Option<Rc<Transport>>> = const { RefCell::new(None) };
    }

    /// Wakes nobody, and drops [`HELD`].
    struct Dropping;

    impl Wake for Dropping {
        fn wake(self: Arc<Self>) {
            HELD.take();
        }
    }

    #[tokio::test]
    async fn who_is_woken_may_drop_a_socket() {
        on_a_thread(async |pair| {
            HELD.set(Some(connect(&pair.poller).await.0));
            while pair.socket.try_write(&[0; 100_000]).is_ok() {}
            let waker = Waker::from(Arc::new(Dropping));
            let waits = pair.socket.poll_write_ready(&mut Context::from_waker(&waker));
            assert!(waits.is_pending());
            let can_be_written = Event { flags: EventFlags::OUT, data: EventData::new_u64(0) };
            pair.poller.notice(std::iter::once(can_be_written));
            assert_eq!(pair.poller.0.sockets.borrow().len(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn one_that_is_dropped_is_forgotten() {
        on_a_thread(async |pair| {
            drop(pair.socket);
            assert!(pair.poller.0.sockets.borrow().is_empty());
        })
        .await;
    }
}
