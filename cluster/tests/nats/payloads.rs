//! What is larger than a server carries, and what no node says.

use crate::support::{Ears, fresh_cluster, open, options};
use bytes::Bytes;
use madang_cluster::{
    Bus,
    bus::{AskError, Question, Topic},
    nats::Options,
};
use madang_protocol::{ClientId, Event, EventBatch, Heads, Message, Publication, RoomId, UserId};
use madang_servers::{self as servers, wait};
use std::sync::{Arc, Mutex};

const ROOM: RoomId = RoomId([1; 15]);
const PAYLOAD_BYTES_MAX: usize = 65_536;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_arrives_in_pieces() {
    let nats = servers::Nats::configured(&format!("max_payload: {PAYLOAD_BYTES_MAX}")).await;
    let cluster = fresh_cluster();
    let join = |name| open(Options { cluster: cluster.clone(), ..options(nats.urls(), name) });
    let (one, other) = (join("one").await.unwrap(), join("other").await.unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let record = heard.clone();
    let _reader = other.subscribe(
        ROOM,
        Box::new(move |publication| record.lock().unwrap().push(publication.clone())),
    );
    let _serving = other.serve(Box::new(|_, answer| answer(Bytes::new())));
    wait::until("it is subscribed", wait::SOON, || async {
        let question = Question { trace: 0, body: Bytes::new() };
        one.ask(&other.me().name, question, wait::SOON).await.ok()
    })
    .await;

    let last = 40;
    let events: Vec<Event> = (1..=last).map(|seq| message(seq, 16_000)).collect();
    let after = Heads { last_seq: last, ..Heads::default() };
    let batch = EventBatch { room: ROOM, before: Heads::default(), after, events };
    one.publish(&Publication::Batch(Arc::new(batch.clone())));
    wait::until("the last piece", wait::SOON, || async {
        let heard = heard.lock().unwrap();
        heard.last().is_some_and(|last| pieces([last])[0].after == after).then_some(())
    })
    .await;
    let heard = heard.lock().unwrap();
    let pieces = pieces(heard.iter());
    assert!(pieces.len() > 10, "{} pieces", pieces.len());
    let events = pieces.iter().flat_map(|piece| piece.events.clone());
    assert_eq!(events.collect::<Vec<_>>(), batch.events);
    assert!(pieces.windows(2).all(|two| two[0].after == two[1].before), "they follow each other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_too_large_is_not_asked() {
    let nats = servers::Nats::configured(&format!("max_payload: {PAYLOAD_BYTES_MAX}")).await;
    let end = open(Options { cluster: fresh_cluster(), ..options(nats.urls(), "one") }).await;
    let end = end.unwrap();
    let ears = Ears::of(&end);
    let _serving = end.serve(Box::new(|asked, answer| answer(asked.question.body)));
    let ask = |bytes| {
        let question = Question { trace: 0, body: vec![1; bytes].into() };
        end.ask(&end.me().name, question, wait::SOON)
    };
    wait::until("a small one", wait::SOON, || async { ask(60_000).await.ok() }).await;
    assert_eq!(ask(PAYLOAD_BYTES_MAX).await, Err(AskError::Unreachable));
    // The connection has not come to grief over it.
    end.announce(Topic::Heartbeat, vec![0; PAYLOAD_BYTES_MAX].into());
    end.announce(Topic::Heartbeat, Bytes::new());
    wait::until("the small heartbeat", wait::SOON, || async {
        (ears.heartbeats.load(std::sync::atomic::Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    assert_eq!(ears.gaps.load(std::sync::atomic::Ordering::SeqCst), 0);
}

fn message(seq: u64, body_bytes: usize) -> Event {
    Event::Message(Arc::new(Message {
        room: ROOM,
        seq,
        ts: 1,
        sender: UserId([1; 15]),
        client_id: ClientId::new("c").unwrap(),
        body: "x".repeat(body_bytes).into(),
        reply_to: None,
        amended: None,
    }))
}

fn pieces<'a>(heard: impl IntoIterator<Item = &'a Publication>) -> Vec<Arc<EventBatch>> {
    let batch = |publication: &Publication| match publication {
        Publication::Batch(batch) => batch.clone(),
        Publication::Ephemeral(..) => panic!("a batch"),
    };
    heard.into_iter().map(batch).collect()
}
