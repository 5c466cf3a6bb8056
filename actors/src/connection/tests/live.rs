//! What is told to those who listen, and asked about them.

use super::{ANN, Connection, ROOM, access, limits, subscribe};
use crate::{
    batcher::Moved,
    connection::{
        Attached, REQUESTS_MAX,
        logic::{Effect, Live, Logic},
    },
};
use madang_protocol::{
    Ephemeral, ErrorCode, MemberChange, Operation, Refusal, UserId,
    frame::NodeFrame,
    operation::{Signal, Target, Typing},
};
use madang_store::rooms::Access;

fn signal() -> Live {
    Live::Signal(Signal { room: ROOM, data: "d".into() })
}

fn told() -> Effect {
    Effect::Tell(ROOM, Ephemeral::Signal { sender: ANN.user, data: "d".into() })
}

fn ok() -> Effect {
    Effect::Push(NodeFrame::RoomOk { id: 7, room: ROOM })
}

fn target(seq: u64) -> Target {
    Target { room: ROOM, seq }
}

impl Connection {
    fn says(&mut self, live: Live, delivered: Option<u64>) -> Vec<Effect> {
        self.does(|logic, out| logic.live(Some(7), live, delivered, out))
    }

    /// Says something in a room that is not received, and finds out what it may do there.
    fn says_outside(
        &mut self,
        live: impl Fn() -> Live,
        access: Result<Option<Access>, Refusal>,
    ) -> Vec<Effect> {
        assert_eq!(self.says(live(), None), [Effect::AskLive(Some(7), live())]);
        self.does(|logic, out| logic.live_access(Some(7), live(), access, out))
    }

    fn moved(&mut self, id: Option<u64>, moved: Moved) -> Vec<Effect> {
        self.does(|logic, out| logic.advanced(id, target(4), moved, out))
    }
}

fn code(effects: &[Effect]) -> ErrorCode {
    match effects {
        [Effect::Push(NodeFrame::Error { id: Some(7), code, .. })] => *code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_operation_is_looked_at_with_what_the_hub_knows() {
    let mut connection = Connection::live();
    let typing = Typing { room: ROOM, on: true };
    for (operation, live) in [
        (Operation::Signal(Signal { room: ROOM, data: "d".into() }), signal()),
        (Operation::Typing(typing), Live::Typing(typing)),
        (Operation::Read(target(4)), Live::Read(target(4))),
        (Operation::Presence(ROOM), Live::Presence(ROOM)),
    ] {
        assert_eq!(connection.frame(7, operation), [Effect::Live(Some(7), live)]);
    }
}

#[test]
fn whoever_receives_the_room_needs_no_read() {
    let mut connection = Connection::live();
    assert_eq!(connection.says(signal(), Some(0)), [told(), ok()]);
    let typing = Live::Typing(Typing { room: ROOM, on: true });
    let types = Effect::Tell(ROOM, Ephemeral::Typing { user: ANN.user, on: true });
    assert_eq!(connection.says(typing, Some(0)), [types, ok()]);
    let unasked = connection.does(|logic, out| logic.live(None, signal(), Some(0), out));
    assert_eq!(unasked, [told()], "without an id there is no answer");
}

#[test]
fn others_are_looked_up() {
    let mut connection = Connection::live();
    assert_eq!(connection.says_outside(signal, Ok(Some(access(3)))), [told(), ok()]);
    let stranger = Access { role: None, ..access(3) };
    for (access, expected) in [
        (Ok(None), ErrorCode::NotFound),
        (Ok(Some(Access { private: true, ..stranger })), ErrorCode::NotFound),
        (Ok(Some(Access { private: false, ..stranger })), ErrorCode::Forbidden),
        (Err(Refusal::unavailable("late")), ErrorCode::Unavailable),
    ] {
        assert_eq!(code(&connection.says_outside(signal, access.clone())), expected);
        assert_eq!(code(&connection.says_outside(|| Live::Read(target(1)), access)), expected);
    }
}

#[test]
fn looking_up_is_bounded() {
    let mut connection = Connection::live();
    for _ in 0..REQUESTS_MAX {
        assert!(connection.logic.wants_input());
        connection.says(signal(), None);
    }
    assert!(!connection.logic.wants_input());
}

#[test]
fn a_receipt_of_what_was_delivered_is_noted_at_once() {
    let mut connection = Connection::live();
    let noted = Effect::Advance(Some(7), target(4), None);
    assert_eq!(connection.says(Live::Read(target(4)), Some(4)), [noted]);
    let answer = Effect::Push(NodeFrame::ReadOk { id: 7, room: ROOM, read_seq: 6 });
    assert_eq!(connection.moved(Some(7), Moved::To(6)), [answer]);
    assert_eq!(connection.moved(None, Moved::To(6)), []);
    assert_eq!(code(&connection.moved(Some(7), Moved::Full)), ErrorCode::Overloaded);
    let asked = [Effect::AskLive(Some(7), Live::Read(target(4)))];
    assert_eq!(connection.moved(Some(7), Moved::Unknown), asked, "the first one reads once");
}

#[test]
fn a_receipt_of_more_than_was_delivered_is_looked_up() {
    let mut connection = Connection::live();
    let asked = [Effect::AskLive(Some(7), Live::Read(target(5)))];
    assert_eq!(connection.says(Live::Read(target(5)), Some(4)), asked);
    let found = |seq| move || Live::Read(target(seq));
    let stored = Effect::Advance(Some(7), target(5), Some(access(5).read_seq));
    assert_eq!(connection.says_outside(found(5), Ok(Some(access(5)))), [stored]);
    let refused = connection.says_outside(found(6), Ok(Some(access(5))));
    assert_eq!(code(&refused), ErrorCode::Invalid);
}

#[test]
fn who_is_online_is_asked_and_told() {
    let mut connection = Connection::live();
    let asked = [Effect::AskOnline(Some(7), ROOM)];
    assert_eq!(connection.says(Live::Presence(ROOM), Some(0)), asked);
    assert_eq!(connection.says_outside(|| Live::Presence(ROOM), Ok(Some(access(0)))), asked);
    let online = vec![UserId([1; 15])];
    let mut answer = |is_truncated| {
        let found = Ok((online.clone(), is_truncated));
        connection.does(|logic, out| logic.online(Some(7), found, out))
    };
    let told = |truncated| {
        let online = online.clone();
        [Effect::Push(NodeFrame::PresenceOk { id: 7, online, truncated })]
    };
    assert_eq!(answer(false), told(None));
    assert_eq!(answer(true), told(Some(true)));
}

/// The word that we joined a room was lost; the store has it.
#[test]
fn a_room_that_was_joined_unheard_is_looked_at_unless_it_was_left_out() {
    let limits = limits();
    let mut connection = Connection::live();
    let found = |logic: &mut Logic, out: &mut Vec<Effect>| logic.found(ROOM, &limits, out);
    assert_eq!(connection.does(found), [Effect::AskReturn(ROOM)]);
    let joined = connection.does(|logic, out| logic.returned(ROOM, Some(access(6)), &limits, out));
    assert!(matches!(&joined[0], Effect::Push(NodeFrame::Member { .. })), "{joined:?}");
    assert_eq!(connection.does(found), [], "it is received");
    connection.frame(3, Operation::Unsubscribe(ROOM));
    assert_eq!(connection.does(found), []);
    let late = connection.does(|logic, out| logic.returned(ROOM, Some(access(6)), &limits, out));
    assert_eq!(late, [], "asked for before");
    connection.frame(4, subscribe(None));
    connection.does(|logic, out| logic.detached(ROOM, out));
    assert_eq!(connection.does(found), [Effect::AskReturn(ROOM)]);
}

/// Who was removed, and did not hear of it, is not told to have left.
#[test]
fn a_removal_that_nobody_told_of_is_told_as_one() {
    let removed = |frame: &Effect| {
        matches!(frame, Effect::Push(NodeFrame::Member { change: MemberChange::Removed, .. }))
    };
    let gone = Ok(Some(Access { role: None, was_removed: true, ..access(9) }));
    let mut connection = Connection::attaching(None, 9);
    connection.does(|logic, out| logic.attached(Some(Attached::Live), out));
    let effects = connection.does(|logic, out| logic.rechecked(ROOM, gone, out));
    assert!(removed(&effects[0]), "{effects:?}");
    // Found out by one that is not live yet.
    let mut connection = Connection::attaching(None, 9);
    let effects = connection.does(|logic, out| logic.ended(ROOM, MemberChange::Removed, out));
    assert!(removed(&effects[0]), "{effects:?}");
}
