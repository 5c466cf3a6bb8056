//! Changes of the room and of who is in it.

use super::*;
use crate::room::standing::Change;
use RoomChange::{Join, Leave};
use madang_protocol::{MemberChange, MemberEvent, Refusal};
use madang_store::rooms::{RoomChange, RoomChanged, RoomRefusal};

const EVE: UserId = UserId([3; 15]);

impl Room {
    fn change(&mut self, by: UserId, change: RoomChange, reply: u32) -> Effects {
        let now = self.now;
        self.does(|logic, out| logic.change(Change { by, change }, reply, now, out))
    }

    fn changed(&mut self, user: UserId, outcome: Result<RoomChanged, StoreError>) -> Effects {
        self.does(|logic, out| logic.changed(user, outcome, out))
    }

    fn standing(&mut self, user: UserId, standing: Standing) -> Effects {
        self.does(|logic, out| logic.standing(user, standing, out))
    }
}

/// The change of `by` is handed to the store.
fn written(by: UserId, change: RoomChange) -> Effect<u32, u32> {
    Effect::Change(Change { by, change })
}

fn answered(reply: u32, role: Option<Role>) -> Effect<u32, u32> {
    Effect::AnswerChange(reply, Ok(role))
}

fn member(user: UserId, change: MemberChange, role: Option<Role>) -> Event {
    Event::Member(MemberEvent { user, change, role })
}

fn left(user: UserId) -> Event {
    member(user, MemberChange::Left, None)
}

/// What was made, ending at `member_rev`; rooms under test begin at 3.
fn made(
    events: Vec<Event>,
    member_rev: u64,
    role: Option<Role>,
) -> Result<RoomChanged, StoreError> {
    Ok(RoomChanged::Done { events, heads: at(0, member_rev), role })
}

fn at(last_seq: u64, member_rev: u64) -> Heads {
    Heads { member_rev, ..heads(last_seq) }
}

fn told(last_seq: u64, before: u64, events: Vec<Event>) -> Effect<u32, u32> {
    let after = at(last_seq, before + events.len() as u64);
    Effect::Publish(EventBatch { room: ROOM, before: at(last_seq, before), after, events })
}

#[test]
fn a_membership_ends_after_the_sends_before_it_and_before_those_behind_it() {
    let (mut room, batch) = Room::writing(5, &["before"]);
    assert_eq!(room.change(ANN, Leave, 7), [], "a send is not settled");
    assert_eq!(room.submit(ANN, "behind", 2), []);
    let effects = room.appended(&batch, 1, None);
    assert_eq!(effects[2..], [written(ANN, Leave)]);
    assert_eq!(room.batch(), []);

    let effects = room.changed(ANN, made(vec![left(ANN)], 4, None));
    let expected = [answered(7, None), told(6, 3, vec![left(ANN)]), Effect::AskStanding(ANN)];
    assert_eq!(effects, expected);
    let effects = room.standing(ANN, Standing::Stranger);
    assert_eq!(code(&effects[0]), Some((2, ErrorCode::NotFound)));
}

#[test]
fn a_removal_waits_for_the_sends_of_the_one_removed() {
    let (mut room, batch) = Room::writing(5, &["before"]);
    let remove = RoomChange::Remove { user: ANN, ban: true };
    assert_eq!(room.change(BOB, remove.clone(), 7), []);
    assert_eq!(room.change(EVE, RoomChange::Add(BOB), 8), [written(EVE, RoomChange::Add(BOB))]);
    assert_eq!(room.appended(&batch, 1, None)[2..], [written(BOB, remove)]);
}

#[test]
fn who_joins_is_told_and_may_post() {
    let mut room = Room::active(0);
    assert_eq!(room.change(ANN, RoomChange::Add(BOB), 1).len(), 1);
    assert_eq!(room.submit(BOB, "early", 2), [], "waits");
    let joined = member(BOB, MemberChange::Joined, Some(Role::Member));
    let effects = room.changed(BOB, made(vec![joined.clone()], 4, Some(Role::Member)));
    let expected = [
        Effect::AnnounceJoined(BOB, Role::Member, at(0, 4)),
        answered(1, Some(Role::Member)),
        told(0, 3, vec![joined]),
        Effect::AskStanding(BOB),
    ];
    assert_eq!(effects, expected);
    assert_eq!(room.standing(BOB, Standing::Member(Role::Member)), []);
    assert_eq!(room.batch().len(), 1);
}

#[test]
fn changes_of_one_user_follow_one_another() {
    let mut room = Room::active(0);
    assert_eq!(room.change(BOB, Join, 1), [written(BOB, Join)]);
    assert_eq!(room.change(BOB, Join, 2), []);
    let effects = room.changed(BOB, Ok(RoomChanged::Already(Some(Role::Member))));
    assert_eq!(effects, [answered(1, Some(Role::Member)), written(BOB, Join)]);
    let refused = room.changed(BOB, Ok(RoomChanged::Refused(RoomRefusal::Full)));
    assert!(
        matches!(&refused[..], [Effect::AnswerChange(2, Err(refusal))] if refusal.code == ErrorCode::Full)
    );
    for reply in 10..26 {
        room.change(BOB, Join, reply);
    }
    let refusal = Refusal::overloaded("too many changes of this membership wait");
    assert_eq!(room.change(BOB, Join, 3), [Effect::AnswerChange(3, Err(refusal))]);
}

#[test]
fn changes_wait_until_the_room_knows_where_it_stands() {
    let mut room = Room::fresh();
    assert_eq!(room.change(BOB, Join, 1), []);
    let effects = room.does(|logic, out| logic.activated(Ok(Some(activation(2))), 0, out));
    assert_eq!(effects, [publish(2, &[]), written(BOB, Join)]);
}

/// The store makes one after the other, their answers may overtake.
#[test]
fn what_the_readers_are_told_is_in_order() {
    let mut room = Room::active(0);
    room.change(ANN, Leave, 1);
    room.change(BOB, Leave, 2);
    assert_eq!(room.changed(BOB, made(vec![left(BOB)], 5, None)), [answered(2, None)]);
    let effects = room.changed(ANN, made(vec![left(ANN)], 4, None));
    let expected = [answered(1, None), told(0, 3, vec![left(ANN)]), told(0, 4, vec![left(BOB)])];
    assert_eq!(effects, expected);
}

/// A change was made and nobody knows: the readers see a hole and look for themselves.
#[test]
fn a_lost_answer_is_shown_as_a_hole() {
    let mut room = Room::active(0);
    room.change(ANN, Leave, 1);
    room.change(BOB, Leave, 2);
    assert_eq!(room.changed(BOB, made(vec![left(BOB)], 5, None)), [answered(2, None)]);
    let effects = room.changed(ANN, Err(StoreError::Unknown("timeout".into())));
    assert!(matches!(&effects[0], Effect::AnswerChange(1, Err(refusal))
        if refusal.code == ErrorCode::Unavailable));
    assert_eq!(effects[1..], [told(0, 4, vec![left(BOB)]), Effect::AskStanding(ANN)]);

    assert_eq!(room.does(|logic, out| logic.noticed(5, out)), []);
    let beacon = Effect::Publish(EventBatch {
        room: ROOM,
        before: at(0, 6),
        after: at(0, 6),
        events: Vec::new(),
    });
    assert_eq!(room.does(|logic, out| logic.noticed(6, out)), [beacon]);
}

#[test]
fn a_standing_read_before_a_change_is_read_again() {
    let mut room = Room::active(0);
    assert_eq!(room.submit(BOB, "a", 1), [Effect::AskStanding(BOB)]);
    room.change(ANN, RoomChange::Remove { user: BOB, ban: false }, 2);
    let removed = member(BOB, MemberChange::Removed, None);
    let effects = room.changed(BOB, made(vec![removed.clone()], 4, None));
    assert_eq!(effects, [answered(2, None), told(0, 3, vec![removed])], "it was asked for already");
    let effects = room.standing(BOB, Standing::Member(Role::Member));
    assert_eq!(effects, [Effect::AskStanding(BOB)], "from before the removal");
    assert_eq!(code(&room.standing(BOB, Standing::Outsider)[0]), Some((1, ErrorCode::Forbidden)));
}

#[test]
fn who_gives_the_room_away_is_looked_at_again() {
    let mut room = Room::active(0);
    room.change(ANN, RoomChange::SetRole { user: BOB, role: Role::Owner }, 1);
    let events = vec![
        member(BOB, MemberChange::Role, Some(Role::Owner)),
        member(ANN, MemberChange::Role, Some(Role::Admin)),
    ];
    let effects = room.changed(BOB, made(events.clone(), 5, Some(Role::Owner)));
    assert_eq!(effects, [answered(1, Some(Role::Owner)), told(0, 3, events)]);
    assert_eq!(room.submit(ANN, "a", 2), [Effect::AskStanding(ANN)]);
}

#[test]
fn in_a_channel_owner_and_admins_post() {
    let mut room = Room::fresh();
    room.standing(ANN, Standing::Member(Role::Admin));
    room.standing(BOB, Standing::Member(Role::Member));
    assert_eq!(room.submit(ANN, "a", 1), []);
    assert_eq!(room.submit(BOB, "b", 2), [], "not known yet what the room is");
    let found = Activation { kind: RoomKind::Channel, ..activation(0) };
    room.does(|logic, out| logic.activated(Ok(Some(found)), 0, out));
    assert_eq!(room.submit(BOB, "c", 3), []);
    let effects = room.batch();
    let refused: Vec<_> = effects.iter().filter_map(code).collect();
    assert_eq!(refused, [(2, ErrorCode::Forbidden), (3, ErrorCode::Forbidden)]);
    assert_eq!(effects[2], appends(&[message(1, ANN, "a")]));
}
