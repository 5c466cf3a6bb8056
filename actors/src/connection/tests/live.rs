//! What is told and not kept.

use super::{ANN, Connection, ROOM, access};
use crate::connection::{
    REQUESTS_MAX,
    logic::{Effect, Live},
};
use madang_protocol::{
    Ephemeral, ErrorCode, Operation, Refusal, Request,
    frame::NodeFrame,
    operation::{Signal, Typing},
};
use madang_store::rooms::Access;

fn signal() -> Signal {
    Signal { room: ROOM, data: "d".into() }
}

fn told() -> Effect {
    Effect::Tell(ROOM, Ephemeral::Signal { sender: ANN.user, data: "d".into() })
}

fn ok() -> Effect {
    Effect::Push(NodeFrame::RoomOk { id: 7, room: ROOM })
}

#[test]
fn whoever_receives_the_room_needs_no_read() {
    let mut connection = Connection::live();
    let effects = connection.frame(7, Operation::Signal(signal()));
    assert_eq!(effects, [Effect::Live(Some(7), Live::Signal(signal()))]);
    let live = |live| move |logic: &mut super::Logic, out: &mut _| logic.live(Some(7), live, out);
    assert_eq!(connection.does(live(Live::Signal(signal()))), [told(), ok()]);
    let typing = Typing { room: ROOM, on: true };
    let types = Effect::Tell(ROOM, Ephemeral::Typing { user: ANN.user, on: true });
    assert_eq!(connection.does(live(Live::Typing(typing))), [types, ok()]);
    let unasked = connection.does(|logic, out| logic.live(None, Live::Signal(signal()), out));
    assert_eq!(unasked, [told()], "without an id there is no answer");
}

#[test]
fn others_are_looked_up() {
    let mut connection = Connection::live();
    let asked = connection.does(|logic, out| logic.ask_live(Some(7), Live::Signal(signal()), out));
    assert_eq!(asked, [Effect::AskLive(Some(7), Live::Signal(signal()))]);
    let mut answered = |access| {
        connection.does(|logic, out| logic.ask_live(Some(7), Live::Signal(signal()), out));
        connection.does(|logic, out| {
            logic.live_access(Some(7), Live::Signal(signal()), access, out);
        })
    };
    assert_eq!(answered(Ok(Some(access(3)))), [told(), ok()]);
    let stranger = Access { role: None, ..access(3) };
    for (access, code) in [
        (Ok(None), ErrorCode::NotFound),
        (Ok(Some(Access { private: true, ..stranger })), ErrorCode::NotFound),
        (Ok(Some(Access { private: false, ..stranger })), ErrorCode::Forbidden),
        (Err(Refusal::unavailable("late")), ErrorCode::Unavailable),
    ] {
        let effects = answered(access);
        let [Effect::Push(NodeFrame::Error { id: Some(7), code: found, .. })] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*found, code);
    }
}

#[test]
fn looking_up_is_bounded() {
    let mut connection = Connection::live();
    for _ in 0..REQUESTS_MAX {
        assert!(connection.logic.wants_input());
        connection.decoded(Ok(Request { id: None, operation: Operation::Signal(signal()) }));
        connection.does(|logic, out| logic.ask_live(None, Live::Signal(signal()), out));
    }
    assert!(!connection.logic.wants_input());
}
