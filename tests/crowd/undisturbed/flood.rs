//! Senders who do not care what is answered.

use madang_testkit::{
    Account,
    raw::{Frame, RawSocket, opcode},
};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

const SENDERS: usize = 20;
/// Of each sender that waits for its answers; it may have 32 unanswered.
const IN_FLIGHT: usize = 30;
/// Between two writes of one that does not.
const PACE: Duration = Duration::from_millis(5);
const BODY: &str = "one of very many";

/// Many connections of one user that send to one room.
#[derive(Clone)]
pub(super) struct Flood {
    address: SocketAddr,
    token: String,
    room: String,
    lasts: Duration,
}

/// What became of it.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) offered: usize,
    pub(super) taken: usize,
}

impl Flood {
    pub(super) fn new(address: SocketAddr, sender: &Account, room: &str, lasts: Duration) -> Self {
        Self { address, token: sender.token.clone(), room: room.to_owned(), lasts }
    }

    /// Each sender sends the next one when one was answered.
    pub(super) async fn at_its_pace(self) -> Outcome {
        self.all(None).await
    }

    /// So many in all, evenly, whatever is answered.
    pub(super) async fn offering(self, count: usize) -> Outcome {
        self.all(Some(count / SENDERS)).await
    }

    async fn all(self, each: Option<usize>) -> Outcome {
        let senders = (0..SENDERS).map(|_| tokio::spawn(self.clone().one(each)));
        let mut sum = Outcome::default();
        for sender in senders.collect::<Vec<_>>() {
            let Outcome { offered, taken } = sender.await.expect("a sender does not panic");
            sum = Outcome { offered: sum.offered + offered, taken: sum.taken + taken };
        }
        sum
    }

    async fn one(self, each: Option<usize>) -> Outcome {
        let (mut from, mut to) = self.connect().await;
        match each {
            None => self.closed(&mut from, &mut to).await,
            Some(count) => {
                let (offered, taken) =
                    tokio::join!(self.open(&mut to, count), answers(&mut from, count));
                Outcome { offered, taken }
            }
        }
    }

    async fn closed(&self, from: &mut From, to: &mut OwnedWriteHalf) -> Outcome {
        let (begin, mut outcome) = (Instant::now(), Outcome::default());
        let mut unanswered = 0;
        while unanswered > 0 || begin.elapsed() < self.lasts {
            while unanswered < IN_FLIGHT && begin.elapsed() < self.lasts {
                to.write_all(&self.message()).await.expect("the node reads");
                (unanswered, outcome.offered) = (unanswered + 1, outcome.offered + 1);
            }
            outcome.taken += answers(from, 1).await;
            unanswered -= 1;
        }
        outcome
    }

    /// Behind its time it sends more at once: what is offered does not depend on the node.
    async fn open(&self, to: &mut OwnedWriteHalf, count: usize) -> usize {
        let (begin, mut sent) = (Instant::now(), 0);
        while sent < count {
            let part = begin.elapsed().as_secs_f64() / self.lasts.as_secs_f64();
            let due = ((part * count as f64) as usize).min(count);
            let frames: Vec<u8> = (sent..due).flat_map(|_| self.message()).collect();
            to.write_all(&frames).await.expect("the node reads");
            sent = due;
            tokio::time::sleep(PACE).await;
        }
        sent
    }

    fn message(&self) -> Vec<u8> {
        static NEXT: AtomicUsize = AtomicUsize::new(1);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let room = &self.room;
        let send = json!({"op": "send", "id": 1, "room": room, "client_id": name, "body": BODY});
        Frame::text(&send.to_string()).encode()
    }

    async fn connect(&self) -> (From, OwnedWriteHalf) {
        let stream = TcpStream::connect(self.address).await.expect("the node listens");
        let (from, mut to) = stream.into_split();
        let mut from = BufReader::new(from);
        let handshake = RawSocket::handshake_text(self.address, "");
        to.write_all(handshake.as_bytes()).await.expect("the node reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(from.read_u8().await.expect("an answer to the handshake"));
        }
        let hello = json!({"op": "hello", "id": 1, "token": self.token, "subscribe": []});
        to.write_all(&Frame::text(&hello.to_string()).encode()).await.expect("the node reads");
        assert_eq!(answers(&mut from, 1).await, 1, "hello is ok");
        (from, to)
    }
}

type From = BufReader<OwnedReadHalf>;

/// Reads so many answers; how many are `ok`. The others must say that there is too much.
async fn answers(from: &mut From, count: usize) -> usize {
    let (mut left, mut taken) = (count, 0);
    while left > 0 {
        let first = from.read_u8().await.expect("an answer");
        let length = match from.read_u8().await.expect("a length") {
            126 => usize::from(from.read_u16().await.expect("a length")),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        from.read_exact(&mut payload).await.expect("a frame");
        if first & 0x0f != opcode::TEXT {
            continue; // a ping
        }
        left -= 1;
        let payload = String::from_utf8(payload).expect("JSON is text");
        let is_ok = payload.contains("\"op\":\"ok\"");
        assert!(is_ok || payload.contains("\"overloaded\""), "{payload}");
        taken += usize::from(is_ok);
    }
    taken
}
