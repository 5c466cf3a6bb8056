//! Edits, deletions and reactions.

mod looking;

use super::*;
use crate::room::{RECHECK_AFTER, standing::Change};
use madang_protocol::{
    Amended, Change as MessageChange, ChangeKind, Emoji, Reaction,
    operation::{Edit, React, Target},
};
use madang_store::{
    log::{Mark, Target as Looked},
    rooms::RoomChange,
};

fn target(seq: u64) -> Target {
    Target { room: ROOM, seq }
}

fn edit(body: &str, if_rev: Option<u64>) -> Work {
    Work::Edit(Edit { target: target(3), body: body.into(), if_rev })
}

fn delete() -> Work {
    Work::Delete(target(3))
}

fn emoji(text: &str) -> Emoji {
    Emoji::new(text).unwrap()
}

fn react(text: &str, on: bool) -> Work {
    Work::React(React { target: target(3), emoji: emoji(text), on })
}

/// Ann's message 3 with what was changed about it.
fn amended(body: &str, amended: Amended) -> Arc<Message> {
    let message = Message::clone(&message(3, ANN, "three"));
    Arc::new(Message { body: body.into(), amended: Some(Box::new(amended)), ..message })
}

fn edited(body: &str, rev: u64) -> Arc<Message> {
    amended(body, Amended { rev, edited_at: Some(1_000), ..Amended::default() })
}

fn change(kind: ChangeKind, by: Option<UserId>, message: &Arc<Message>) -> Entry {
    Entry::Change(Arc::new(MessageChange { kind, by, ts: 1_000, message: message.clone() }))
}

fn reaction(user: UserId, text: &str, on: bool) -> Entry {
    Entry::Reaction(Arc::new(Reaction { room: ROOM, seq: 3, user, emoji: emoji(text), on }))
}

fn reacted(count: u64, rev: u64) -> Arc<Message> {
    let reactions = vec![(emoji("+"), count)];
    amended("three", Amended { rev, reactions, ..Amended::default() })
}

fn changed(before: Heads, after: Heads, messages: &[Arc<Message>]) -> Effect<u32, u32> {
    let events = messages.iter().cloned().map(Event::Changed).collect();
    Effect::Publish(EventBatch { room: ROOM, before, after, events })
}

fn rev(last_rev: u64) -> Heads {
    Heads { last_rev, ..heads(5) }
}

fn ok_change(reply: u32, rev: u64) -> Effect<u32, u32> {
    Effect::AnswerSend(reply, Ok(Receipt { room: ROOM, seq: 3, ts: 1_000, rev, duplicate: false }))
}

fn ok_react(reply: u32) -> Effect<u32, u32> {
    Effect::AnswerSend(reply, Ok(Receipt { room: ROOM, seq: 3, ts: 0, rev: 0, duplicate: false }))
}

impl Room {
    fn wants(&mut self, sender: UserId, work: Work, reply: u32) -> Effects {
        let deadline = self.now + Duration::from_secs(15);
        self.asks(Submit { sender, work, deadline, trace: 0 }, reply)
    }

    fn looked(&mut self, user: UserId, message: Option<Arc<Message>>) -> Effects {
        let found = message.map(|message| Looked { message, mine: Vec::new() });
        self.does(|logic, out| logic.looked((3, user, 0), Ok(found), u64::MAX, out))
    }

    /// Stands at 5; Ann and Bob are members; message 3 was looked at for both.
    fn with_three() -> Self {
        let mut room = Room::active(5);
        room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Member), out));
        for user in [ANN, BOB] {
            room.looked(user, Some(message(3, ANN, "three")));
        }
        room
    }

    /// The batch handed over, which is all that happens.
    fn hands_over(&mut self) -> Vec<Entry> {
        let mut effects = self.batch();
        match (effects.pop(), &effects[..]) {
            (Some(Effect::Append(entries)), []) => entries,
            other => panic!("{other:?}"),
        }
    }
}

fn refused(effects: &[Effect<u32, u32>]) -> Vec<(u32, ErrorCode)> {
    effects.iter().filter_map(code).collect()
}

#[test]
fn a_message_is_looked_at_before_it_is_changed() {
    let mut room = Room::active(5);
    assert_eq!(room.wants(ANN, edit("new", None), 1), []);
    assert_eq!(room.batch(), [Effect::Look { seq: 3, user: ANN, life: 0 }]);
    assert_eq!(room.wants(ANN, delete(), 2), []);
    assert_eq!(room.batch(), [], "asked once");
    assert_eq!(room.looked(ANN, None).iter().filter_map(code).count(), 2, "there is none");
}

#[test]
fn an_edit_takes_the_next_rev_and_is_told_after_the_commit() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("new", Some(0)), 1);
    let batch = room.hands_over();
    assert_eq!(batch, [change(ChangeKind::Edit, Some(ANN), &edited("new", 1))]);
    let effects = room.appended(&batch, 1, None);
    assert_eq!(effects, [ok_change(1, 1), changed(rev(0), rev(1), &[edited("new", 1)])]);
    assert_eq!(room.logic.recent_changes(0), Some(vec![edited("new", 1)]));
}

#[test]
fn messages_and_changes_share_a_batch_and_each_has_its_own_numbers() {
    let mut room = Room::with_three();
    room.submit(ANN, "six", 1);
    room.wants(ANN, edit("new", None), 2);
    room.submit(ANN, "seven", 3);
    let edit = change(ChangeKind::Edit, Some(ANN), &edited("new", 1));
    let [six, seven] = [message(6, ANN, "six"), message(7, ANN, "seven")].map(Entry::Message);
    assert_eq!(room.hands_over(), [six, edit, seven]);
}

#[test]
fn who_may_change_what() {
    let mut room = Room::with_three();
    room.wants(BOB, edit("his", None), 1);
    room.wants(BOB, delete(), 2);
    assert_eq!(refused(&room.batch()), [(1, ErrorCode::Forbidden), (2, ErrorCode::Forbidden)]);
    room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Admin), out));
    room.wants(BOB, edit("his", None), 3);
    room.wants(BOB, delete(), 4);
    let effects = room.batch();
    assert_eq!(refused(&effects), [(3, ErrorCode::Forbidden)]);
    let gone = amended("", Amended { rev: 1, deleted: true, ..Amended::default() });
    assert_eq!(effects[1], Effect::Append(vec![change(ChangeKind::Delete, Some(BOB), &gone)]));
}

#[test]
fn what_is_so_already_takes_no_rev() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("three", Some(9)), 1);
    room.wants(ANN, react("+", false), 2);
    let answers = room.batch();
    assert_eq!(answers, [ok_change(1, 0), ok_change(2, 0)]);
}

#[test]
fn an_edit_of_what_has_changed_since_is_a_conflict() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("new", Some(2)), 1);
    assert_eq!(refused(&room.batch()), [(1, ErrorCode::Conflict)]);
}

#[test]
fn what_is_deleted_stays_so() {
    let mut room = Room::with_three();
    room.wants(ANN, delete(), 1);
    let batch = room.hands_over();
    room.appended(&batch, 1, None);
    room.wants(ANN, delete(), 2);
    room.wants(ANN, edit("back", None), 3);
    room.wants(BOB, react("+", true), 4);
    let effects = room.batch();
    assert_eq!(effects[0], ok_change(2, 1));
    assert_eq!(refused(&effects), [(3, ErrorCode::Conflict), (4, ErrorCode::Conflict)]);
}

#[test]
fn an_answer_that_rests_on_the_batch_under_way_waits_for_it() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("new", None), 1);
    room.wants(ANN, edit("new", None), 2);
    let batch = room.hands_over();
    assert_eq!(batch.len(), 1, "the second may not be answered before the first is committed");
    room.appended(&batch, 1, None);
    assert_eq!(room.batch(), [ok_change(2, 1)]);
}

#[test]
fn two_edits_of_one_message_stand_on_one_another() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("one", None), 1);
    room.wants(ANN, edit("two", Some(1)), 2);
    let expected = [("one", 1), ("two", 2)]
        .map(|(body, rev)| change(ChangeKind::Edit, Some(ANN), &edited(body, rev)));
    assert_eq!(room.hands_over(), expected);
}

#[test]
fn reactions_are_committed_at_once_and_told_once_a_second() {
    let mut room = Room::with_three();
    room.wants(ANN, react("+", true), 1);
    let batch = room.hands_over();
    assert_eq!(batch, [reaction(ANN, "+", true)]);
    assert_eq!(room.appended(&batch, 1, None), [ok_react(1)], "no rev, nothing told");
    let batch = room.hands_over();
    assert_eq!(batch, [change(ChangeKind::Reactions, None, &reacted(1, 1))]);
    let effects = room.appended(&batch, 1, None);
    assert_eq!(effects, [changed(rev(0), rev(1), &[reacted(1, 1)])]);

    room.wants(BOB, react("+", true), 2);
    let batch = room.hands_over();
    room.appended(&batch, 1, None);
    assert_eq!(room.batch(), [], "told just now");
    room.now += Duration::from_millis(999);
    assert_eq!(room.batch(), []);
    room.now += Duration::from_millis(1);
    assert_eq!(room.hands_over(), [change(ChangeKind::Reactions, None, &reacted(2, 2))]);
}

#[test]
fn reactions_to_what_is_being_deleted_are_not_told() {
    let mut room = Room::with_three();
    room.wants(BOB, react("+", true), 1);
    let batch = room.hands_over();
    room.appended(&batch, 1, None);
    room.wants(ANN, delete(), 2);
    let batch = room.hands_over();
    assert_eq!(batch.len(), 1, "the deletion alone");
    room.appended(&batch, 1, None);
    assert_eq!(room.batch(), []);
}

#[test]
fn reactions_left_uncounted_by_an_earlier_life_are_told() {
    let mut room = Room::fresh();
    let found = Activation { uncounted: vec![3], ..activation(5) };
    room.does(|logic, out| logic.activated(Ok(Some(found)), 0, out));
    assert_eq!(room.batch(), [], "what they are is not known");
    let now = room.now;
    let effects = room.does(|logic, out| logic.tick(now, out));
    let nobody = UserId([0; 15]);
    assert_eq!(effects[0], Effect::Look { seq: 3, user: nobody, life: 0 });
    let counted =
        amended("three", Amended { reactions: vec![(emoji("+"), 1)], ..Amended::default() });
    room.looked(nobody, Some(counted));
    assert_eq!(room.hands_over(), [change(ChangeKind::Reactions, None, &reacted(1, 1))]);
}

#[test]
fn kinds_of_reactions_are_bounded() {
    let mut room = Room::active(5);
    let kinds = (0..20).map(|kind| (emoji(&kind.to_string()), 1)).collect();
    let full = amended("three", Amended { reactions: kinds, ..Amended::default() });
    room.looked(ANN, Some(full));
    room.wants(ANN, react("new", true), 1);
    assert_eq!(refused(&room.batch()), [(1, ErrorCode::Full)]);
}

#[test]
fn a_change_whose_answer_was_lost_is_found_by_its_mark() {
    let mut room = Room::with_three();
    room.wants(ANN, edit("new", None), 1);
    room.wants(ANN, react("+", true), 2);
    let batch = room.hands_over();
    let lost = Stopped::Unknown(StoreError::Unknown("timeout".into()));
    let effects = room.appended(&batch, 0, Some(lost));
    assert_eq!(effects, [Effect::ReadBack { sent: Vec::new(), after: rev(0) }]);
    let mark = Mark { rev: 1, seq: 3, kind: ChangeKind::Edit, by: Some(ANN), ts: 1_000 };
    let effects = room.reads(ReadBack {
        found: Vec::new(),
        newer: Page { messages: Vec::new(), last_seq: 5, last_rev: 1 },
        marks: vec![mark],
        changed: ChangedPage { messages: vec![edited("new", 1)], reached_rev: 1, heads: rev(1) },
    });
    assert_eq!(effects, [changed(rev(0), rev(1), &[edited("new", 1)]), ok_change(1, 1)]);
    // The reaction is tried again, after its message was looked at again.
    assert_eq!(room.batch(), [Effect::Look { seq: 3, user: ANN, life: 1 }]);
    // It is there already, so nothing is written for it; it is told all the same.
    let reactions = vec![(emoji("+"), 1)];
    let is =
        |rev| Amended { rev, edited_at: Some(1_000), reactions: reactions.clone(), deleted: false };
    let found = Looked { message: amended("new", is(1)), mine: vec![emoji("+")] };
    room.does(|logic, out| logic.looked((3, ANN, 1), Ok(Some(found)), u64::MAX, out));
    let effects = room.batch();
    assert!(matches!(effects[..], [Effect::AnswerSend(2, Ok(_))]), "{effects:?}");
    let told = change(ChangeKind::Reactions, None, &amended("new", is(2)));
    assert_eq!(room.hands_over(), [told]);
}

#[test]
fn what_was_read_before_a_doubt_was_settled_is_read_again() {
    let mut room = Room::with_three();
    room.submit(ANN, "six", 1);
    let batch = room.hands_over();
    room.wants(ANN, delete(), 2);
    room.appended(&batch, 0, Some(Stopped::Taken));
    room.read_back(&[None], vec![message(6, BOB, "x")], 6);
    let effects = room.looked(ANN, Some(message(3, ANN, "three")));
    assert_eq!(effects, [Effect::Look { seq: 3, user: ANN, life: 1 }]);
}

#[test]
fn a_reply_is_to_a_message_that_is_there() {
    let mut room = Room::active(5);
    let reply = |reply_to| Work::Send {
        client_id: ClientId::new("r").unwrap(),
        body: "r".into(),
        reply_to: Some(reply_to),
    };
    for seq in [0, 6] {
        room.wants(ANN, reply(seq), 1);
        assert_eq!(refused(&room.batch()), [(1, ErrorCode::Invalid)]);
    }
    room.wants(ANN, reply(5), 1);
    assert_eq!(room.hands_over().len(), 1);
}

#[test]
fn a_membership_ends_after_the_changes_before_it() {
    let mut room = Room::active(5);
    room.wants(ANN, delete(), 1);
    room.batch();
    let (leave, now) = (Change { by: ANN, change: RoomChange::Leave }, room.now);
    assert_eq!(room.does(|logic, out| logic.change(leave, 7, now, out)), []);
}

/// A change that was written after its outcome was read back as "not there" is found by the look
/// that precedes the next try; it has to be told like any other.
#[test]
fn a_change_that_was_written_late_is_told() {
    let mut room = Room::active(5);
    room.wants(ANN, edit("new", None), 1);
    room.batch();
    let effects = room.looked(ANN, Some(edited("new", 1)));
    assert_eq!(effects, [Effect::ReadBack { sent: Vec::new(), after: rev(0) }]);
    let effects = room.reads(ReadBack {
        found: Vec::new(),
        newer: Page { messages: Vec::new(), last_seq: 5, last_rev: 1 },
        marks: Vec::new(),
        changed: ChangedPage { messages: vec![edited("new", 1)], reached_rev: 1, heads: rev(1) },
    });
    assert_eq!(effects, [changed(rev(0), rev(1), &[edited("new", 1)])]);
}

/// So may one that nobody tries again.
#[test]
fn after_a_doubt_the_store_is_looked_at_once_more() {
    let mut room = Room::with_three();
    room.wants(ANN, react("+", true), 1);
    let batch = room.hands_over();
    room.appended(&batch, 0, Some(Stopped::Unknown(StoreError::Unknown("timeout".into()))));
    room.now += RECHECK_AFTER;
    let now = room.now;
    let effects = room.does(|logic, out| logic.tick(now, out));
    assert!(effects.contains(&Effect::Recheck), "{effects:?}");
    assert!(!room.does(|logic, out| logic.tick(now, out)).contains(&Effect::Recheck), "once");
    let found = Activation { uncounted: vec![3], ..activation(5) };
    room.read_back(&[], vec![], 5);
    room.does(|logic, out| logic.retry(out));
    room.does(|logic, out| logic.rechecked(Ok(Some(found)), now, out));
    let effects = room.does(|logic, out| logic.tick(now, out));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Look { seq: 3, .. })));
}

/// A reaction that came late stands in no message that was read before.
#[test]
fn what_is_found_uncounted_is_read_again_although_it_is_known() {
    let mut room = Room::with_three();
    let (now, looks) = (room.now, |effect: &_| matches!(effect, Effect::Look { seq: 3, .. }));
    assert!(!room.does(|logic, out| logic.tick(now, out)).iter().any(looks));
    let found = || Activation { uncounted: vec![3], ..activation(5) };
    room.does(|logic, out| logic.rechecked(Ok(Some(found())), now, out));
    assert!(room.does(|logic, out| logic.tick(now, out)).iter().any(looks));
    room.now += RECHECK_AFTER;
    let now = room.now;
    let effects = room.does(|logic, out| logic.tick(now, out));
    assert!(effects.contains(&Effect::Recheck), "until nothing is found: {effects:?}");
}
