//! Rooms that are wanted: what comes of them, and what does not.

use super::*;

impl Hub {
    /// What an audience sends for one that is to hear what has no number.
    fn hear(&self, reader: &Reader) {
        self.add(HubMessage::Attach(self.attachment(reader.slot, 0, vec![typing()], None)));
        self.turns();
    }

    /// What an audience sends for one that asked to be attached, whatever became of its wish.
    fn attach_late(&self, reader: &Reader, head: u64, catch_up: Vec<Item>) -> bool {
        let (reply, mut answer) = Reply::channel();
        self.add(HubMessage::Attach(self.attachment(reader.slot, head, catch_up, Some(reply))));
        self.turns();
        matches!(answer.try_recv(), Ok(Ok(Attached::Live)))
    }
}

fn signal() -> Item {
    Item::of_bytes(Bytes::from_static(b"s")).ephemeral()
}

fn typing() -> Item {
    Item::of_bytes(Bytes::from_static(b"t")).ephemeral()
}

#[test]
fn what_has_no_number_is_heard_until_the_rest_comes_too() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.local.want(ann.slot, ROOM);
    hub.hear(&ann);
    hub.deliver(vec![signal(), item(1, "1")]);
    hub.turns();
    assert_eq!(ann.takes(), "ts");
    assert_eq!(hub.local.delivered(ann.slot, ROOM), None);
    hub.hear(&ann);
    assert_eq!((ann.takes(), hub.left()), (String::new(), vec![1]), "it hears already");

    hub.local.ask(ann.slot, ROOM);
    assert!(hub.attach_late(&ann, 1, vec![item(1, "1"), typing()]));
    hub.deliver(vec![signal(), item(2, "2")]);
    hub.turns();
    assert_eq!(ann.takes(), "1s2");
    assert_eq!(hub.local.delivered(ann.slot, ROOM), Some(2));
    assert_eq!(hub.left(), [1], "its audience counted it twice");
    hub.hear(&ann);
    assert_eq!((ann.takes(), hub.left()), (String::new(), vec![1]), "it hears already");
    hub.local.remove(ann.slot);
    hub.turns();
    assert_eq!(hub.left(), [1]);
}

#[test]
fn what_was_missed_fits_into_half_of_an_out_queue_or_is_read_in_pages() {
    let hub = Hub::new();
    let (ann, ben) = (hub.reader(1), hub.reader(2));
    for reader in [&ann, &ben] {
        hub.local.want(reader.slot, ROOM);
        hub.local.ask(reader.slot, ROOM);
    }
    let long = || Item::of_bytes(vec![b'x'; LIMITS.outbox_bytes_max / 2 + 1].into());
    assert!(!hub.attach_late(&ann, 1, vec![long().at(1)]));
    assert!(hub.attach_late(&ben, 0, vec![long().ephemeral()]), "there is nothing to read");
}

#[test]
fn nothing_comes_of_a_room_that_is_not_wanted_any_more() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.local.want(ann.slot, ROOM);
    hub.local.ask(ann.slot, ROOM);
    hub.local.detach(ann.slot, ROOM);
    assert!(!hub.attach_late(&ann, 1, vec![item(1, "1")]), "was under way");
    hub.hear(&ann);
    hub.deliver(vec![signal(), item(2, "2")]);
    hub.turns();
    assert_eq!(ann.takes(), "");
    assert_eq!(hub.left(), [1, 1], "its audience counted it");
}

#[test]
fn an_attachment_asked_for_before_a_room_was_wanted_anew_is_not_made() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.local.want(ann.slot, ROOM);
    hub.local.ask(ann.slot, ROOM);
    hub.local.want(ann.slot, ROOM);
    assert!(!hub.attach_late(&ann, 1, vec![item(1, "1")]));
    hub.local.ask(ann.slot, ROOM);
    assert!(hub.attach_late(&ann, 2, vec![item(2, "2")]));
    assert_eq!(ann.takes(), "2");
}

#[test]
fn who_wants_a_room_from_another_place_on_hears_it_meanwhile() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.attach(&ann, 3, vec![]);
    hub.local.want(ann.slot, ROOM);
    hub.deliver(vec![signal(), item(4, "4")]);
    hub.turns();
    assert_eq!(ann.takes(), "s");
    assert_eq!(hub.left(), [0; 0], "it is counted still");
    hub.local.ask(ann.slot, ROOM);
    assert!(hub.attach_late(&ann, 4, vec![item(2, "2"), item(3, "3"), item(4, "4")]));
    assert_eq!((ann.takes(), hub.left()), ("234".to_owned(), vec![1]));
}

#[test]
fn who_is_out_of_the_room_hears_no_more_and_is_told_later() {
    let hub = Hub::new();
    let (ann, bob) = (hub.reader(1), hub.reader(2));
    for reader in [&ann, &bob] {
        hub.local.want(reader.slot, ROOM);
        hub.hear(reader);
        reader.takes();
    }
    let left = Item::of_bytes(Bytes::from_static(b"left ")).ending(UserId([1; 15]));
    hub.deliver(vec![left, signal()]);
    hub.turns();
    assert_eq!((ann.takes(), bob.takes()), (String::new(), "s".to_owned()));
    assert_eq!((ann.inbox.drain().len(), hub.left()), (0, vec![1]));
    hub.hear(&ann); // a new membership
    assert_eq!(ann.takes(), "t");
}

#[test]
fn when_memberships_are_in_doubt_only_those_attached_are_asked_and_hear_on() {
    let hub = Hub::new();
    let (ann, bob) = (hub.reader(1), hub.reader(2));
    hub.local.want(ann.slot, ROOM);
    hub.hear(&ann);
    ann.takes();
    hub.attach(&bob, 0, vec![]);
    hub.add(HubMessage::Recheck(ROOM));
    hub.deliver(vec![signal()]);
    hub.turns();
    assert_eq!((ann.takes(), bob.takes()), (String::new(), "s".to_owned()));
    assert_eq!(ann.inbox.drain().len(), 0);
    assert!(matches!(bob.inbox.drain()[..], [ConnectionMessage::Recheck(ROOM)]));
}

#[test]
fn those_who_hear_are_readers_of_an_audience_that_begins_again() {
    let hub = Hub::new();
    let ann = hub.reader(1);
    hub.local.want(ann.slot, ROOM);
    hub.hear(&ann);
    hub.deliver(vec![item(5, "5")]);
    let (reply, answer) = Reply::channel();
    let audience = hub.audience.clone();
    hub.add(HubMessage::Adopt(Adopt { room: ROOM, audience, epoch: 1, reply }));
    hub.turns();
    let delivered = Some(Place { seq: 5, rev: 0 });
    assert_eq!(taken(answer), Adopted { readers: 1, delivered });
}
