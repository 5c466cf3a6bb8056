//! A reader: follows a room by `after_seq` over as many connections as it takes.

use super::{BACK_WITHIN, Seat, TRY_AGAIN};
use crate::{
    client::{Door, Http, Socket, list, number, text},
    history::{Event, client_id_in},
    wait,
};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

/// One reader of a [`super::Load`].
#[derive(Debug)]
pub struct Reader {
    /// How far it has read.
    at: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Reader {
    pub(super) fn start(seat: Seat, messages_each: usize) -> Self {
        let (told, at) = watch::channel(0);
        Self { at, task: tokio::spawn(follow(seat, told, messages_each)) }
    }

    /// Ends it once it has this message.
    pub(super) async fn finish(mut self, last_seq: u64) {
        let reached = self.at.wait_for(|at| *at >= last_seq);
        let reached = wait::within("a reader has the last message", BACK_WITHIN, reached).await;
        reached.expect("a reader goes on until it is ended");
        self.task.abort();
    }
}

async fn follow(seat: Seat, told: watch::Sender<u64>, messages_each: usize) {
    loop {
        let after_seq = *told.borrow();
        let wish = json!([{"room": seat.room, "after_seq": after_seq}]);
        if let Some((socket, hello)) = connect(&seat, Some(wish)).await {
            let (reader, room) = (seat.name.clone(), seat.room.clone());
            seat.journal.record(Event::Reading { reader, room, after_seq });
            one_connection(&seat, &told, socket, &hello["rooms"][0], messages_each).await;
        }
        sleep(TRY_AGAIN).await;
    }
}

/// Reads until the connection breaks, or so many messages have come.
async fn one_connection(
    seat: &Seat,
    told: &watch::Sender<u64>,
    mut socket: Socket,
    subscribed: &Value,
    messages_max: usize,
) {
    if subscribed["truncated"] == true {
        let replay_from = number(subscribed, "replay_from");
        if read_older(seat, told, replay_from).await.is_none() {
            return;
        }
    }
    let mut messages = 0;
    while messages < messages_max
        && let Some(frame) = socket.frame().await
    {
        if frame["op"] == "message" && frame["room"] == json!(seat.room) {
            take(seat, told, &frame);
            messages += 1;
        }
    }
}

/// A reader that missed more than is replayed reads the rest as older messages, here over HTTP, so
/// that what comes over the socket waits meanwhile. `None` when the node is gone.
async fn read_older(seat: &Seat, told: &watch::Sender<u64>, replay_from: u64) -> Option<()> {
    let http = Http::new(seat.next_address());
    while *told.borrow() + 1 < replay_from {
        let after = *told.borrow();
        let limit = (replay_from - 1 - after).min(200);
        let path = format!("/v1/rooms/{}/messages?after={after}&limit={limit}", seat.room);
        let page = http.get(&path).token(&seat.account.token).try_send().await.ok()?;
        for message in list(&page.expect(200), "messages") {
            take(seat, told, message);
        }
    }
    Some(())
}

fn take(seat: &Seat, told: &watch::Sender<u64>, message: &Value) {
    let seq = number(message, "seq");
    seat.journal.record(Event::Read {
        reader: seat.name.clone(),
        room: seat.room.clone(),
        seq,
        client_id: client_id_in(text(message, "body")).to_owned(),
    });
    told.send_replace(seq);
}

/// A connection past `hello` and the answer to it; `None` when the node is not there, asks for
/// patience, or lets us down on the way.
pub(super) async fn connect(seat: &Seat, wish: Option<Value>) -> Option<(Socket, Value)> {
    let mut socket = Door::new(seat.next_address()).open().await.ok()?;
    let mut hello = json!({"op": "hello", "id": 0, "token": seat.account.token});
    if let Some(wish) = wish {
        hello["subscribe"] = wish;
    }
    socket.say(&hello).await;
    let mut answer = socket.frame().await?;
    if answer["op"] == "goaway" {
        answer = socket.frame().await?; // came while the node began to drain
    }
    let is_fault = answer["code"] == "internal"; // where actors are made to panic
    if is_fault || answer["retry_after_ms"].is_u64() || answer["rooms"][0]["error"] == "unavailable"
    {
        return None;
    }
    assert_eq!(answer["op"], "ok", "{}: {answer}", seat.name);
    Some((socket, answer))
}
