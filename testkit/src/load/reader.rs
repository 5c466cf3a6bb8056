//! A reader: follows a room by `after_seq` over as many connections as it takes.

use super::{BACK_WITHIN, Seat, TRY_AGAIN};
use crate::{
    client::{Door, Socket, number, text},
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
    pub(super) fn start(seat: Seat) -> Self {
        let (told, at) = watch::channel(0);
        Self { at, task: tokio::spawn(follow(seat, told)) }
    }

    /// Ends it once it has this message.
    pub(super) async fn finish(mut self, last_seq: u64) {
        let reached = self.at.wait_for(|at| *at >= last_seq);
        let reached = wait::within("a reader has the last message", BACK_WITHIN, reached).await;
        reached.expect("a reader goes on until it is ended");
        self.task.abort();
    }
}

async fn follow(seat: Seat, told: watch::Sender<u64>) {
    loop {
        let after_seq = *told.borrow();
        let wish = json!([{"room": seat.room, "after_seq": after_seq}]);
        if let Some(mut socket) = connect(&seat, Some(wish)).await {
            let (reader, room) = (seat.name.clone(), seat.room.clone());
            seat.journal.record(Event::Reading { reader, room, after_seq });
            while let Some(frame) = socket.frame().await {
                take(&seat, &told, &frame);
            }
        }
        sleep(TRY_AGAIN).await;
    }
}

fn take(seat: &Seat, told: &watch::Sender<u64>, frame: &Value) {
    if frame["op"] != "message" || frame["room"] != json!(seat.room) {
        return;
    }
    let seq = number(frame, "seq");
    seat.journal.record(Event::Read {
        reader: seat.name.clone(),
        room: seat.room.clone(),
        seq,
        client_id: client_id_in(text(frame, "body")).to_owned(),
    });
    told.send_replace(seq);
}

/// A connection past `hello`; `None` when the node is not there or lets us down on the way.
pub(super) async fn connect(seat: &Seat, wish: Option<Value>) -> Option<Socket> {
    let mut socket = Door::new(seat.address).open().await.ok()?;
    let mut hello = json!({"op": "hello", "id": 0, "token": seat.account.token});
    if let Some(wish) = wish {
        hello["subscribe"] = wish;
    }
    socket.say(&hello.to_string()).await;
    let answer = socket.frame().await?;
    assert_eq!(answer["op"], "ok", "{}: {answer}", seat.name);
    Some(socket)
}
