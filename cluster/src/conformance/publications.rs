//! What happens in rooms.

use super::{LOOK_AGAIN, until};
use crate::{Bus, bus::Deliver, wire::beacon};
use madang_protocol::{Ephemeral, EventBatch, Heads, Publication, RoomId};
use std::sync::{Arc, Mutex};

const ONE: RoomId = RoomId([1; 15]);
const OTHER: RoomId = RoomId([2; 15]);

/// Stands for a publication without a number.
const EPHEMERAL: u64 = u64::MAX;

type Seen = Arc<Mutex<Vec<(&'static str, u64)>>>;

/// Those of the publisher's own node are called before `publish` returns.
pub(super) fn reach_subscribers_until_they_end(bus: &impl Bus) {
    let seen = Seen::default();
    let first = bus.subscribe(ONE, record("first", &seen));
    let _second = bus.subscribe(ONE, record("second", &seen));
    let _third = bus.subscribe(OTHER, record("third", &seen));
    bus.publish(&batch(ONE, 1));
    drop(first);
    bus.publish(&batch(ONE, 2));
    bus.publish(&batch(OTHER, 3));
    assert_seen(&seen, &[("first", 1), ("second", 1), ("second", 2), ("third", 3)]);
}

/// What has no number goes the same way, in order with what has one.
pub(super) fn of_both_kinds_go_the_same_way(bus: &impl Bus) {
    let seen = Seen::default();
    let _subscription = bus.subscribe(ONE, record("first", &seen));
    bus.publish(&batch(ONE, 1));
    bus.publish(&ephemeral(ONE));
    bus.publish(&ephemeral(OTHER));
    bus.publish(&batch(ONE, 2));
    assert_seen(&seen, &[("first", 1), ("first", EPHEMERAL), ("first", 2)]);
}

/// Publishing to nobody is nobody's business; later subscribers hear what comes later.
pub(super) fn are_not_kept_for_later_subscribers(bus: &impl Bus) {
    let seen = Seen::default();
    bus.publish(&batch(ONE, 1));
    let _subscription = bus.subscribe(ONE, record("late", &seen));
    bus.publish(&batch(ONE, 2));
    assert_seen(&seen, &[("late", 2)]);
}

/// One that ends takes no other with it.
pub(super) fn one_subscription_that_ends_leaves_the_others(bus: &impl Bus) {
    let seen = Seen::default();
    let [a, b, c] = ["a", "b", "c"].map(|who| bus.subscribe(ONE, record(who, &seen)));
    drop(b);
    bus.publish(&batch(ONE, 1));
    drop((a, c));
    bus.publish(&batch(ONE, 2));
    assert_seen(&seen, &[("a", 1), ("c", 1)]);
}

/// Those of one publisher arrive in order at every other node, and at none that does not subscribe.
pub(super) async fn reach_other_nodes_in_order(ends: &[impl Bus]) {
    let [publisher, reader, other] = ends else { panic!("three ends") };
    let seen = Seen::default();
    let _reader = reader.subscribe(ONE, record("reader", &seen));
    let _other = other.subscribe(OTHER, record("other", &seen));
    are_connected(publisher, &seen, &["reader"], ONE).await;
    are_connected(publisher, &seen, &["other"], OTHER).await;
    seen.lock().expect("no panic").clear();
    for number in 1..=100 {
        publisher.publish(&batch(ONE, number));
        publisher.publish(&ephemeral(ONE));
    }
    until("all are there", || seen.lock().expect("no panic").len() == 200).await;
    let expected = (1..=100).flat_map(|number| [("reader", number), ("reader", EPHEMERAL)]);
    assert_seen(&seen, &expected.collect::<Vec<_>>());
}

/// A node of the same name is another node, and what it publishes comes once to each.
pub(super) async fn of_another_life_are_those_of_another(ends: &[impl Bus]) {
    let [old, new] = ends else { panic!("two ends") };
    let seen = Seen::default();
    let _old = old.subscribe(ONE, record("old", &seen));
    let _new = new.subscribe(ONE, record("new", &seen));
    are_connected(old, &seen, &["old", "new"], ONE).await;
    are_connected(new, &seen, &["old", "new"], ONE).await;
    seen.lock().expect("no panic").clear();
    old.publish(&batch(ONE, 1));
    old.publish(&batch(ONE, 2));
    until("all are there", || seen.lock().expect("no panic").len() >= 4).await;
    let mut all = seen.lock().expect("no panic").clone();
    all.sort_unstable();
    assert_eq!(all, [("new", 1), ("new", 2), ("old", 1), ("old", 2)]);
}

/// The last reader of a room goes, another comes, at once and again and again.
pub(super) async fn go_on_for_readers_that_come_back(ends: &[impl Bus]) {
    let [publisher, node] = ends else { panic!("two ends") };
    let seen = Seen::default();
    for _ in 0..20 {
        drop(node.subscribe(ONE, record("gone", &seen)));
    }
    let _reader = node.subscribe(ONE, record("reader", &seen));
    are_connected(publisher, &seen, &["reader"], ONE).await;
}

/// Publishes until all of these hear it.
async fn are_connected(publisher: &impl Bus, seen: &Seen, who: &[&'static str], room: RoomId) {
    seen.lock().expect("no panic").clear();
    let mut number = 1_000;
    until("all hear the publisher", || {
        number += 1;
        publisher.publish(&batch(room, number));
        let seen = seen.lock().expect("no panic");
        who.iter().all(|who| seen.iter().any(|(name, number)| name == who && *number > 1_000))
    })
    .await;
    let last = number;
    until("all have heard the last", || {
        let seen = seen.lock().expect("no panic");
        who.iter().all(|who| seen.contains(&(*who, last)))
    })
    .await;
    tokio::time::sleep(LOOK_AGAIN).await;
}

fn record(who: &'static str, seen: &Seen) -> Deliver {
    let seen = seen.clone();
    Box::new(move |publication| {
        let what = match publication {
            Publication::Batch(batch) => batch.after.last_seq,
            Publication::Ephemeral(..) => EPHEMERAL,
        };
        seen.lock().expect("no panic").push((who, what));
    })
}

#[track_caller]
fn assert_seen(seen: &Seen, expected: &[(&str, u64)]) {
    assert_eq!(*seen.lock().expect("no panic"), expected);
}

fn batch(room: RoomId, last_seq: u64) -> Publication {
    let after = Heads { last_seq, ..Heads::default() };
    let Publication::Batch(batch) = beacon(room, after) else { unreachable!("a beacon") };
    Publication::Batch(Arc::new(EventBatch { before: Heads::default(), ..(*batch).clone() }))
}

fn ephemeral(room: RoomId) -> Publication {
    Publication::Ephemeral(room, Arc::new(Ephemeral::Reads(Vec::new())))
}
