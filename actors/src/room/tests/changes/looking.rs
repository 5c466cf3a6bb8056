//! Changes whose message cannot be read.

use super::*;

fn look(user: UserId) -> Effect<u32, u32> {
    Effect::Look { seq: 3, user, life: 0 }
}

fn again(ms: u64) -> Effect<u32, u32> {
    Effect::AskAgainAfter(Duration::from_millis(ms))
}

impl Room {
    /// The store does not say what message 3 is.
    fn unread(&mut self, user: UserId) -> Effects {
        let silent = Err(StoreError::Unavailable("slow".into()));
        self.does(|logic, out| logic.looked((3, user, 0), silent, u64::MAX, out))
    }

    fn asks_again(&mut self) -> Effects {
        self.does(|logic, out| logic.ask_again(out))
    }

    fn after(&mut self, seconds: u64) -> Effects {
        self.now += Duration::from_secs(seconds);
        let now = self.now;
        self.does(|logic, out| logic.tick(now, out))
    }
}

#[test]
fn its_message_is_asked_for_again_until_the_deadline() {
    let mut room = Room::active(5);
    room.wants(ANN, edit("new", None), 1);
    assert_eq!(room.batch(), [look(ANN)]);
    for ms in [10, 20, 40] {
        assert_eq!(room.unread(ANN), [again(ms)]);
        assert_eq!(room.wants(ANN, delete(), 2), []);
        assert_eq!(room.batch(), [], "the next try is for both");
        assert_eq!(room.asks_again(), [look(ANN)]);
        assert_eq!(room.asks_again(), [], "once");
    }
    assert_eq!(room.unread(ANN), [again(80)]);
    assert_eq!(refused(&room.after(14)), []);
    room.wants(ANN, react("+", true), 3);
    let unavailable = ErrorCode::Unavailable;
    let late = [(1, unavailable), (2, unavailable), (2, unavailable), (2, unavailable)];
    assert_eq!(refused(&room.after(1)), late);
    room.batch();
    room.looked(ANN, Some(message(3, ANN, "three")));
    assert_eq!(room.hands_over(), [reaction(ANN, "+", true)], "its wait is not over");
}

#[test]
fn one_nobody_waits_for_any_more_is_not_asked_for() {
    let mut room = Room::active(5);
    room.wants(ANN, edit("new", None), 1);
    room.batch();
    room.unread(ANN);
    room.after(15);
    assert_eq!(room.asks_again(), []);
    assert_eq!(room.unread(ANN), []);
}

/// Of two who ask for the same, and of standings and messages, one timer does for all.
#[test]
fn one_timer_does_for_everything_that_cannot_be_read() {
    let mut room = Room::active(5);
    room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Member), out));
    room.wants(ANN, edit("new", None), 1);
    room.wants(BOB, react("+", true), 2);
    assert_eq!(room.batch(), [look(ANN), look(BOB)]);
    assert_eq!(room.unread(ANN), [again(10)]);
    assert_eq!(room.unread(BOB), []);
    assert_eq!(room.asks_again(), [look(ANN), look(BOB)]);
}

#[test]
fn the_room_goes_on_meanwhile() {
    let mut room = Room::active(5);
    room.wants(ANN, edit("new", None), 1);
    room.batch();
    room.unread(ANN);
    room.submit(ANN, "six", 2);
    assert_eq!(room.batch(), [appends(&[message(6, ANN, "six")])]);
}

/// Another's question may have brought the message meanwhile; hers stay in their order.
#[test]
fn what_one_user_asks_of_one_message_keeps_its_order() {
    let mut room = Room::active(5);
    room.does(|logic, out| logic.standing(BOB, Standing::Member(Role::Member), out));
    room.wants(ANN, edit("one", None), 1);
    assert_eq!(room.batch(), [look(ANN)]);
    room.unread(ANN);
    room.looked(BOB, Some(message(3, ANN, "three")));
    room.wants(ANN, edit("two", None), 2);
    assert_eq!(room.batch(), [], "behind the first");
    // This one comes while the answer is on its way.
    room.wants(ANN, edit("three and a half", None), 3);
    room.looked(ANN, Some(message(3, ANN, "three")));
    let expected = [("one", 1), ("two", 2), ("three and a half", 3)]
        .map(|(body, rev)| change(ChangeKind::Edit, Some(ANN), &edited(body, rev)));
    assert_eq!(room.hands_over(), expected);
}

/// A full store, or a damaged message, will not say more the next time.
#[test]
fn some_answers_refuse_it_at_once() {
    for (error, told) in [
        (StoreError::Overloaded, ErrorCode::Overloaded),
        (StoreError::Damaged { table: "messages", detail: "x".into() }, ErrorCode::Unavailable),
    ] {
        let mut room = Room::active(5);
        room.wants(ANN, delete(), 1);
        room.batch();
        let effects = room.does(|logic, out| logic.looked((3, ANN, 0), Err(error), u64::MAX, out));
        assert_eq!(refused(&effects), [(1, told)]);
    }
}
