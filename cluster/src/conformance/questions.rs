//! What one node asks of another.

use super::{SOON, until};
use crate::{
    Bus, Subscription,
    bus::{AskError, Deliver, Question, Serve},
    wire::beacon,
};
use bytes::Bytes;
use futures_util::future::join_all;
use madang_protocol::{Heads, RoomId};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// For what is not going to be answered.
const BRIEFLY: Duration = Duration::from_millis(300);

/// Each with its own answer, also when many are under way; who asks, and the trace, are told.
pub(super) async fn are_answered(ends: &[impl Bus]) {
    let [asker, server] = ends else { panic!("two ends") };
    let me = asker.me().clone();
    let _serving = server.serve(Box::new(move |asked, answer| {
        assert_eq!((&asked.from, asked.question.trace), (&me, 7));
        answer([b"re ", &asked.question.body[..]].concat().into());
    }));
    is_served(asker, server).await;
    let asked = (0..100).map(|number| {
        let question = Question { trace: 7, body: format!("{number}").into() };
        asker.ask(&server.me().name, question, SOON)
    });
    for (number, answered) in join_all(asked).await.into_iter().enumerate() {
        assert_eq!(answered, Ok(format!("re {number}").into()));
    }
}

/// Nobody of that name, nobody who serves, nobody any more: told long before the deadline.
pub(super) async fn to_nobody_are_unreachable(ends: &[impl Bus]) {
    let [asker, server] = ends else { panic!("two ends") };
    let begun = Instant::now();
    assert_eq!(ask(asker, server, SOON).await, Err(AskError::Unreachable));
    let nobody = crate::NodeName::new("nobody").expect("a usable name");
    let answered = asker.ask(&nobody, question(), SOON).await;
    assert_eq!(answered, Err(AskError::Unreachable));
    let serving = server.serve(answering("here"));
    is_served(asker, server).await;
    drop(serving);
    while ask(asker, server, BRIEFLY).await != Err(AskError::Unreachable) {
        assert!(begun.elapsed() < SOON, "still answered");
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

/// A way to answer that is dropped, or kept for too long.
pub(super) async fn without_an_answer_end(ends: &[impl Bus]) {
    let [asker, server] = ends else { panic!("two ends") };
    let (kept, is_silent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let (keep, silent) = (kept.clone(), is_silent.clone());
    let _serving = server.serve(Box::new(move |_, answer| match silent.load(Ordering::SeqCst) {
        0 => answer(Bytes::new()),
        1 => drop(answer),
        _ => keep.lock().expect("no panic").push(answer),
    }));
    is_served(asker, server).await;
    for way in [1, 2] {
        is_silent.store(way, Ordering::SeqCst);
        assert_eq!(ask(asker, server, BRIEFLY).await, Err(AskError::Unanswered), "way {way}");
    }
    let late = kept.lock().expect("no panic").pop().expect("it was kept");
    late(Bytes::from_static(b"late"));
    is_silent.store(0, Ordering::SeqCst);
    assert_eq!(ask(asker, server, SOON).await, Ok(Bytes::new()), "the late answer is nobody's");
}

/// One subscription at a time: the latest.
pub(super) async fn go_to_the_latest_that_serves(ends: &[impl Bus]) {
    let [asker, server] = ends else { panic!("two ends") };
    let first = server.serve(answering("first"));
    let _second = server.serve(answering("second"));
    is_served(asker, server).await;
    assert_eq!(ask(asker, server, SOON).await, Ok("second".into()));
    drop(first);
    assert_eq!(ask(asker, server, SOON).await, Ok("second".into()));
}

/// Who subscribes to a room and then asks its home how far it is, misses nothing that the home says
/// after it answered.
pub(super) async fn are_asked_behind_a_subscription(ends: &[impl Bus]) {
    let [reader, home] = ends else { panic!("two ends") };
    let _serving = home.serve(answering("heads"));
    is_served(reader, home).await;
    for round in 0..10 {
        let rooms = (0..40).map(|number| room(round, number));
        let rooms: Vec<RoomId> = rooms.collect();
        let heard = Arc::<AtomicU64>::default();
        let subscribe = |room: &RoomId| reader.subscribe(*room, counting(&heard));
        let _subscriptions: Vec<Subscription> = rooms.iter().map(subscribe).collect();
        assert_eq!(ask(reader, home, SOON).await, Ok("heads".into()));
        for room in &rooms {
            home.publish(&beacon(*room, Heads::default()));
        }
        until("what came after the answer is heard", || {
            heard.load(Ordering::SeqCst) == rooms.len() as u64
        })
        .await;
    }
}

fn room(round: u8, number: u8) -> RoomId {
    let mut id = [round; 15];
    id[0] = number;
    RoomId(id)
}

fn counting(heard: &Arc<AtomicU64>) -> Deliver {
    let heard = heard.clone();
    Box::new(move |_| {
        heard.fetch_add(1, Ordering::SeqCst);
    })
}

/// Asks until it is answered: a real bus takes a moment to know who serves.
async fn is_served(asker: &impl Bus, server: &impl Bus) {
    let begun = Instant::now();
    let name = &server.me().name;
    while asker.ask(name, Question { trace: 7, body: Bytes::new() }, BRIEFLY).await.is_err() {
        assert!(begun.elapsed() < SOON, "not served");
        tokio::time::sleep(super::LOOK_AGAIN).await;
    }
}

async fn ask(asker: &impl Bus, server: &impl Bus, within: Duration) -> Result<Bytes, AskError> {
    asker.ask(&server.me().name, question(), within).await
}

fn question() -> Question {
    Question { trace: 7, body: Bytes::from_static(b"?") }
}

fn answering(what: &'static str) -> Serve {
    Box::new(move |_, answer| answer(Bytes::from_static(what.as_bytes())))
}
