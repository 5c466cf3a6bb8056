//! Readers whose out-queues have no place for what a room sends: ten frames, of which it may fill eight.

use super::*;
use crate::hub::liveness::STUCK;

impl Hub {
    fn deliver_each(&self, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            self.deliver(vec![item(seq, "x")]);
            self.turns();
        }
    }

    /// Twice, because a deadline is judged by the tick before; `lively` answers its pings.
    fn tick_after(&self, lively: &Reader, wait: Duration) {
        for _ in 0..2 {
            self.local.touch(lively.slot);
            self.local.core().tick(Instant::now() + wait);
        }
    }
}

impl Reader {
    fn is_read(&self, hub: &Hub) {
        self.socket.is_full.set(false);
        hub.local.core().unblock(vec![self.slot]);
        hub.turns();
    }
}

fn place(seq: u64) -> Place {
    Place { seq, rev: 0 }
}

#[test]
fn a_reader_without_place_is_turned_back_and_the_others_are_not() {
    let hub = Hub::new();
    let (slow, fast) = (hub.reader(1), hub.reader(2));
    hub.attach(&slow, 0, vec![]);
    hub.attach(&fast, 0, vec![]);
    slow.socket.is_full.set(true);
    hub.deliver_each(1..=12);
    assert_eq!(fast.takes(), "x".repeat(12));
    assert!(matches!(slow.inbox.drain()[..], [ConnectionMessage::Behind]), "told once");
    assert_eq!(hub.local.take_behind(slow.slot), [(ROOM, place(8))]);
    assert_eq!(hub.local.delivered(slow.slot, ROOM), None, "not attached any more");
    slow.is_read(&hub);
    assert_eq!(slow.takes(), "x".repeat(8));

    hub.local.ask(slow.slot, ROOM);
    let (reply, _answer) = Reply::channel();
    let missed = (9..=12).map(|seq| item(seq, "y")).collect();
    hub.add(HubMessage::Attach(hub.attachment(slow.slot, 12, missed, Some(reply))));
    hub.deliver(vec![item(13, "z")]);
    hub.turns();
    assert_eq!((slow.takes(), fast.takes()), ("yyyyz".to_owned(), "z".to_owned()));
}

#[test]
fn what_is_more_than_an_out_queue_holds_is_no_readers_fault() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    hub.deliver_each(1..=5);
    let repaired = (6..=16).map(|seq| item(seq, "x")).collect();
    hub.deliver(repaired);
    hub.deliver(vec![item(17, "x")]);
    hub.turns();
    assert_eq!(ann.takes(), "x".repeat(5));
    assert!(matches!(ann.inbox.drain()[..], [ConnectionMessage::Behind]));
    assert_eq!(hub.local.take_behind(ann.slot), [(ROOM, place(5))]);
    hub.tick_after(&ann, 2 * STUCK);
    assert_eq!(ann.inbox.drain().len(), 0, "it takes all there is");
}

#[test]
fn what_waits_is_offered_to_the_socket_before_anybody_is_turned_back() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    for seq in 1..=20 {
        hub.deliver(vec![item(seq, "x")]);
    }
    hub.turns();
    assert_eq!((ann.takes(), ann.inbox.drain().len()), ("x".repeat(20), 0));
}

#[test]
fn a_reader_that_takes_nothing_is_closed() {
    let hub = Hub::new();
    let slow = hub.reader(1);
    hub.attach(&slow, 0, vec![]);
    slow.socket.is_full.set(true);
    hub.deliver_each(1..=20);
    assert!(matches!(slow.inbox.drain()[..], [ConnectionMessage::Behind]));
    hub.tick_after(&slow, STUCK / 2);
    assert_eq!(slow.inbox.drain().len(), 0);
    hub.tick_after(&slow, STUCK + Duration::from_secs(1));
    assert!(matches!(slow.inbox.drain()[..], [ConnectionMessage::Closing]));
    slow.is_read(&hub);
    let close = websocket::close(CloseCode::TooSlow);
    assert_eq!(slow.takes().as_bytes(), String::from_utf8_lossy(&close).as_bytes());
}

#[test]
fn one_that_was_turned_back_and_wants_the_room_anew_is_not_told() {
    let hub = Hub::new();
    let (ann, ben) = (hub.reader(1), hub.reader(2));
    for reader in [&ann, &ben] {
        hub.attach(reader, 0, vec![]);
        reader.socket.is_full.set(true);
    }
    hub.deliver_each(1..=20);
    hub.local.want(ann.slot, ROOM);
    hub.local.detach(ben.slot, ROOM);
    assert!(hub.local.take_behind(ann.slot).is_empty());
    assert!(hub.local.take_behind(ben.slot).is_empty());
}

#[test]
fn whose_membership_ends_while_it_is_behind_gets_nothing_more() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 0, vec![]);
    ann.socket.is_full.set(true);
    hub.deliver_each(1..=20);
    let left = Item::of_bytes(Bytes::from_static(b"left ")).ending(UserId([1; 15]));
    let signal = Item::of_bytes(Bytes::from_static(b"s")).ephemeral();
    hub.deliver(vec![left, signal]);
    hub.turns();
    ann.is_read(&hub);
    assert_eq!(ann.takes(), "x".repeat(8), "it is told when it asks for more");
    assert_eq!(hub.left(), [1]);
}
