//! Bounds of a room beside its queue: what it hands over at once, and what it remembers.

use super::*;
use crate::room::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX,
    board::{Board, KEPT_MAX},
    standing::KNOWN_MAX,
};
use madang_store::log::Target;
use std::collections::HashSet;

/// How many entries the next batch has.
fn entries(room: &mut Room) -> usize {
    match &room.batch()[..] {
        [Effect::Append(entries)] => entries.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_is_bounded_by_its_entries_and_by_its_bytes() {
    let mut room = Room::active(0);
    for number in 0..=BATCH_ENTRIES_MAX {
        room.submit(ANN, &number.to_string(), 1);
    }
    assert_eq!(entries(&mut room), BATCH_ENTRIES_MAX);

    let mut room = Room::active(0);
    let body: Arc<str> = "x".repeat(BATCH_BYTES_MAX / 10).into();
    for number in 0..20 {
        let client_id = ClientId::new(&number.to_string()).unwrap();
        let work = Work::Send { client_id, body: body.clone(), reply_to: None };
        let deadline = room.now + Duration::from_secs(15);
        room.asks(Submit { sender: ANN, work, deadline, trace: 0 }, 1);
    }
    let taken = entries(&mut room);
    assert!((9..=10).contains(&taken), "{taken}");
}

impl Room {
    fn unknown(&mut self, user: UserId, error: StoreError) -> Effects {
        self.does(|logic, out| logic.standing_unknown(user, &error, u64::MAX, out))
    }
}

#[test]
fn of_too_many_users_those_nobody_waits_for_are_asked_for_again() {
    let mut room = Room::active(0);
    let user = |number: usize| {
        let mut id = [7; 15];
        id[..8].copy_from_slice(&(number as u64).to_le_bytes());
        UserId(id)
    };
    for number in 0..KNOWN_MAX {
        let user = user(number);
        if room.submit(user, "a", 1) == [Effect::AskStanding(user)] {
            room.does(|logic, out| logic.standing(user, Standing::Stranger, out));
        }
    }
    let last = user(KNOWN_MAX - 1);
    assert_ne!(room.submit(last, "b", 2), [Effect::AskStanding(last)], "known");
    assert_eq!(room.submit(user(0), "b", 2), [Effect::AskStanding(user(0))], "forgotten");
}

#[test]
fn of_too_many_messages_those_nothing_is_about_are_read_again() {
    let mut board = Board::default();
    let target = |seq| Target { message: message(seq, ANN, "m"), mine: Vec::new() };
    for seq in 1..=KEPT_MAX as u64 {
        board.forget_if_many(|| panic!("there is room"));
        board.learn(seq, ANN, target(seq));
    }
    board.forget_if_many(|| HashSet::from([5]));
    let kept: Vec<u64> =
        (1..=KEPT_MAX as u64).filter(|seq| board.message(*seq).is_some()).collect();
    assert_eq!(kept, [5]);
}

/// What a full store refuses is refused with its word, not as an outcome in doubt.
#[test]
fn a_store_that_is_busy_refuses_the_send() {
    let mut room = Room::active(0);
    room.submit(BOB, "a", 1);
    let effects = room.unknown(BOB, StoreError::Overloaded);
    assert_eq!(effects.iter().filter_map(code).collect::<Vec<_>>(), [(1, ErrorCode::Overloaded)]);
}

/// A send waits for its sender's membership to be read, however often that fails, up to its deadline.
#[test]
fn a_membership_that_cannot_be_read_is_asked_for_again_until_the_deadline() {
    let mut room = Room::active(0);
    let silent = || StoreError::Unavailable("slow".into());
    let again = |ms| Effect::AskAgainAfter(Duration::from_millis(ms));
    assert_eq!(room.submit(BOB, "a", 1), [Effect::AskStanding(BOB)]);
    for ms in [10, 20, 40] {
        assert_eq!(room.unknown(BOB, silent()), [again(ms)]);
        assert_eq!(room.does(|logic, out| logic.ask_again(out)), [Effect::AskStanding(BOB)]);
    }
    assert_eq!(room.unknown(BOB, silent()), [again(80)]);
    assert_eq!(room.submit(BOB, "b", 2), [Effect::AskStanding(BOB)]);
    assert_eq!(room.unknown(BOB, silent()), [], "one timer for all");
    room.now += Duration::from_secs(14);
    let now = room.now;
    assert_eq!(room.submit(BOB, "c", 3), [Effect::AskStanding(BOB)]);
    room.does(|logic, out| logic.tick(now, out));
    room.now += Duration::from_secs(1);
    let now = room.now;
    let effects = room.does(|logic, out| logic.tick(now, out));
    let unavailable = ErrorCode::Unavailable;
    assert_eq!(
        effects.iter().filter_map(code).collect::<Vec<_>>(),
        [(1, unavailable), (2, unavailable)]
    );
    let known = Standing::Member(Role::Member);
    assert_eq!(room.does(|logic, out| logic.standing(BOB, known, out)), []);
    assert_eq!(room.batch(), [appends(&[message(1, BOB, "c")])]);
    assert_eq!(room.does(|logic, out| logic.ask_again(out)), [], "nobody waits");
}
