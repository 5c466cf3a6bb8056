//! How a node feels to people who are in nobody's way, while something else goes on.
//!
//! [`Pulse`] sends `ping`, `signal`, `typing` and messages by the clock, whether the ones before were
//! answered or not: a node that stands still for a tenth of a second has dozens of late answers, not
//! one. It has threads of its own, preferred to everything that disturbs, and blocking
//! sockets, so that what it measures is the node. [`Rounds`] compares phases in which something goes on
//! with quiet ones between them, and with what these differ among themselves.

mod board;
mod felt;
mod rounds;
mod wire;

pub use felt::{Felt, Kind};
pub use rounds::{Limits, Rounds, Verdict};

use crate::{Account, priority::prefer_this_thread, raw::Frame, wait};
use board::{Beat, Board};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};
use wire::Wire;

/// Between two beats; they go in turns through [`TURNS`].
const PACE: Duration = Duration::from_millis(1);
/// `ping` and `signal` 300 times a second, messages and `typing` 100 times.
const TURNS: [Option<Kind>; 10] = [
    Some(Kind::Ping),
    Some(Kind::Signal),
    Some(Kind::Message),
    Some(Kind::Ping),
    Some(Kind::Signal),
    Some(Kind::Typing),
    Some(Kind::Ping),
    Some(Kind::Signal),
    None,
    None,
];
/// A room is told of typing twice a second: so many rooms take turns that each has its time.
pub const TYPING_ROOMS: usize = 64;
/// What is under way at the end of a phase is waited for so long.
const LATE_MAX: Duration = Duration::from_secs(20);

/// Who feels, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The node.
    pub address: SocketAddr,
    /// Who speaks, a member of all rooms.
    pub talker: Account,
    /// Who hears it, too.
    pub listener: Account,
    /// Signals and messages go here.
    pub room: String,
    /// [`TYPING_ROOMS`] others.
    pub typing_rooms: Vec<String>,
    /// The length of a message.
    pub body_bytes: usize,
}

/// Beats until it is dropped.
pub struct Pulse {
    board: Arc<Board>,
    /// The beat ends when it is gone.
    _beats: Sender<()>,
    wires: [Wire; 2],
}

impl Pulse {
    /// Connects both and begins to beat.
    pub fn start(plan: Plan) -> Self {
        let rooms = [&[plan.room.clone()][..], &plan.typing_rooms].concat();
        // Who receives a room is known to be a member: only then nobody's store is asked.
        let talker = Wire::open(plan.address, &plan.talker.token, &rooms);
        let listener = Wire::open(plan.address, &plan.listener.token, &rooms);
        let (board, (beats, goes_on)) = (Arc::new(Board::default()), channel());
        let hear = |wire: &Wire, hears: fn(Kind) -> bool| {
            let (wire, board) = (wire.clone(), board.clone());
            thread::spawn(move || {
                prefer_this_thread();
                wire.read(|frame, at| board.heard(frame, hears, at));
            });
        };
        hear(&talker, |kind| kind == Kind::Ping);
        hear(&listener, |kind| kind != Kind::Ping);
        let (wire, on) = (talker.clone(), board.clone());
        thread::spawn(move || beat(&plan, &wire, &on, &goes_on));
        Self { board, _beats: beats, wires: [talker, listener] }
    }

    /// Sends no messages from now on, or does again: where no store takes them.
    pub fn send_messages(&self, are_sent: bool) {
        self.board.send_messages(are_sent);
    }

    /// Feels until `task` is done; what is under way then is waited for.
    pub async fn feel<T>(&self, task: impl Future<Output = T>) -> (Felt, T) {
        let phase = self.board.begin();
        let done = task.await;
        self.board.end();
        let is_heard = || async { self.board.is_heard(phase).then_some(()) };
        wait::until("an answer to everything", LATE_MAX, is_heard).await;
        (self.board.felt(phase), done)
    }

    /// Feels for this long, with nothing going on.
    pub async fn at_rest(&self, time: Duration) -> Felt {
        self.feel(tokio::time::sleep(time)).await.0
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.wires.iter().for_each(Wire::close);
    }
}

/// Sends a beat at each time of its clock until its pulse is dropped.
fn beat(plan: &Plan, wire: &Wire, board: &Board, goes_on: &Receiver<()>) {
    prefer_this_thread();
    let (begin, padding) = (Instant::now(), "x".repeat(plan.body_bytes));
    for number in 0_u32.. {
        let due = begin + PACE * number;
        let left = due.saturating_duration_since(Instant::now());
        if goes_on.recv_timeout(left) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        let kind = TURNS[number as usize % TURNS.len()];
        let Some(kind) = kind.filter(|kind| board.sends(*kind)) else { continue };
        let (beat, frame) = frame(plan, kind, number, &padding);
        board.sent(beat, Instant::now());
        if wire.write(&frame.encode()).is_err() {
            return; // shows as what is never heard
        }
    }
}

fn frame(plan: &Plan, kind: Kind, number: u32, padding: &str) -> (Beat, Frame) {
    let (op, id, room) = (kind.name(), number, &plan.room);
    let (beat, value) = match kind {
        Kind::Ping => (Beat::Ping(id), json!({"op": op, "id": id})),
        Kind::Signal => (Beat::Signal(id), json!({"op": op, "room": room, "data": id.to_string()})),
        Kind::Message => {
            let body = format!("{id} {padding}");
            let client_id = format!("beat {id}");
            let fields =
                json!({"op": "send", "id": id, "room": room, "client_id": client_id, "body": body});
            (Beat::Message(id), fields)
        }
        Kind::Typing => {
            let turn = id as usize / TURNS.len();
            let room = &plan.typing_rooms[turn % TYPING_ROOMS];
            let on = (turn / TYPING_ROOMS).is_multiple_of(2);
            (Beat::Typing(room.clone()), json!({"op": op, "room": room, "on": on}))
        }
    };
    (beat, Frame::text(&value.to_string()))
}
