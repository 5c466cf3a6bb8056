//! A room that is at home elsewhere.

use super::*;
use crate::room::{RECHECKS, STANDINGS_FOR, logic::Left, standing::Change};
use madang_store::rooms::RoomChange;

/// Given back: the replies, in order.
fn left(effects: &Effects) -> (Vec<u32>, Vec<u32>) {
    match &effects[..] {
        [.., Effect::Leave(Left { submits, changes })] => {
            (submits.iter().map(|(_, reply)| *reply).collect(), changes.clone())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_with_nothing_under_way_gives_everything_back_at_once() {
    let mut room = Room::active(4);
    room.submit(ANN, "one", 1);
    room.submit(BOB, "two, and Bob is not known", 2);
    room.submit(ANN, "three", 3);
    room.logic.leave();
    room.submit(ANN, "four", 4);
    assert_eq!(left(&room.batch()), (vec![1, 3, 2, 4], vec![]));
}

#[test]
fn what_is_with_the_store_is_waited_for_and_told_to_the_home() {
    let (mut room, batch) = Room::writing(4, &["one", "two"]);
    room.submit(ANN, "three", 3);
    room.logic.leave();
    assert_eq!(room.batch(), []);
    assert_eq!(room.submit(ANN, "four", 4), []);
    let effects = room.appended(&batch, 2, None);
    assert!(matches!(
        effects[..],
        [Effect::AnswerSend(1, Ok(_)), Effect::AnswerSend(2, Ok(_)), Effect::Publish(_)]
    ));
    let effects = room.batch();
    assert_eq!(effects[0], Effect::TellHome(heads(6)));
    assert_eq!(left(&effects), (vec![3, 4], vec![]));
}

#[test]
fn what_is_in_doubt_is_found_out_about_and_the_rest_goes_back() {
    let (mut room, batch) = Room::writing(4, &["one", "two"]);
    room.logic.leave();
    let effects = room.appended(&batch, 0, Some(Stopped::Unknown(StoreError::Overloaded)));
    assert!(matches!(effects[..], [Effect::ReadBack { .. }]));
    assert_eq!(room.batch(), []);
    let effects = room.read_back(&[Some(5), None], vec![message(5, ANN, "one")], 5);
    assert!(matches!(effects[1], Effect::AnswerSend(1, Ok(_))), "{effects:?}");
    assert_eq!(left(&room.batch()), (vec![2], vec![]));
}

#[test]
fn a_change_that_is_with_the_store_is_waited_for_and_others_go_back() {
    let mut room = Room::active(4);
    let now = room.now;
    let change = |user| Change { by: ANN, change: RoomChange::Add(user) };
    room.does(|logic, effects| logic.change(change(BOB), 1, now, effects));
    room.does(|logic, effects| logic.change(change(BOB), 2, now, effects));
    room.logic.leave();
    assert_eq!(room.batch(), []);
    let failed = Err(StoreError::Overloaded);
    room.does(|logic, effects| logic.changed(BOB, failed, effects));
    assert_eq!(left(&room.batch()), (vec![], vec![2]));
}

#[test]
fn what_waits_for_its_going_has_its_deadline() {
    let (mut room, _batch) = Room::writing(4, &["one"]);
    room.logic.leave();
    room.submit(ANN, "two", 2);
    room.now += Duration::from_secs(15);
    let now = room.now;
    let effects = room.does(|logic, effects| logic.tick(now, effects));
    let late = |effect: &Effect<u32, u32>| match effect {
        Effect::AnswerSend(reply, Err(refusal)) if refusal.code == ErrorCode::Unavailable => {
            Some(*reply)
        }
        _ => None,
    };
    assert_eq!(effects.iter().filter_map(late).collect::<Vec<_>>(), [1, 2]);
}

/// How often the heads were read again until then.
fn rechecks(room: &mut Room, until: Duration) -> usize {
    let begun = room.now;
    let mut count = 0;
    for second in 0..=until.as_secs() {
        let now = begun + Duration::from_secs(second);
        let effects = room.does(|logic, effects| logic.tick(now, effects));
        count += effects.iter().filter(|effect| **effect == Effect::Recheck).count();
    }
    count
}

/// Also when something was committed here: what a home before commits late may be a reaction, which
/// takes no number and shows in no head. On a single node too: that home may have been of a life that
/// panicked, or of a process that was killed.
#[test]
fn one_that_began_is_read_again() {
    let mut room = Room::active(4);
    assert_eq!(rechecks(&mut room, Duration::from_secs(2)), 1);
    room.submit(ANN, "one", 1);
    let Some(Effect::Append(batch)) = room.batch().pop() else { panic!("a batch") };
    room.appended(&batch, 1, None);
    assert_eq!(rechecks(&mut room, Duration::from_secs(40)), RECHECKS.len() - 1);
}

#[test]
fn members_are_asked_for_again_now_and_then_where_others_may_remove_them() {
    let mut room = Room::active(4);
    room.logic.share();
    let now = room.now;
    room.does(|logic, effects| logic.tick(now, effects));
    assert_eq!(room.submit(ANN, "one", 1), [], "she is known");
    let now = now + STANDINGS_FOR;
    room.does(|logic, effects| logic.tick(now, effects));
    assert_eq!(room.submit(ANN, "two", 2), [Effect::AskStanding(ANN)]);
}
