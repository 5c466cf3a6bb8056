//! What every bus does, whatever it is made of. Call each function with a fresh bus.

use crate::Bus;
use madang_protocol::{Ephemeral, EventBatch, Heads, Publication, RoomId};
use std::sync::{Arc, Mutex};

const ONE: RoomId = RoomId([1; 15]);
const OTHER: RoomId = RoomId([2; 15]);

/// Stands for a publication without a number.
const EPHEMERAL: u64 = u64::MAX;

type Seen = Arc<Mutex<Vec<(&'static str, u64)>>>;

/// Batches reach the subscribers of their room, in order, until the subscription ends.
pub fn reaches_subscribers_until_they_end(bus: &impl Bus) {
    let seen = Seen::default();
    let first = bus.subscribe(ONE, record("first", &seen));
    let _second = bus.subscribe(ONE, record("second", &seen));
    let _third = bus.subscribe(OTHER, record("third", &seen));
    bus.publish(&batch(ONE, 1));
    drop(first);
    bus.publish(&batch(ONE, 2));
    bus.publish(&batch(OTHER, 3));
    let expected = [("first", 1), ("second", 1), ("second", 2), ("third", 3)];
    assert_eq!(*seen.lock().expect("no panic"), expected);
}

/// What has no number goes the same way, in order with what has one.
pub fn ephemerals_go_the_same_way(bus: &impl Bus) {
    let seen = Seen::default();
    let _subscription = bus.subscribe(ONE, record("first", &seen));
    bus.publish(&batch(ONE, 1));
    bus.publish(&Publication::Ephemeral(ONE, Arc::new(Ephemeral::Reads(Vec::new()))));
    bus.publish(&Publication::Ephemeral(OTHER, Arc::new(Ephemeral::Reads(Vec::new()))));
    bus.publish(&batch(ONE, 2));
    let expected = [("first", 1), ("first", EPHEMERAL), ("first", 2)];
    assert_eq!(*seen.lock().expect("no panic"), expected);
}

/// Publishing to nobody is nobody's business; later subscribers hear what comes later.
pub fn nothing_is_kept_for_later_subscribers(bus: &impl Bus) {
    let seen = Seen::default();
    bus.publish(&batch(ONE, 1));
    let _subscription = bus.subscribe(ONE, record("late", &seen));
    bus.publish(&batch(ONE, 2));
    assert_eq!(*seen.lock().expect("no panic"), [("late", 2)]);
}

/// One that ends takes no other with it.
pub fn one_that_ends_leaves_the_others(bus: &impl Bus) {
    let seen = Seen::default();
    let subscriptions = ["a", "b", "c"].map(|who| bus.subscribe(ONE, record(who, &seen)));
    let [a, b, c] = subscriptions;
    drop(b);
    bus.publish(&batch(ONE, 1));
    drop((a, c));
    bus.publish(&batch(ONE, 2));
    assert_eq!(*seen.lock().expect("no panic"), [("a", 1), ("c", 1)]);
}

fn record(who: &'static str, seen: &Seen) -> crate::bus::Deliver {
    let seen = seen.clone();
    Box::new(move |publication| {
        let what = match publication {
            Publication::Batch(batch) => batch.after.last_seq,
            Publication::Ephemeral(..) => EPHEMERAL,
        };
        seen.lock().expect("no panic").push((who, what));
    })
}

fn batch(room: RoomId, last_seq: u64) -> Publication {
    let after = Heads { last_seq, ..Heads::default() };
    let before = Heads::default();
    Publication::Batch(Arc::new(EventBatch { room, before, after, events: Vec::new() }))
}
