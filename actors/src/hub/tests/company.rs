//! What may wait for company.

use super::{Bytes, Duration, Hub, HubLimits, Instant, Item, LIMITS, Reader, Sent, item};
use crate::hub::liveness::PATIENCE;

fn patient(text: &'static str) -> Item {
    Item::of_bytes(Bytes::from_static(text.as_bytes())).ephemeral().patient()
}

/// A hub with one reader, in whose out-queue `text` waits.
fn waiting(text: &'static str) -> (Hub, Reader) {
    waiting_in(Hub::new(), text)
}

fn waiting_in(hub: Hub, text: &'static str) -> (Hub, Reader) {
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    hub.deliver(vec![patient(text)]);
    hub.turns();
    assert_eq!(ann.takes(), "");
    (hub, ann)
}

/// Not by a tick, which within these limits pings everybody.
fn after(hub: &Hub, time: Duration) {
    hub.local.core().end_patience(Instant::now() + time);
    hub.turns();
}

#[test]
fn it_leaves_in_the_write_of_what_does_not_wait() {
    let (hub, ann) = waiting("a");
    hub.deliver(vec![patient("b"), item(1, "1"), patient("c")]);
    hub.turns();
    assert_eq!((ann.takes().as_str(), ann.socket.writes.get()), ("ab1c", 1));
    after(&hub, PATIENCE);
    assert_eq!(ann.takes(), "", "written once");
}

#[test]
fn an_answer_takes_it_along() {
    let (hub, ann) = waiting("a");
    hub.local.push(ann.slot, Sent::Ok, Bytes::from_static(b"ok"));
    hub.turns();
    assert_eq!((ann.takes().as_str(), ann.socket.writes.get()), ("aok", 1));
}

#[test]
fn it_leaves_alone_when_nothing_came() {
    let (hub, ann) = waiting("a");
    hub.deliver(vec![patient("b")]);
    after(&hub, PATIENCE / 2);
    assert_eq!(ann.takes(), "");
    after(&hub, PATIENCE);
    assert_eq!((ann.takes().as_str(), ann.socket.writes.get()), ("ab", 1));
    hub.deliver(vec![patient("c")]);
    hub.turns();
    assert_eq!(ann.takes(), "", "waits anew");
    after(&hub, PATIENCE);
    assert_eq!(ann.takes(), "c");
}

#[test]
fn a_tick_writes_it() {
    fastrand::seed(1); // of a hundred ticks the first is not the one that pings this reader
    let (hub, ann) =
        waiting_in(Hub::within(HubLimits { heartbeat: Duration::from_secs(25), ..LIMITS }), "a");
    hub.local.core().tick(Instant::now() + PATIENCE);
    hub.turns();
    assert_eq!(ann.takes(), "a", "and no ping");
}

#[test]
fn it_is_shed_like_everything_that_readers_can_do_without() {
    let (hub, ann) = waiting("a");
    ann.socket.is_full.set(true);
    for _ in 0..20 {
        hub.deliver(vec![patient("b")]);
    }
    hub.turns();
    assert_eq!(ann.inbox.drain().len(), 0, "not closed");
    ann.socket.is_full.set(false);
    after(&hub, PATIENCE);
    hub.local.core().unblock(vec![ann.slot]);
    hub.turns();
    assert_eq!(ann.takes(), "b".repeat(10), "the newest ones");
}
