//! One reader of a thousand stops reading. The others keep their pace, the node keeps its size,
//! and the one is closed with 4008 and finds everything when it comes back.

use crate::{alone, launch, users};
use madang_testkit::{
    Account, Http, Node, Socket,
    client::number,
    raw::{Frame, RawSocket, opcode},
    wait::{SOON, until, within},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const MEMBERS: usize = 1_000;
/// Messages of each phase. Those of one phase fill the socket's buffers and the 1 MiB the node
/// keeps for a slow reader, and are fewer than a replay holds.
const MESSAGES: usize = 500;
const BODY_BYTES: usize = 4_000;
/// Between two messages: a lively room, well below what the machine can carry.
const PACE: Duration = Duration::from_millis(40);
/// How much larger a node may be for one reader that stopped.
const GROWTH_MAX: u64 = 2 * 1024 * 1024;

/// The p99 may not grow beyond this: loose, because the machine is busy with clients, too.
fn tolerable(before: Duration) -> Duration {
    before * 3 + Duration::from_millis(100)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_slows_nobody_and_can_resume() {
    let _machine = alone().await;
    let mut crowd = Crowd::gather().await;
    // Buffers and caches reach their size in a first phase that is not measured.
    crowd.talk().await;
    let usual = crowd.talk().await;

    let mut stopped = stop_reading(&crowd).await;
    let stalled = crowd.talk().await;
    closed_as_too_slow(&crowd.http).await;

    assert!(stalled.p99 <= tolerable(usual.p99), "{stalled:?} after {usual:?}");
    let grown = stalled.grown.saturating_sub(usual.grown);
    assert!(grown <= GROWTH_MAX, "{stalled:?} after {usual:?}");

    let (last_seq, code) = read_rest(&mut stopped, 2 * MESSAGES as u64).await;
    assert_eq!(code, Some(4008));
    resumes(&crowd, last_seq).await;
    crowd.everybody_is_still_there();
}

/// What one phase measured.
#[derive(Debug)]
struct Phase {
    /// From the send to the arrival at a reader.
    p99: Duration,
    /// By how many bytes the node grew.
    grown: u64,
}

struct Crowd {
    node: Node,
    http: Http,
    accounts: Vec<Account>,
    room: String,
    talker: Socket,
    readers: JoinSet<()>,
    board: Arc<Board>,
}

/// What sender and readers share: when each message was sent, and how long each took to arrive.
struct Board {
    sent: Mutex<Vec<Instant>>,
    taken: Mutex<Vec<Duration>>,
}

impl Crowd {
    async fn gather() -> Self {
        let (directory, accounts) = users(MEMBERS).await;
        let node = launch().start_in(directory).await;
        let http = node.http();
        let room = http.make_open_group(&accounts[0], "square").await;
        join_all(&http, &accounts[1..], &room).await;
        let board = Arc::new(Board { sent: Mutex::default(), taken: Mutex::default() });
        let mut readers = JoinSet::new();
        // The last one is the one that will stop.
        for account in &accounts[..MEMBERS - 1] {
            let socket = Socket::join(node.address(), account).await;
            readers.spawn(follow(socket, board.clone()));
        }
        let mut talker = Socket::open(node.address()).await;
        talker.hello(&accounts[0].token, Some(json!([]))).await;
        Self { node, http, accounts, room, talker, readers, board }
    }

    /// Sends the messages of one phase at an even pace; each reader must get each.
    async fn talk(&mut self) -> Phase {
        let size = self.node.usage().resident_bytes;
        self.board.taken.lock().expect("no panic").clear();
        let padding = "x".repeat(BODY_BYTES);
        let mut clock = tokio::time::interval(PACE);
        for _ in 0..MESSAGES {
            clock.tick().await;
            let client_id = self.board.send();
            let body = format!("{client_id} {padding}");
            let fields = json!({"room": self.room, "client_id": client_id, "body": body});
            let answer = self.talker.request("send", fields).await;
            assert_eq!(answer["op"], "ok", "{answer}");
        }
        let expected = MESSAGES * (MEMBERS - 1);
        let all = || async { (self.board.count() >= expected).then_some(()) };
        until("every reader has every message", SOON, all).await;
        let grown = self.node.usage().resident_bytes.saturating_sub(size);
        let mut taken = self.board.taken.lock().expect("no panic").clone();
        assert_eq!(taken.len(), expected, "nothing twice");
        taken.sort_unstable();
        let (p50, p99) = (taken[expected / 2], taken[expected * 99 / 100]);
        println!("p50 {p50:?} p99 {p99:?}, grown by {grown} bytes");
        Phase { p99, grown }
    }

    /// A reader ends only by failing.
    fn everybody_is_still_there(&mut self) {
        let ended = self.readers.try_join_next();
        assert!(ended.is_none(), "a reader was let go: {ended:?}");
        assert_eq!(self.readers.len(), MEMBERS - 1);
    }
}

impl Board {
    /// Notes that the next message goes out now; its name.
    fn send(&self) -> String {
        let mut sent = self.sent.lock().expect("no panic");
        sent.push(Instant::now());
        (sent.len() - 1).to_string()
    }

    fn arrived(&self, index: usize) {
        let took = self.sent.lock().expect("no panic")[index].elapsed();
        self.taken.lock().expect("no panic").push(took);
    }

    fn count(&self) -> usize {
        self.taken.lock().expect("no panic").len()
    }
}

async fn join_all(http: &Http, accounts: &[Account], room: &str) {
    for some in accounts.chunks(50) {
        let path = format!("/v1/rooms/{room}/join");
        let call = |account: &Account| {
            http.call(reqwest::Method::POST, &path).token(&account.token).spawn()
        };
        for joined in some.iter().map(call).collect::<Vec<_>>() {
            joined.await.expect("the task ends").expect(200);
        }
    }
}

/// Reads messages in order, without taking each apart.
async fn follow(mut socket: Socket, board: Arc<Board>) {
    let mut next = 0;
    while let Some(text) = socket.text().await {
        let Some((_, body)) = text.split_once("\"body\":\"") else { continue };
        let index: usize = body.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        assert_eq!(index, next, "in order, without gap or repeat");
        board.arrived(index);
        next += 1;
    }
}

/// Joins as the last member and reads nothing but the answer to `hello`.
async fn stop_reading(crowd: &Crowd) -> RawSocket {
    let mut socket = RawSocket::connect_with_buffer(crowd.node.address(), 4_096).await;
    socket.handshake(crowd.node.address(), "").await;
    let token = &crowd.accounts[MEMBERS - 1].token;
    let hello = json!({"op": "hello", "id": 1, "token": token});
    socket.frame(Frame::text(&hello.to_string())).await;
    let answer = socket.read().await.expect("the answer to hello");
    let answer: Value = serde_json::from_slice(&answer.payload).expect("JSON");
    assert_eq!(answer["op"], "ok", "{answer}");
    socket
}

async fn closed_as_too_slow(http: &Http) {
    let closed = || async {
        let closes = http.metrics().await.sum("madang_closes_total", &["code=\"4008\""]);
        (closes == 1.0).then_some(())
    };
    until("one connection is closed with 4008", SOON, closed).await;
}

/// Reads what was on its way; the last message of it, and the code it ended with.
async fn read_rest(socket: &mut RawSocket, first_after: u64) -> (u64, Option<u16>) {
    let (mut last_seq, mut code) = (first_after, None);
    while let Some(frame) = socket.read().await {
        if frame.opcode == opcode::CLOSE {
            code = frame.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        } else if frame.opcode == opcode::TEXT {
            let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            if message["op"] == "presence" {
                continue; // comes whenever somebody comes or goes
            }
            assert_eq!(number(&message, "seq"), last_seq + 1);
            last_seq += 1;
        }
    }
    (last_seq, code)
}

/// The reader comes back and gets everything behind this message, once and in order.
async fn resumes(crowd: &Crowd, after_seq: u64) {
    let end = 3 * MESSAGES as u64;
    assert!(after_seq < end, "it was too slow for the last message at least");
    let mut socket = Socket::open(crowd.node.address()).await;
    let wish = json!([{"room": crowd.room, "after_seq": after_seq}]);
    socket.hello(&crowd.accounts[MEMBERS - 1].token, Some(wish)).await;
    for seq in after_seq + 1..=end {
        let message = within("the next message", SOON, socket.expect("message")).await;
        assert_eq!(number(&message, "seq"), seq);
    }
}
