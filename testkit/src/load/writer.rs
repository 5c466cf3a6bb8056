//! A writer: keeps some sends unanswered at any time, and after a broken connection sends again
//! whatever was not answered, under the same `client_id`.

use super::{BACK_WITHIN, Seat, TRY_AGAIN, next_connection};
use crate::{
    client::{Socket, number, text},
    history::{Event, body_of},
};
use serde_json::{Value, json};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// How a writer writes.
#[derive(Debug, Clone, Copy)]
pub struct WriterPlan {
    /// Unanswered sends kept under way.
    pub in_flight: usize,
    /// Bytes of a body, about.
    pub body_bytes: usize,
    /// Whether `internal` is expected, and sent again: actors panic.
    pub outlives_faults: bool,
}

impl Default for WriterPlan {
    fn default() -> Self {
        Self { in_flight: 8, body_bytes: 100, outlives_faults: false }
    }
}

/// One writer of a [`super::Load`].
#[derive(Debug)]
pub struct Writer {
    seat: Seat,
    plan: WriterPlan,
    stop: Arc<AtomicBool>,
    /// Messages begun so far, for their names.
    begun: u64,
    /// Not answered yet, in the order they were first sent.
    open: VecDeque<String>,
    /// The highest place told.
    last_seq: u64,
}

impl Writer {
    pub(super) fn new(seat: Seat, plan: WriterPlan, stop: Arc<AtomicBool>) -> Self {
        Self { seat, plan, stop, begun: 0, open: VecDeque::new(), last_seq: 0 }
    }

    /// Writes until told to stop and everything is answered; the highest place told.
    pub(super) async fn run(mut self) -> u64 {
        let mut deadline = Instant::now() + BACK_WITHIN;
        loop {
            let answered = self.one_connection().await;
            if self.is_done() {
                return self.last_seq;
            }
            if answered {
                deadline = Instant::now() + BACK_WITHIN;
            }
            assert!(Instant::now() < deadline, "{}: no node within reach", self.seat.name);
            sleep(TRY_AGAIN).await;
        }
    }

    fn is_done(&self) -> bool {
        self.stop.load(Ordering::Relaxed) && self.open.is_empty()
    }

    /// Writes until the connection breaks or all is done; whether anything was answered.
    async fn one_connection(&mut self) -> bool {
        let nothing = Some(json!([]));
        let Some((mut socket, _)) = super::reader::connect(&self.seat, nothing).await else {
            return false;
        };
        let mut turn = Turn::default();
        for client_id in self.open.clone() {
            self.send(&mut socket, &mut turn, client_id).await;
        }
        let mut answered = false;
        while !self.is_done() {
            self.fill(&mut socket, &mut turn).await;
            let Some(frame) = read(&mut socket).await else { break };
            answered |= self.take(&mut socket, &mut turn, &frame).await;
        }
        answered
    }

    async fn fill(&mut self, socket: &mut Socket, turn: &mut Turn) {
        while !self.stop.load(Ordering::Relaxed) && self.open.len() < self.plan.in_flight {
            self.begun += 1;
            let client_id = format!("{}-{}", self.seat.name, self.begun);
            self.open.push_back(client_id.clone());
            self.send(socket, turn, client_id).await;
        }
    }

    async fn send(&mut self, socket: &mut Socket, turn: &mut Turn, client_id: String) {
        let (connection, room) = (turn.connection, self.seat.room.clone());
        let sent = Event::Sent { connection, room, client_id: client_id.clone() };
        self.seat.journal.record(sent);
        let body = body_of(&client_id, self.plan.body_bytes);
        let fields = json!({"room": self.seat.room, "client_id": client_id, "body": body});
        let id = socket.begin("send", fields).await;
        turn.waiting.insert(id, client_id);
    }

    /// Takes an answer; true when there was one.
    async fn take(&mut self, socket: &mut Socket, turn: &mut Turn, frame: &Value) -> bool {
        let Some(client_id) = frame["id"].as_u64().and_then(|id| turn.waiting.remove(&id)) else {
            return false;
        };
        if frame["op"] == "ok" {
            self.acknowledged(turn.connection, client_id, frame);
        } else {
            self.refused(turn.connection, client_id.clone(), frame).await;
            self.send(socket, turn, client_id).await;
        }
        true
    }

    fn acknowledged(&mut self, connection: u64, client_id: String, frame: &Value) {
        let (seq, ts) = (number(frame, "seq"), number(frame, "ts"));
        self.last_seq = self.last_seq.max(seq);
        self.open.retain(|open| *open != client_id);
        let room = self.seat.room.clone();
        self.seat.journal.record(Event::Acknowledged { connection, room, client_id, seq, ts });
    }

    /// Only what a retry can heal is expected here; the node says how long to wait before it.
    async fn refused(&self, connection: u64, client_id: String, frame: &Value) {
        let code = text(frame, "code").to_owned();
        let fault = (self.plan.outlives_faults && code == "internal").then_some(0);
        let wait = frame["retry_after_ms"].as_u64().or(fault);
        let wait = wait.unwrap_or_else(|| panic!("{}: {frame}", self.seat.name));
        let room = self.seat.room.clone();
        self.seat.journal.record(Event::Refused { connection, room, client_id, code });
        sleep(Duration::from_millis(wait)).await;
    }
}

/// What belongs to one connection of a writer.
struct Turn {
    connection: u64,
    /// Request id to message.
    waiting: HashMap<u64, String>,
}

impl Default for Turn {
    fn default() -> Self {
        Self { connection: next_connection(), waiting: HashMap::new() }
    }
}

/// The next frame; `None` when the connection is over, or the node says nothing for so long that
/// it must be.
async fn read(socket: &mut Socket) -> Option<Value> {
    timeout_at(Instant::now() + BACK_WITHIN, socket.frame()).await.ok().flatten()
}
