//! What is written is read the same, also by a later and an earlier version.

use super::*;
use crate::{
    remote::{Asked, Outcome},
    room::{
        Caught,
        pending::{Submit, Work},
        standing::Change,
    },
    route::Receipt,
};
use madang_protocol::{
    Amended, ClientId, Emoji, ErrorCode, Message, Refusal, Role, UserId,
    operation::{Edit, React, Target},
};
use madang_store::rooms::RoomChange;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

const ROOM: RoomId = RoomId([9; 15]);
const ANN: UserId = UserId([1; 15]);
const WAIT: Duration = Duration::from_secs(15);

fn works() -> Vec<Work> {
    let target = Target { room: ROOM, seq: 3 };
    let send = |reply_to| Work::Send {
        client_id: ClientId::new("name").unwrap(),
        body: "ö".into(),
        reply_to,
    };
    let edit = |if_rev| Work::Edit(Edit { target, body: "b".into(), if_rev });
    let react = React { target, emoji: Emoji::new("👍").unwrap(), on: true };
    vec![
        send(None),
        send(Some(2)),
        edit(None),
        edit(Some(0)),
        Work::Delete(target),
        Work::React(react),
    ]
}

fn changes() -> Vec<RoomChange> {
    vec![
        RoomChange::Join,
        RoomChange::Leave,
        RoomChange::Add(ANN),
        RoomChange::Remove { user: ANN, ban: true },
        RoomChange::SetRole { user: ANN, role: Role::Admin },
        RoomChange::Rename("other".into()),
    ]
}

/// As another node reads it.
fn sent(items: Vec<WireItem>) -> Vec<WireItem> {
    let forward = Forward { room: ROOM, lane: 1, attempt: 2, incarnation: 3, items };
    match decode(&encode(&Ask::Forward(forward))) {
        Ok(Ask::Forward(forward)) => forward.items,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whatever_is_asked_for_arrives() {
    let now = Instant::now();
    for work in works() {
        let submit = Submit { sender: ANN, work, deadline: now + WAIT, trace: 77 };
        let item = sent(vec![WireItem::of_submit(5, &submit, now)]).remove(0);
        assert_eq!(item.n, 5);
        assert_eq!(item.read(ROOM, now, WAIT), Asked::Submit(submit));
    }
    for change in changes() {
        let change = Change { by: ANN, change };
        let item = sent(vec![WireItem::of_change(1, &change, WAIT)]).remove(0);
        assert_eq!(item.read(ROOM, now, WAIT), Asked::Change(change));
    }
}

#[test]
fn nobody_waits_longer_here_than_here_is_waited() {
    let now = Instant::now();
    let submit =
        Submit { sender: ANN, work: works().remove(0), deadline: now + WAIT * 9, trace: 0 };
    match WireItem::of_submit(1, &submit, now).read(ROOM, now, WAIT) {
        Asked::Submit(read) => assert_eq!(read.deadline, now + WAIT),
        other => panic!("{other:?}"),
    }
}

#[test]
fn whatever_became_of_it_arrives() {
    let receipt = Receipt { room: ROOM, seq: 4, ts: 5, rev: 6, duplicate: true };
    let refusals = [
        Refusal::overloaded("busy"),
        Refusal::invalid("reply_to", "no such message"),
        Refusal::new(ErrorCode::Forbidden, "no"),
    ];
    let mut outcomes = vec![Outcome::Done(Ok(receipt)), Outcome::Moved];
    outcomes.extend(refusals.iter().cloned().map(|why| Outcome::Done(Err(why))));
    for outcome in outcomes {
        let wire: WireOutcome = decode(&encode(&WireOutcome::from(&outcome))).unwrap();
        assert_eq!(wire.read_done(ROOM), outcome);
    }
    let mut outcomes: Vec<_> = [None, Some(Role::Owner)].map(|role| Outcome::Role(Ok(role))).into();
    outcomes.extend(refusals.into_iter().map(|why| Outcome::Role(Err(why))));
    for outcome in outcomes {
        let wire: WireOutcome = decode(&encode(&WireOutcome::from(&outcome))).unwrap();
        assert_eq!(wire.read_role(), outcome);
    }
}

#[test]
fn a_code_of_a_later_version_is_a_fault() {
    let (code, message) = ("too_cold".to_owned(), "wait for spring".to_owned());
    let refused = WireOutcome::Refused { code, message, retry_after_ms: None, field: None };
    match refused.read_done(ROOM) {
        Outcome::Done(Err(refusal)) => assert_eq!(refusal.code, ErrorCode::Internal),
        other => panic!("{other:?}"),
    }
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    #[derive(Serialize)]
    struct Later {
        room: RoomId,
        heads: WireHeads,
        mood: &'static str,
    }
    let heads = WireHeads { seq: 1, rev: 2, member_rev: 3 };
    let later = Later { room: ROOM, heads, mood: "fine" };
    assert_eq!(decode(&encode(&later)), Ok(RoomHeads { room: ROOM, heads }));
    assert_eq!(decode::<RoomHeads>(b"no map").unwrap_err(), NotUnderstood);
}

fn message(seq: u64, bytes: usize) -> Arc<Message> {
    let amended = Amended { rev: seq, edited_at: Some(3), ..Amended::default() };
    Arc::new(Message {
        room: ROOM,
        seq,
        ts: 7,
        sender: ANN,
        client_id: ClientId::new("name").unwrap(),
        body: "x".repeat(bytes).into(),
        reply_to: Some(1),
        amended: Some(Box::new(amended)),
    })
}

fn caught(bytes: usize) -> Caught {
    Caught {
        heads: Heads { last_seq: 4, last_rev: 4, member_rev: 1 },
        messages: (3..=4).map(|seq| message(seq, bytes)).collect(),
        changed: Some(vec![message(2, bytes)]),
    }
}

fn arrives(caught: &Caught, bytes_max: usize) -> Caught {
    let told = Told::Caught(WireCaught::new(caught, bytes_max));
    match decode(&encode(&told)) {
        Ok(Told::Caught(caught)) => caught.read(ROOM),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_missed_arrives() {
    let arrived = arrives(&caught(10), 10_000);
    assert_eq!(arrived.heads, caught(10).heads);
    assert_eq!(arrived.messages, caught(10).messages);
    assert_eq!(arrived.changed, caught(10).changed);
}

#[test]
fn of_much_that_was_missed_the_newest_messages_arrive_and_no_changes() {
    let arrived = arrives(&caught(3_000), 8_000);
    assert_eq!(arrived.messages, [message(4, 3_000)]);
    assert_eq!(arrived.changed, caught(3_000).changed);
    let arrived = arrives(&caught(5_000), 8_000);
    assert_eq!(arrived.messages, []);
    assert_eq!(arrived.changed, None);
}
