//! The audience's decisions, by input and exact effects.

mod lossy;
mod window;

use super::{
    AudienceMessage, CHANGES_KNOWN, HELD_MAX,
    live::Held,
    logic::{Effect, Logic, Member},
    subscribe,
};
use crate::{kernel::Address, metrics::Metrics};
use madang_cluster::{Bus, InProcess};
use madang_protocol::{
    Amended, ClientId, Ephemeral, Event, EventBatch, Heads, MemberChange, MemberEvent, Message,
    Place, Publication, RoomId, UserId,
};
use madang_store::log::{ChangedPage, Page};
use std::{sync::Arc, time::Duration};

const ROOM: RoomId = RoomId([9; 15]);
const ANN: UserId = UserId([1; 15]);

type Effects = Vec<Effect<u32>>;

fn does(logic: &mut Logic<u32>, act: impl FnOnce(&mut Logic<u32>, &mut Effects)) -> Effects {
    let mut effects = Vec::new();
    act(logic, &mut effects);
    effects
}

fn heads(last_seq: u64) -> Heads {
    Heads { last_seq, last_rev: 0, member_rev: 1 }
}

fn ann(since: u64) -> Member {
    Member { user: ANN, since }
}

/// Has everything up to `seq`.
fn at(seq: u64) -> Place {
    Place { seq, rev: 0 }
}

fn page(seqs: std::ops::RangeInclusive<u64>, last_seq: u64) -> Page {
    Page { messages: messages(seqs), last_seq, last_rev: 0 }
}

fn message(seq: u64) -> Arc<Message> {
    Arc::new(Message {
        room: ROOM,
        seq,
        ts: 0,
        sender: ANN,
        client_id: ClientId::new(&seq.to_string()).unwrap(),
        body: "".into(),
        reply_to: None,
        amended: None,
    })
}

fn messages(seqs: std::ops::RangeInclusive<u64>) -> Vec<Arc<Message>> {
    seqs.map(message).collect()
}

fn events(seqs: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    seqs.map(|seq| Event::Message(message(seq))).collect()
}

/// The messages `seqs`, published by a room that stood before them.
fn batch(seqs: std::ops::RangeInclusive<u64>) -> Arc<EventBatch> {
    let (before, after) = (heads(seqs.start() - 1), heads(*seqs.end()));
    Arc::new(EventBatch { room: ROOM, before, after, events: events(seqs) })
}

fn beacon(heads: Heads) -> Arc<EventBatch> {
    Arc::new(EventBatch { room: ROOM, before: heads, after: heads, events: Vec::new() })
}

/// Follows a room that stands at `last_seq`, without readers before.
fn following(last_seq: u64) -> Logic<u32> {
    let mut logic = Logic::new(1);
    assert_eq!(
        does(&mut logic, |logic, out| logic.adopted(None, out)),
        [Effect::CatchUp(Heads::default())]
    );
    does(&mut logic, |logic, out| logic.caught_up(heads(last_seq), &[], Some(&[]), out));
    logic
}

#[test]
fn without_readers_it_begins_at_the_present() {
    let mut logic = Logic::<u32>::new(2);
    assert_eq!(does(&mut logic, |logic, out| logic.adopted(None, out)), []);
    assert_eq!(
        does(&mut logic, |logic, out| logic.adopted(None, out)),
        [Effect::CatchUp(Heads::default())]
    );
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(heads(9), &messages(7..=9), Some(&[]), out));
    assert_eq!(effects, [Effect::Remember(messages(7..=9), 0)]);
}

#[test]
fn with_readers_it_goes_on_where_the_last_of_them_stood() {
    let mut logic = Logic::<u32>::new(2);
    does(&mut logic, |logic, out| logic.adopted(Some(at(6)), out));
    let effects = does(&mut logic, |logic, out| logic.adopted(Some(at(5)), out));
    assert_eq!(effects, [Effect::CatchUp(Heads { last_seq: 5, ..Heads::default() })]);
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(heads(7), &messages(6..=7), Some(&[]), out));
    assert_eq!(effects, [Effect::RecheckAll, Effect::Deliver(events(6..=7))]);
}

#[test]
fn batches_in_order_are_delivered() {
    let mut logic = following(5);
    for seqs in [6..=6, 7..=9] {
        let effects = does(&mut logic, |logic, out| logic.batch(batch(seqs.clone()), out));
        assert_eq!(effects, [Effect::Deliver(events(seqs))]);
    }
}

#[test]
fn what_is_known_is_not_delivered_again() {
    let mut logic = following(5);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(batch(4..=5), out)), []);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(beacon(heads(5)), out)), []);
}

#[test]
fn a_hole_is_fetched_and_what_came_meanwhile_follows() {
    let mut logic = following(5);
    let effects = does(&mut logic, |logic, out| logic.batch(batch(7..=7), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
    assert_eq!(does(&mut logic, |logic, out| logic.batch(batch(8..=8), out)), []);
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(heads(7), &messages(6..=7), Some(&[]), out));
    assert_eq!(effects, [Effect::Deliver(events(6..=7)), Effect::Deliver(events(8..=8))]);
}

#[test]
fn a_beacon_alone_shows_what_was_lost() {
    let mut logic = following(5);
    let effects = does(&mut logic, |logic, out| logic.batch(beacon(heads(6)), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
}

#[test]
fn what_the_home_does_not_keep_comes_from_the_store() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(heads(500)), out));
    let home = messages(400..=500);
    let effects = does(&mut logic, |logic, out| logic.caught_up(heads(500), &home, Some(&[]), out));
    assert_eq!(effects, [Effect::ReadPage(5)]);
    let effects = does(&mut logic, |logic, out| logic.page(&page(6..=205, 501), out));
    assert_eq!(effects, [Effect::Deliver(events(6..=205)), Effect::ReadPage(205)]);
    let effects = does(&mut logic, |logic, out| logic.page(&page(206..=501, 501), out));
    assert_eq!(effects, [Effect::Deliver(events(206..=501))]);
}

#[test]
fn a_fetch_that_fails_is_tried_again() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(heads(6)), out));
    let effects = does(&mut logic, |logic, out| logic.failed(0, out));
    assert_eq!(effects, [Effect::RetryAfter(Duration::from_millis(10))]);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [Effect::CatchUp(heads(5))]);
}

#[test]
fn more_than_is_held_back_is_fetched_again() {
    let mut logic = following(0);
    does(&mut logic, |logic, out| logic.batch(batch(2..=2), out));
    for seq in 3..=HELD_MAX as u64 + 3 {
        does(&mut logic, |logic, out| logic.batch(batch(seq..=seq), out));
    }
    // Number 3 was pushed out by the newest.
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(heads(2), &messages(1..=2), Some(&[]), out));
    assert_eq!(effects, [Effect::Deliver(events(1..=2)), Effect::CatchUp(heads(2))]);
}

#[test]
fn a_reader_is_attached_where_the_next_delivery_begins() {
    let mut logic = following(5);
    let effects = does(&mut logic, |logic, out| logic.attach(7, at(3), ann(1), out));
    assert_eq!(effects, [Effect::Attach { reader: 7, after: at(3), head: at(5) }]);
}

/// A reader of the store may have what the home was not told of yet. Asking again at once would go
/// round without a pause for as long as the store keeps its answer back.
#[test]
fn a_home_that_is_behind_a_reader_is_asked_again_after_a_while() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.attach(7, at(6), ann(1), out));
    assert_eq!(logic.known(), at(6));
    let still = |logic: &mut Logic<u32>, out: &mut Effects| {
        logic.caught_up(heads(5), &[], Some(&[]), out);
    };
    let later = [Effect::RetryAfter(Duration::from_millis(50))];
    assert_eq!(does(&mut logic, still), later);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [Effect::CatchUp(heads(5))]);
    assert_eq!(does(&mut logic, still), later);
    // What the bus brings meanwhile is delivered.
    let effects = does(&mut logic, |logic, out| logic.batch(batch(6..=6), out));
    assert_eq!(effects, [Effect::Deliver(events(6..=6))]);
    assert_eq!(does(&mut logic, |logic, out| logic.retry(out)), [Effect::CatchUp(heads(6))]);
    let effects = does(&mut logic, |logic, out| logic.caught_up(heads(6), &[], Some(&[]), out));
    assert_eq!(effects, [Effect::Attach { reader: 7, after: at(6), head: at(6) }]);
}

#[test]
fn a_reader_waits_until_the_audience_has_what_it_has() {
    let mut logic = following(5);
    let effects = does(&mut logic, |logic, out| logic.attach(7, at(6), ann(1), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
    assert!(logic.is_waited_for());
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(heads(6), &messages(6..=6), Some(&[]), out));
    let attach = Effect::Attach { reader: 7, after: at(6), head: at(6) };
    assert_eq!(effects, [Effect::Deliver(events(6..=6)), attach]);
}

#[test]
fn a_reader_whose_membership_may_have_changed_is_sent_back() {
    let mut logic = following(5);
    let event = MemberEvent { user: ANN, change: MemberChange::Left, role: None };
    let after = Heads { member_rev: 2, ..heads(5) };
    let events = vec![Event::Member(event)];
    let left = EventBatch { room: ROOM, before: heads(5), after, events: events.clone() };
    let effects = does(&mut logic, |logic, out| logic.batch(Arc::new(left), out));
    assert_eq!(effects, [Effect::Deliver(events)]);
    assert_eq!(
        does(&mut logic, |logic, out| logic.attach(7, at(5), ann(1), out)),
        [Effect::Recheck(7)]
    );
    let effects = does(&mut logic, |logic, out| logic.attach(7, at(5), ann(2), out));
    assert_eq!(effects, [Effect::Attach { reader: 7, after: at(5), head: at(5) }]);
}

#[test]
fn what_happens_to_others_does_not_send_a_reader_back() {
    let mut logic = following(5);
    let told = |member_rev, user, change| {
        let (before, after) =
            (Heads { member_rev, ..heads(5) }, Heads { member_rev: member_rev + 1, ..heads(5) });
        let events = vec![Event::Member(MemberEvent { user, change, role: None })];
        Arc::new(EventBatch { room: ROOM, before, after, events })
    };
    does(&mut logic, |logic, out| logic.batch(told(1, UserId([2; 15]), MemberChange::Left), out));
    does(&mut logic, |logic, out| logic.batch(told(2, ANN, MemberChange::Role), out));
    let attached = [Effect::Attach { reader: 7, after: at(5), head: at(5) }];
    assert_eq!(does(&mut logic, |logic, out| logic.attach(7, at(5), ann(1), out)), attached);
    does(&mut logic, |logic, out| logic.batch(told(3, ANN, MemberChange::Removed), out));
    let back = [Effect::Recheck(7)];
    assert_eq!(does(&mut logic, |logic, out| logic.attach(7, at(5), ann(3), out)), back);
    assert_eq!(does(&mut logic, |logic, out| logic.attach(7, at(5), ann(4), out)), attached);
    for member_rev in 4..4 + CHANGES_KNOWN as u64 {
        let joined = told(member_rev, UserId([3; 15]), MemberChange::Joined);
        does(&mut logic, |logic, out| logic.batch(joined, out));
    }
    assert_eq!(does(&mut logic, |logic, out| logic.attach(7, at(5), ann(4), out)), attached);
    assert_eq!(
        does(&mut logic, |logic, out| logic.attach(7, at(5), ann(3), out)),
        back,
        "who knows what the change before was"
    );
}

#[test]
fn lost_membership_changes_make_every_reader_prove_itself() {
    let mut logic = following(5);
    let present = Heads { member_rev: 3, ..heads(5) };
    let effects = does(&mut logic, |logic, out| logic.batch(beacon(present), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
    let effects = does(&mut logic, |logic, out| logic.caught_up(present, &[], Some(&[]), out));
    assert_eq!(effects, [Effect::RecheckAll]);
    let effects = does(&mut logic, |logic, out| logic.attach(7, at(5), ann(2), out));
    assert_eq!(effects, [Effect::Recheck(7)]);
}

/// Message `seq` with the change that took `rev`.
fn changed(seq: u64, rev: u64) -> Arc<Message> {
    let amended = Amended { rev, ..Amended::default() };
    Arc::new(Message { amended: Some(Box::new(amended)), ..Message::clone(&message(seq)) })
}

fn rev(last_seq: u64, last_rev: u64) -> Heads {
    Heads { last_rev, ..heads(last_seq) }
}

#[test]
fn lost_changes_come_from_the_home() {
    let mut logic = following(5);
    let effects = does(&mut logic, |logic, out| logic.batch(beacon(rev(5, 2)), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
    let recent = [changed(3, 1), changed(4, 2)];
    let effects =
        does(&mut logic, |logic, out| logic.caught_up(rev(5, 2), &[], Some(&recent), out));
    assert_eq!(effects, [Effect::Deliver(recent.map(Event::Changed).to_vec())]);
    let effects = does(&mut logic, |logic, out| logic.attach(7, at(5), ann(1), out));
    let head = Place { seq: 5, rev: 2 };
    assert_eq!(effects, [Effect::Attach { reader: 7, after: at(5), head }]);
}

#[test]
fn a_change_never_precedes_its_message() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(rev(6, 1)), out));
    let late = changed(6, 1);
    let effects = does(&mut logic, |logic, out| {
        let late = std::slice::from_ref(&late);
        logic.caught_up(rev(6, 1), late, Some(late), out);
    });
    assert_eq!(effects, [Effect::Deliver(vec![Event::Message(late)])], "it comes changed");
}

#[test]
fn changes_that_the_home_does_not_keep_come_from_the_store_before_the_messages() {
    let mut logic = following(5);
    does(&mut logic, |logic, out| logic.batch(beacon(rev(7, 300)), out));
    let effects = does(&mut logic, |logic, out| {
        logic.caught_up(rev(7, 300), &messages(6..=7), None, out);
    });
    assert_eq!(effects, [Effect::ReadChanges(at(5))]);
    let first =
        ChangedPage { messages: vec![changed(1, 200)], reached_rev: 200, heads: rev(7, 300) };
    let effects = does(&mut logic, |logic, out| logic.changes(&first, out));
    let next = Place { seq: 5, rev: 200 };
    let told = Effect::Deliver(vec![Event::Changed(changed(1, 200))]);
    assert_eq!(effects, [told, Effect::ReadChanges(next)]);
    let rest = ChangedPage { messages: Vec::new(), reached_rev: 301, heads: rev(7, 301) };
    let effects = does(&mut logic, |logic, out| logic.changes(&rest, out));
    assert_eq!(effects, [Effect::ReadPage(5)]);
}

#[test]
fn a_reader_with_a_newer_change_waits_for_it() {
    let mut logic = following(5);
    let ahead = Place { seq: 5, rev: 1 };
    let effects = does(&mut logic, |logic, out| logic.attach(7, ahead, ann(1), out));
    assert_eq!(effects, [Effect::CatchUp(heads(5))]);
}

fn signal(text: &str) -> Arc<Ephemeral> {
    Arc::new(Ephemeral::Signal { sender: ANN, data: text.into() })
}

#[test]
fn what_does_not_fit_into_the_inbox_is_lost() {
    let (bus, address) = (InProcess::alone(), Address::detached(2));
    let revive = |_| panic!("it is there");
    let _subscription = subscribe(&bus, ROOM, address.clone(), Arc::new(Metrics::new()), revive);
    bus.publish(&Publication::Ephemeral(ROOM, signal("a")));
    bus.publish(&Publication::Batch(batch(1..=1)));
    bus.publish(&Publication::Batch(batch(2..=2))); // a hole, found when the next one comes
    bus.publish(&Publication::Ephemeral(ROOM, signal("b")));
    let kept = address.drain();
    assert!(matches!(kept[..], [AudienceMessage::Ephemeral(_), AudienceMessage::Batch(_)]));
}

#[test]
fn of_what_has_no_number_the_newest_is_held_back() {
    let mut held = Held::default();
    for number in 0..HELD_MAX {
        assert!(held.push(signal(&number.to_string())));
    }
    assert!(!held.push(signal("one more")), "the oldest is lost");
    assert_eq!(held.take_oldest(), Some(signal("1")));
    assert_eq!(std::iter::from_fn(|| held.take_oldest()).count(), HELD_MAX - 1);
}
