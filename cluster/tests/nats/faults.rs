//! Servers that are killed, started again, and frozen.

use crate::support::{Ears, fresh_cluster, open, options};
use bytes::Bytes;
use madang_cluster::{
    Bus, Nats,
    bus::{AskError, Deliver, Question, Subscription, Topic},
    nats::{Options, QUEUE_BOUND},
    wire::beacon,
};
use madang_protocol::{Heads, RoomId};
use madang_servers::{self as servers, wait};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const ROOM: RoomId = RoomId([1; 15]);
/// Publishing and announcing wait for nobody: this is what a busy machine may take for it.
const AT_ONCE: Duration = Duration::from_millis(200);

/// Two nodes on one cluster.
struct Pair {
    one: Nats,
    other: Nats,
}

impl Pair {
    async fn on(one: Vec<String>, other: Vec<String>) -> Self {
        let cluster = fresh_cluster();
        let [one, other] = [(one, "one"), (other, "other")].map(|(urls, name)| {
            let cluster = cluster.clone();
            open(Options { cluster, ..options(urls, name) })
        });
        Self { one: one.await.unwrap(), other: other.await.unwrap() }
    }

    /// Waits until what `one` publishes, and asks, gets through.
    async fn is_through(&self, reader: &Reader) {
        let before = reader.heard.load(Ordering::SeqCst);
        wait::until("publications get through", wait::SOON, || async {
            self.one.publish(&beacon(ROOM, Heads::default()));
            (reader.heard.load(Ordering::SeqCst) > before).then_some(())
        })
        .await;
        wait::until("questions get through", wait::SOON, || async {
            self.ask(Duration::from_millis(500)).await.ok()
        })
        .await;
    }

    async fn ask(&self, within: Duration) -> Result<Bytes, AskError> {
        let question = Question { trace: 0, body: Bytes::new() };
        self.one.ask(&self.other.me().name, question, within).await
    }
}

/// Reads a room at one end, and answers questions there.
struct Reader {
    heard: Arc<AtomicU64>,
    _subscriptions: [Subscription; 2],
}

impl Reader {
    fn at(end: &Nats) -> Self {
        let heard = Arc::<AtomicU64>::default();
        let counter = heard.clone();
        let deliver = counting(counter);
        let serving = end.serve(Box::new(|_, answer| answer(Bytes::new())));
        Self { heard, _subscriptions: [end.subscribe(ROOM, deliver), serving] }
    }
}

fn counting(counter: Arc<AtomicU64>) -> Deliver {
    Box::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    })
}

/// Publishes and announces more than the queue takes, and measures.
fn publish_many(end: &Nats) -> Duration {
    let begun = Instant::now();
    for _ in 0..QUEUE_BOUND + 1_000 {
        end.publish(&beacon(ROOM, Heads::default()));
        end.announce(Topic::Heartbeat, Bytes::new());
    }
    begun.elapsed() / u32::try_from(QUEUE_BOUND + 1_000).unwrap()
}

async fn is_lost(end: &Nats) {
    let lost = || async { (!end.is_connected()).then_some(()) };
    wait::until("the loss is noticed", wait::SOON, lost).await;
}

async fn is_heard(what: &str, counter: &AtomicU64, at_least: u64) {
    let heard = || async { (counter.load(Ordering::SeqCst) >= at_least).then_some(()) };
    wait::until(what, wait::SOON, heard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_killed_and_comes_back() {
    let mut nats = servers::Nats::one().await;
    let pair = Pair::on(nats.urls(), nats.urls()).await;
    let (own, reader) = (Reader::at(&pair.one), Reader::at(&pair.other));
    let ears = [&pair.one, &pair.other].map(Ears::of);
    pair.is_through(&reader).await;

    nats.server_mut(0).kill().await;
    is_lost(&pair.one).await;
    let before = own.heard.load(Ordering::SeqCst);
    let each = publish_many(&pair.one);
    assert!(each < Duration::from_millis(1), "{each:?} for one publication");
    let delivered = own.heard.load(Ordering::SeqCst) - before;
    assert_eq!(delivered, QUEUE_BOUND as u64 + 1_000, "the own readers hear all the same");
    let begun = Instant::now();
    assert_eq!(pair.ask(wait::SOON).await, Err(AskError::Unreachable));
    assert!(begun.elapsed() < AT_ONCE, "{:?} to say that nobody is there", begun.elapsed());
    assert_eq!(ears.each_ref().map(|ears| ears.gaps.load(Ordering::SeqCst)), [0, 0]);
    // A room that gets its first reader meanwhile.
    let meanwhile = Arc::<AtomicU64>::default();
    let counter = meanwhile.clone();
    let deliver = counting(counter);
    let room = RoomId([2; 15]);
    let _subscription = pair.other.subscribe(room, deliver);

    nats.server_mut(0).restart().await;
    for ears in &ears {
        is_heard("a gap", &ears.gaps, 1).await;
    }
    pair.is_through(&reader).await;
    wait::until("the new room is subscribed to", wait::SOON, || async {
        pair.one.publish(&beacon(room, Heads::default()));
        (meanwhile.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    for ears in &ears {
        is_heard("another gap, when the servers agree", &ears.gaps, 2).await;
    }
    pair.one.announce(Topic::Heartbeat, Bytes::new());
    is_heard("the own heartbeat", &ears[0].heartbeats, 1).await;
}

/// What is asked because of a gap must find the subscriptions in place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_is_said_when_the_subscriptions_are_back() {
    let mut nats = servers::Nats::one().await;
    let pair = Arc::new(Pair::on(nats.urls(), nats.urls()).await);
    let reader = Reader::at(&pair.other);
    pair.is_through(&reader).await;
    for round in 0..3 {
        nats.server_mut(0).kill().await;
        is_lost(&pair.one).await;
        is_lost(&pair.other).await;
        let (said, is_said) = tokio::sync::oneshot::channel();
        let said = std::sync::Mutex::new(Some(said));
        let _hearing = pair.other.hear(Box::new(move |heard| {
            if heard == madang_cluster::bus::Heard::Gap {
                let _ = said.lock().unwrap().take().map(|said| said.send(()));
            }
        }));
        nats.server_mut(0).restart().await;
        wait::within("a gap", wait::SOON, is_said).await.unwrap();
        let connected = || async { pair.one.is_connected().then_some(()) };
        wait::until("the publisher is there", wait::SOON, connected).await;
        let before = reader.heard.load(Ordering::SeqCst);
        pair.one.publish(&beacon(ROOM, Heads::default()));
        is_heard(&format!("the first after gap {round}"), &reader.heard, before + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_server_is_given_up_within_seconds() {
    let nats = servers::Nats::one().await;
    let pair = Pair::on(nats.urls(), nats.urls()).await;
    let reader = Reader::at(&pair.other);
    let ears = Ears::of(&pair.other);
    pair.is_through(&reader).await;

    nats.server(0).pause();
    let begun = Instant::now();
    let each = publish_many(&pair.one);
    assert!(each < Duration::from_millis(1), "{each:?} for one publication");
    let within = Duration::from_millis(300);
    let asked = Instant::now();
    assert!(pair.ask(within).await.is_err());
    assert!(asked.elapsed() < within + AT_ONCE, "{:?}", asked.elapsed());
    is_lost(&pair.one).await;
    assert!(begun.elapsed() < Duration::from_secs(6), "lost after {:?}", begun.elapsed());

    nats.server(0).resume();
    is_heard("a gap", &ears.gaps, 1).await;
    pair.is_through(&reader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_servers_go_on() {
    let mut nats = servers::Nats::cluster().await;
    let mut urls = nats.urls();
    let one = urls.clone();
    urls.rotate_left(1);
    let pair = Pair::on(one, urls).await;
    let reader = Reader::at(&pair.other);
    pair.is_through(&reader).await;
    for number in 0..3 {
        nats.server_mut(number).kill().await;
        pair.is_through(&reader).await;
        nats.server_mut(number).restart().await;
        nats.is_whole().await;
        pair.is_through(&reader).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_too_slow_hears_of_a_gap() {
    let nats = servers::Nats::one().await;
    let pair = Pair::on(nats.urls(), nats.urls()).await;
    let ears = Ears::of(&pair.other);
    #[expect(
        clippy::disallowed_methods,
        reason = "a subscriber that is slow is what this is about"
    )]
    let slow = |_: &_| std::thread::sleep(Duration::from_millis(2));
    let _reader = pair.other.subscribe(ROOM, Box::new(slow));
    wait::until("a gap", wait::SOON, || async {
        for _ in 0..200 {
            pair.one.publish(&beacon(ROOM, Heads::default()));
        }
        (ears.gaps.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
}
