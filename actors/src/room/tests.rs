//! The room's decisions, by input and exact effects.

mod bounds;
mod changes;
mod leaving;
mod membership;

use super::{
    QUEUE_MAX,
    logic::{Effect, Logic, ReadBack, pending},
    pending::{Submit, Work},
    standing::Standing,
};
use crate::route::Receipt;
use madang_protocol::{
    ClientId, Entry, ErrorCode, Event, EventBatch, Heads, Message, Place, Role, RoomId, RoomKind,
    UserId,
};
use madang_store::{
    StoreError,
    log::{Activation, Appended, ChangedPage, Page, Sent, Stopped},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const ROOM: RoomId = RoomId([9; 15]);
const ANN: UserId = UserId([1; 15]);
const BOB: UserId = UserId([2; 15]);

type Effects = Vec<Effect<u32, u32>>;

/// A room under test; replies are numbers.
struct Room {
    logic: Logic<u32, u32>,
    now: Instant,
}

impl Room {
    /// Not activated yet.
    fn fresh() -> Self {
        let now = Instant::now();
        Self { logic: Logic::new(ROOM, now), now }
    }

    /// Stands at `last_seq`; Ann is known to be a member.
    fn active(last_seq: u64) -> Self {
        let mut room = Self::fresh();
        room.does(|logic, effects| logic.activated(Ok(Some(activation(last_seq))), 0, effects));
        room.does(|logic, effects| {
            logic.standing(ANN, Standing::Member(Role::Member), effects);
        });
        room
    }

    /// Has sends 1.. with the store writer, one of Ann's for each name.
    fn writing(last_seq: u64, names: &[&str]) -> (Self, Vec<Entry>) {
        let mut room = Self::active(last_seq);
        for (reply, name) in (1..).zip(names) {
            assert_eq!(room.submit(ANN, name, reply), []);
        }
        match room.batch().pop() {
            Some(Effect::Append(batch)) => (room, batch),
            other => panic!("{other:?}"),
        }
    }

    fn does(&mut self, act: impl FnOnce(&mut Logic<u32, u32>, &mut Effects)) -> Effects {
        let mut effects = Vec::new();
        act(&mut self.logic, &mut effects);
        effects
    }

    fn submit(&mut self, sender: UserId, name: &str, reply: u32) -> Effects {
        self.asks(submit(sender, name, self.now), reply)
    }

    fn asks(&mut self, submit: Submit, reply: u32) -> Effects {
        let now = self.now;
        self.does(|logic, effects| logic.submit(pending(submit, reply), now, effects))
    }

    fn batch(&mut self) -> Effects {
        let now = self.now;
        self.does(|logic, effects| logic.begin_batch(1_000, now, effects))
    }

    fn appended(&mut self, batch: &[Entry], committed: usize, stopped: Option<Stopped>) -> Effects {
        let (outcome, now) = (Appended { committed, stopped }, self.now);
        self.does(|logic, effects| logic.appended(batch, outcome, now, effects))
    }

    fn read_back(&mut self, found: &[Option<u64>], newer: Vec<Arc<Message>>, last: u64) -> Effects {
        let found = found.iter().map(|seq| seq.map(|seq| Sent { seq, ts: 1_000 })).collect();
        let newer = Page { messages: newer, last_seq: last, last_rev: 0 };
        let changed = ChangedPage { heads: heads(last), ..ChangedPage::default() };
        self.reads(ReadBack { found, newer, marks: Vec::new(), changed })
    }

    fn reads(&mut self, read: ReadBack) -> Effects {
        self.does(|logic, effects| logic.read_back_done(Ok(read), 0, effects))
    }
}

fn submit(sender: UserId, name: &str, now: Instant) -> Submit {
    let client_id = ClientId::new(name).unwrap();
    let work = Work::Send { client_id, body: name.into(), reply_to: None };
    Submit { sender, work, deadline: now + Duration::from_secs(15), trace: 0 }
}

fn message(seq: u64, sender: UserId, name: &str) -> Arc<Message> {
    Arc::new(Message {
        room: ROOM,
        seq,
        ts: 1_000,
        sender,
        client_id: ClientId::new(name).unwrap(),
        body: name.into(),
        reply_to: None,
        amended: None,
    })
}

fn heads(last_seq: u64) -> Heads {
    Heads { last_seq, last_rev: 0, member_rev: 3 }
}

fn activation(last_seq: u64) -> Activation {
    Activation {
        kind: RoomKind::Group,
        heads: heads(last_seq),
        last_ts: 900,
        window: Vec::new(),
        uncounted: Vec::new(),
    }
}

fn publish(before: u64, messages: &[Arc<Message>]) -> Effect<u32, u32> {
    let events = messages.iter().cloned().map(Event::Message).collect();
    let after = heads(before + messages.len() as u64);
    Effect::Publish(EventBatch { room: ROOM, before: heads(before), after, events })
}

fn ok(reply: u32, seq: u64, duplicate: bool) -> Effect<u32, u32> {
    Effect::AnswerSend(reply, Ok(Receipt { room: ROOM, seq, ts: 1_000, rev: 0, duplicate }))
}

fn asks(names: &[&str], after: u64) -> Effect<u32, u32> {
    let sent = names.iter().map(|name| (ANN, ClientId::new(name).unwrap())).collect();
    Effect::ReadBack { sent, after: heads(after) }
}

fn entries(messages: &[Arc<Message>]) -> Vec<Entry> {
    messages.iter().cloned().map(Entry::Message).collect()
}

fn appends(messages: &[Arc<Message>]) -> Effect<u32, u32> {
    Effect::Append(entries(messages))
}

fn code(effect: &Effect<u32, u32>) -> Option<(u32, ErrorCode)> {
    match effect {
        Effect::AnswerSend(reply, Err(refusal)) => Some((*reply, refusal.code)),
        _ => None,
    }
}

#[test]
fn activation_tells_the_readers_where_the_room_stands() {
    let mut room = Room::fresh();
    let effects = room.does(|logic, out| logic.activated(Ok(Some(activation(7))), 0, out));
    assert_eq!(effects, [publish(7, &[])]);
}

#[test]
fn activation_that_fails_is_tried_again_and_gives_no_number() {
    let mut room = Room::fresh();
    let error = || StoreError::Unavailable("x".into());
    let effects = room.does(|logic, out| logic.activated(Err(error()), 0, out));
    assert_eq!(effects, [Effect::RetryAfter(Duration::from_millis(10))]);
    assert_eq!(room.batch(), []);
    assert_eq!(room.does(|logic, out| logic.retry(out)), [Effect::Activate]);
}

#[test]
fn a_room_that_is_none_refuses_everything_and_goes() {
    let mut room = Room::fresh();
    room.submit(ANN, "a", 1);
    let effects = room.does(|logic, out| logic.activated(Ok(None), 0, out));
    assert_eq!(code(&effects[0]), Some((1, ErrorCode::NotFound)));
    assert_eq!(effects[1], Effect::Stop);
    assert_eq!(code(&room.submit(ANN, "b", 2)[0]), Some((2, ErrorCode::NotFound)));
}

#[test]
fn sends_are_numbered_from_the_head_in_arrival_order() {
    let (_, batch) = Room::writing(7, &["a", "b"]);
    assert_eq!(batch, entries(&[message(8, ANN, "a"), message(9, ANN, "b")]));
}

#[test]
fn one_batch_is_out_at_a_time() {
    let (mut room, batch) = Room::writing(0, &["a"]);
    room.submit(ANN, "b", 2);
    assert_eq!(room.batch(), []);
    let first = message(1, ANN, "a");
    assert_eq!(room.appended(&batch, 1, None), [ok(1, 1, false), publish(0, &[first])]);
    assert_eq!(room.batch(), [appends(&[message(2, ANN, "b")])]);
}

#[test]
fn time_never_runs_backwards() {
    let mut room = Room::fresh();
    let found = Activation { last_ts: 5_000, ..activation(1) };
    room.does(|logic, out| logic.activated(Ok(Some(found)), 0, out));
    room.does(|logic, out| logic.standing(ANN, Standing::Member(Role::Member), out));
    room.submit(ANN, "a", 1);
    let effects = room.batch();
    let [Effect::Append(batch)] = &effects[..] else { panic!("{effects:?}") };
    let [Entry::Message(message)] = &batch[..] else { panic!("{batch:?}") };
    assert_eq!(message.ts, 5_000);
}

#[test]
fn a_retry_of_what_is_pending_waits_with_it() {
    let (mut room, batch) = Room::writing(0, &["a"]);
    assert_eq!(room.submit(ANN, "a", 2), []);
    let effects = room.appended(&batch, 1, None);
    assert_eq!(effects[..2], [ok(1, 1, false), ok(2, 1, true)]);
}

#[test]
fn a_retry_of_what_is_committed_is_answered_from_memory() {
    let (mut room, batch) = Room::writing(0, &["a"]);
    room.appended(&batch, 1, None);
    assert_eq!(room.submit(ANN, "a", 2), [ok(2, 1, true)]);
}

#[test]
fn the_same_name_of_another_sender_is_another_message() {
    let (mut room, batch) = Room::writing(0, &["a"]);
    room.appended(&batch, 1, None);
    room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Member), out));
    assert_eq!(room.submit(BOB, "a", 2), []);
    assert_eq!(room.batch(), [appends(&[message(2, BOB, "a")])]);
}

#[test]
fn a_duplicate_far_back_is_found_and_the_rest_is_renumbered() {
    let (mut room, batch) = Room::writing(5, &["old", "new"]);
    let effects = room.appended(&batch, 0, Some(Stopped::Duplicate));
    assert_eq!(effects, [asks(&["old", "new"], 5)]);
    assert_eq!(room.batch(), [], "no number while in doubt");
    assert_eq!(room.read_back(&[Some(2), None], vec![], 5), [ok(1, 2, true)]);
    assert_eq!(room.batch(), [appends(&[message(6, ANN, "new")])]);
}

#[test]
fn a_commit_whose_answer_was_lost_is_found_and_published() {
    let error = StoreError::Unknown("timeout".into());
    let (mut room, batch) = Room::writing(5, &["a", "b"]);
    let effects = room.appended(&batch, 0, Some(Stopped::Unknown(error)));
    assert_eq!(effects, [asks(&["a", "b"], 5)]);
    let newer = vec![message(6, ANN, "a"), message(7, ANN, "b")];
    let effects = room.read_back(&[Some(6), Some(7)], newer.clone(), 7);
    assert_eq!(effects[0], publish(5, &newer));
    let mut answers = effects[1..].iter().map(|effect| format!("{effect:?}")).collect::<Vec<_>>();
    answers.sort();
    assert_eq!(answers, [format!("{:?}", ok(1, 6, false)), format!("{:?}", ok(2, 7, false))]);
}

#[test]
fn a_place_taken_by_another_is_published_and_the_send_gets_the_next() {
    let (mut room, batch) = Room::writing(5, &["mine"]);
    assert_eq!(room.appended(&batch, 0, Some(Stopped::Taken)), [asks(&["mine"], 5)]);
    let foreign = vec![message(6, BOB, "theirs")];
    assert_eq!(room.read_back(&[None], foreign.clone(), 6), [publish(5, &foreign)]);
    assert_eq!(room.batch(), [appends(&[message(7, ANN, "mine")])]);
}

#[test]
fn a_doubt_without_news_is_tried_again_later_with_the_same_number() {
    let error = StoreError::Unknown("timeout".into());
    let (mut room, batch) = Room::writing(5, &["a"]);
    room.appended(&batch, 0, Some(Stopped::Unknown(error)));
    let later = Effect::RetryAfter(Duration::from_millis(10));
    assert_eq!(room.read_back(&[None], vec![], 5), [later]);
    assert_eq!(room.batch(), []);
    room.does(|logic, out| logic.retry(out));
    assert_eq!(room.batch(), [appends(&[message(6, ANN, "a")])]);
}

#[test]
fn a_doubt_that_cannot_be_read_stays_one() {
    let error = || StoreError::Unknown("timeout".into());
    let (mut room, batch) = Room::writing(5, &["a"]);
    room.appended(&batch, 0, Some(Stopped::Unknown(error())));
    let effects = room.does(|logic, out| logic.read_back_done(Err(error()), 0, out));
    assert_eq!(effects, [Effect::RetryAfter(Duration::from_millis(10))]);
    assert_eq!(room.does(|logic, out| logic.retry(out)), [asks(&["a"], 5)]);
}

#[test]
fn more_news_than_a_page_is_read_on() {
    let (mut room, batch) = Room::writing(5, &["a"]);
    room.appended(&batch, 0, Some(Stopped::Taken));
    let page = vec![message(6, BOB, "x")];
    let effects = room.read_back(&[None], page.clone(), 9);
    assert_eq!(effects, [publish(5, &page), asks(&["a"], 6)]);
}

#[test]
fn a_refused_batch_is_refused_to_its_senders_with_what_they_sent_since_and_the_next_is_tried() {
    let (mut room, batch) = Room::writing(5, &["a", "b"]);
    room.submit(ANN, "c", 3);
    room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Member), out));
    room.submit(BOB, "d", 4);
    let full = Stopped::Refused(StoreError::Unavailable("disk full".into()));
    let effects = room.appended(&batch, 1, Some(full));
    assert_eq!(effects[..2], [ok(1, 6, false), publish(5, &[message(6, ANN, "a")])]);
    let refused: Vec<_> = effects.iter().filter_map(code).collect();
    assert_eq!(refused, [(2, ErrorCode::Unavailable), (3, ErrorCode::Unavailable)]);
    assert_eq!(room.batch(), [appends(&[message(7, BOB, "d")])]);
}

#[test]
fn strangers_and_outsiders_are_refused() {
    for (standing, refused) in
        [(Standing::Stranger, ErrorCode::NotFound), (Standing::Outsider, ErrorCode::Forbidden)]
    {
        let mut room = Room::active(0);
        assert_eq!(room.submit(BOB, "a", 1), [Effect::AskStanding(BOB)]);
        assert_eq!(room.submit(BOB, "b", 2), [], "asked once");
        let effects = room.does(|logic, out| logic.standing(BOB, standing, out));
        assert_eq!(
            effects.iter().map(code).collect::<Vec<_>>(),
            [Some((1, refused)), Some((2, refused))]
        );
        assert_eq!(code(&room.submit(BOB, "c", 3)[0]), Some((3, refused)));
        assert_eq!(room.batch(), []);
    }
}

#[test]
fn a_full_room_refuses_at_once() {
    let mut room = Room::active(0);
    for number in 0..QUEUE_MAX {
        assert_eq!(room.submit(ANN, &number.to_string(), 1), []);
    }
    assert_eq!(code(&room.submit(ANN, "one more", 2)[0]), Some((2, ErrorCode::Overloaded)));
}

#[test]
fn late_sends_are_answered_once_and_their_outcome_still_counts() {
    let (mut room, batch) = Room::writing(5, &["out"]);
    room.submit(ANN, "waits", 2);
    let late = room.now + Duration::from_secs(16);
    let effects = room.does(|logic, out| logic.tick(late, out));
    let codes: Vec<_> = effects.iter().filter_map(code).collect();
    assert_eq!(codes, [(1, ErrorCode::Unavailable), (2, ErrorCode::Unavailable)]);
    assert_eq!(room.appended(&batch, 1, None), [publish(5, &[message(6, ANN, "out")])]);
    assert_eq!(room.batch(), [], "nobody waits for the other");
}

#[test]
fn a_quiet_room_announces_its_heads_for_a_while_then_goes() {
    let mut room = Room::active(5);
    let after = |room: &mut Room, seconds| {
        let now = room.now + Duration::from_secs(seconds);
        room.does(|logic, out| logic.tick(now, out))
    };
    for second in 0..59 {
        assert!(after(&mut room, second).contains(&publish(5, &[])));
    }
    assert_eq!(after(&mut room, 59), [publish(5, &[])]);
    assert_eq!(after(&mut room, 60), [Effect::Stop]);
}

#[test]
fn what_others_have_and_the_room_does_not_is_read() {
    let mut room = Room::active(5);
    let hears = |room: &mut Room, seq| {
        room.does(|logic, effects| logic.heard_of(Place { seq, rev: 0 }, effects))
    };
    assert_eq!(hears(&mut room, 5), []);
    assert_eq!(hears(&mut room, 6), [asks(&[], 5)]);
    assert_eq!(hears(&mut room, 6), [], "asked already");
    let six = message(6, ANN, "six");
    assert_eq!(room.read_back(&[], vec![six.clone()], 6), [publish(5, &[six])]);
    room.submit(ANN, "seven", 1);
    assert_eq!(room.batch().len(), 1);
    assert_eq!(hears(&mut room, 7), [], "the answer will tell");
}

#[test]
fn a_room_with_work_does_not_go() {
    let error = StoreError::Unknown("timeout".into());
    let (mut room, batch) = Room::writing(5, &["a"]);
    room.appended(&batch, 0, Some(Stopped::Unknown(error)));
    let now = room.now + Duration::from_secs(120);
    let effects = room.does(|logic, out| logic.tick(now, out));
    assert_eq!(effects.iter().filter_map(code).collect::<Vec<_>>(), [(1, ErrorCode::Unavailable)]);
    assert!(!effects.contains(&Effect::Stop));
}
