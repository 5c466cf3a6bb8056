//! The connection's decisions, by input and exact effects.

mod live;

use super::{
    Attached, ConnectionLimits, REQUESTS_MAX,
    logic::{Asked, Effect, Logic, Wished},
    replay::Step,
};
use crate::{hub::Identity, route::Receipt};
use madang_protocol::{
    ClientId, CloseCode, ErrorCode, Heads, MemberChange, Message, Operation, Place, Refusal,
    Request, Role, RoomId, RoomKind, SessionId, UserId,
    codec::DecodeError,
    frame::{HelloOk, HelloRoom, NodeFrame, SubscribedRoom},
    object::MessageObject,
    operation::{Hello, History, Range, Send, Subscription, Wish},
};
use madang_store::rooms::Access;
use std::sync::Arc;

const ROOM: RoomId = RoomId([9; 15]);
const OTHER: RoomId = RoomId([8; 15]);
const ANN: Identity = Identity { user: UserId([1; 15]), session: SessionId([2; 15]) };
const NOW: u64 = 77;

fn limits() -> ConnectionLimits {
    ConnectionLimits {
        frames_per_second: 50,
        frames_burst: 200,
        in_flight_sends: 2,
        body_bytes_max: 10,
        subscriptions_max: 2,
        replay_limit: 1_000,
        page_bytes_max: 262_144,
        presence_members_max: 3,
        heartbeat_ms: 25_000,
        frame_bytes_max: 131_072,
    }
}

/// A connection under test.
struct Connection {
    logic: Logic,
    limits: ConnectionLimits,
}

impl Connection {
    fn fresh() -> Self {
        let limits = limits();
        Self { logic: Logic::new(&limits), limits }
    }

    /// Past `hello`, without rooms.
    fn live() -> Self {
        let mut connection = Self::fresh();
        connection.frame(1, hello());
        connection.authenticated(Ok(Some(ANN)));
        connection.entered(Ok(vec![]));
        connection
    }

    /// Past `hello`; everything from now on goes through `subscribe` up to `Step::Attach`.
    fn attaching(after_seq: Option<u64>, last_seq: u64) -> Self {
        let mut connection = Self::live();
        connection.frame(2, subscribe(after_seq));
        connection.access(after_seq, Ok(Some(access(last_seq))));
        connection.does(|logic, out| logic.go(out));
        connection
    }

    fn does(&mut self, act: impl FnOnce(&mut Logic, &mut Vec<Effect>)) -> Vec<Effect> {
        let mut effects = Vec::new();
        act(&mut self.logic, &mut effects);
        effects
    }

    fn decoded(&mut self, decoded: Result<Request, DecodeError>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.logic.frame(decoded, 0, NOW, &self.limits, &mut effects);
        effects
    }

    fn frame(&mut self, id: u64, operation: Operation) -> Vec<Effect> {
        self.decoded(Ok(Request { id: Some(id), operation }))
    }

    fn authenticated(&mut self, found: Result<Option<Identity>, Refusal>) -> Vec<Effect> {
        self.does(|logic, out| logic.authenticated(Some(1), Wish::All, found, out))
    }

    fn entered(&mut self, rooms: Result<Vec<Wished>, Refusal>) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.logic.entered(Some(1), rooms, "node", NOW, &self.limits, &mut effects);
        effects
    }

    fn joined(&mut self, room: RoomId) -> Vec<Effect> {
        let (heads, mut effects) = (access(6).heads, Vec::new());
        self.logic.joined(room, heads, Role::Member, &self.limits, &mut effects);
        effects
    }

    fn access(
        &mut self,
        after_seq: Option<u64>,
        access: Result<Option<Access>, Refusal>,
    ) -> Vec<Effect> {
        let subscription = Subscription { room: ROOM, after_seq, after_rev: None };
        let mut effects = Vec::new();
        self.logic.access(Some(2), subscription, access, &self.limits, &mut effects);
        effects
    }
}

fn hello() -> Operation {
    Operation::Hello(Hello { token: "t".into(), subscribe: Wish::All })
}

fn subscribe(after_seq: Option<u64>) -> Operation {
    Operation::Subscribe(Subscription { room: ROOM, after_seq, after_rev: None })
}

fn send(name: &str, body: &str) -> Operation {
    Operation::Send(Send {
        room: ROOM,
        client_id: ClientId::new(name).unwrap(),
        body: body.into(),
        reply_to: None,
    })
}

fn access(last_seq: u64) -> Access {
    Access {
        kind: RoomKind::Group,
        private: true,
        role: Some(Role::Member),
        heads: Heads { last_seq, last_rev: 0, member_rev: 4 },
        read_seq: 3,
        was_removed: false,
    }
}

fn subscribed(last_seq: u64, replay_from: Option<u64>) -> SubscribedRoom {
    SubscribedRoom {
        room: ROOM,
        last_seq,
        last_rev: 0,
        read_seq: 3,
        truncated: replay_from.map(|_| true),
        replay_from,
        truncated_changes: None,
    }
}

fn message(seq: u64) -> Arc<Message> {
    Arc::new(Message {
        room: ROOM,
        seq,
        ts: 0,
        sender: ANN.user,
        client_id: ClientId::new("c").unwrap(),
        body: "b".into(),
        reply_to: None,
        amended: None,
    })
}

/// Has everything up to `seq`.
fn at(seq: u64) -> Place {
    Place { seq, rev: 0 }
}

fn attach(after: u64) -> Effect {
    Effect::Replay(Step::Attach { room: ROOM, after: at(after), member_rev: 4 })
}

fn codes(effects: &[Effect]) -> Vec<ErrorCode> {
    let code = |effect: &Effect| match effect {
        Effect::Push(NodeFrame::Error { code, .. }) => Some(*code),
        _ => None,
    };
    effects.iter().filter_map(code).collect()
}

const WHEN_LOW: Effect = Effect::Replay(Step::WhenLow);
const HEAR: Effect = Effect::Replay(Step::Hear { room: ROOM, member_rev: 4 });

#[test]
fn hello_comes_first() {
    let mut connection = Connection::fresh();
    let effects = connection.frame(7, Operation::Ping);
    assert_eq!(codes(&effects), [ErrorCode::Unauthenticated]);
    assert_eq!(effects[1], Effect::Close(CloseCode::Unauthenticated));
    assert_eq!(connection.frame(8, hello()), [], "nothing is looked at any more");
}

#[test]
fn hello_is_answered_with_what_is_received() {
    let mut connection = Connection::fresh();
    let hello_frame = Hello { token: "t".into(), subscribe: Wish::All };
    assert_eq!(connection.frame(1, hello()), [Effect::Authenticate(Some(1), hello_frame)]);
    assert!(!connection.logic.wants_input(), "others may follow at once, and wait");
    let wish = |room, after_seq| Subscription { room, after_seq, after_rev: None };
    let rooms = vec![
        Ok((wish(ROOM, None), Some(access(9)))),
        Ok((wish(OTHER, None), None)),
        Err("?".into()),
    ];
    let effects = connection.authenticated(Ok(Some(ANN)));
    let ask = Effect::AskRooms(Some(1), ANN.user, Wish::All);
    assert_eq!(effects, [Effect::Identify(ANN, true), ask]);
    assert!(!connection.logic.wants_input());
    let effects = connection.entered(Ok(rooms));
    let failed = |room: String| HelloRoom::Failed { room, error: ErrorCode::NotFound };
    let rooms = vec![
        HelloRoom::Subscribed(subscribed(9, None)),
        failed(OTHER.to_string()),
        failed("?".to_owned()),
    ];
    let answer = HelloOk {
        id: 1,
        user: ANN.user,
        session: ANN.session,
        node: "node".to_owned(),
        server_time: NOW,
        heartbeat_ms: 25_000,
        max_frame_bytes: 131_072,
        rooms,
    };
    assert_eq!(effects, [Effect::Push(NodeFrame::HelloOk(answer)), WHEN_LOW, HEAR]);
    assert_eq!(connection.does(|logic, out| logic.go(out)), [attach(9)]);
}

#[test]
fn an_unknown_token_closes_and_a_store_in_trouble_does_not() {
    let mut connection = Connection::fresh();
    connection.frame(1, hello());
    let effects = connection.authenticated(Ok(None));
    assert_eq!(codes(&effects), [ErrorCode::Unauthenticated]);
    assert_eq!(effects[1], Effect::Close(CloseCode::Unauthenticated));

    let mut connection = Connection::fresh();
    connection.frame(1, hello());
    let effects = connection.authenticated(Err(Refusal::unavailable("x")));
    assert_eq!(codes(&effects[1..]), [ErrorCode::Unavailable]);
    assert_eq!(effects[0], Effect::AwaitHello);
    assert_eq!(effects.len(), 2);
    assert!(matches!(connection.frame(2, hello())[..], [Effect::Authenticate(Some(2), _)]));
}

#[test]
fn a_room_that_is_joined_is_received_and_its_first_frame_says_so() {
    let first_frame = || {
        Effect::Push(NodeFrame::Member {
            room: ROOM,
            user: ANN.user,
            change: MemberChange::Joined,
            role: Some(Role::Member),
            last_seq: Some(6),
            last_rev: Some(0),
        })
    };
    let mut connection = Connection::live();
    assert_eq!(connection.joined(ROOM), [first_frame(), WHEN_LOW, HEAR]);
    assert_eq!(connection.joined(ROOM), [], "received already");
    assert_eq!(connection.does(|logic, out| logic.go(out)), [attach(6)]);

    let mut connection = Connection::fresh();
    connection.frame(1, hello());
    connection.authenticated(Ok(Some(ANN)));
    assert_eq!(connection.joined(ROOM), [], "hello is answered first");
    assert_eq!(connection.entered(Ok(vec![]))[1..], [first_frame(), WHEN_LOW, HEAR]);
}

#[test]
fn hello_is_said_once() {
    let mut connection = Connection::live();
    assert_eq!(codes(&connection.frame(2, hello())), [ErrorCode::Conflict]);
}

#[test]
fn what_cannot_be_decoded_closes_and_what_is_wrong_is_answered() {
    let mut connection = Connection::live();
    let refused = DecodeError::Refused { id: Some(5), refusal: Refusal::invalid("op", "missing") };
    assert_eq!(codes(&connection.decoded(Err(refused))), [ErrorCode::Invalid]);
    let effects = connection.decoded(Err(DecodeError::Undecodable));
    assert_eq!(effects, [Effect::Close(CloseCode::Undecodable)]);
}

#[test]
fn a_request_without_id_is_answered_only_when_it_fails() {
    let mut connection = Connection::live();
    let without_id = |operation| Ok(Request { id: None, operation });
    assert_eq!(connection.decoded(without_id(Operation::Ping)), []);
    assert_eq!(connection.decoded(without_id(send("a", "b"))).len(), 1);
    let receipt = Receipt { room: ROOM, seq: 1, ts: 2, rev: 0, duplicate: false };
    assert_eq!(connection.does(|logic, out| logic.sent(None, Asked::Send, Ok(receipt), out)), []);
    let refused = connection.decoded(without_id(hello()));
    assert_eq!(codes(&refused), [ErrorCode::Conflict]);
}

#[test]
fn sends_are_bounded_and_checked() {
    let mut connection = Connection::live();
    assert_eq!(codes(&connection.frame(1, send("a", ""))), [ErrorCode::Invalid]);
    assert_eq!(codes(&connection.frame(1, send("a", "12345678901"))), [ErrorCode::TooLarge]);
    for id in [1, 2] {
        let effects = connection.frame(id, send("a", "1234567890"));
        assert!(matches!(effects[..], [Effect::Submit(Some(_), ROOM, _)]), "{effects:?}");
    }
    assert_eq!(codes(&connection.frame(3, send("c", "x"))), [ErrorCode::Overloaded]);
    let receipt = Receipt { room: ROOM, seq: 1, ts: 2, rev: 0, duplicate: true };
    let ok = NodeFrame::SendOk { id: 1, room: ROOM, seq: 1, ts: 2, duplicate: true };
    let answered = connection.does(|logic, out| logic.sent(Some(1), Asked::Send, Ok(receipt), out));
    assert_eq!(answered, [Effect::Push(ok)]);
    assert!(matches!(connection.frame(4, send("c", "x"))[..], [Effect::Submit(Some(4), ROOM, _)]));
}

#[test]
fn too_many_frames_are_refused_with_a_delay() {
    let mut connection = Connection::live();
    let mut refused = Vec::new();
    for id in 0..200 {
        refused.extend(codes(&connection.frame(id, Operation::Ping)));
    }
    assert_eq!(refused, [ErrorCode::RateLimited], "hello took one of the burst");
    let mut last = Vec::new();
    for id in 0..1_000 {
        last = connection.frame(id, Operation::Ping);
        if !matches!(last[..], [Effect::Push(_)]) {
            break;
        }
    }
    assert_eq!(last, [Effect::Close(CloseCode::TooManyFrames)]);
}

#[test]
fn reading_pauses_while_too_many_requests_are_unanswered() {
    let mut connection = Connection::live();
    let history = History { room: ROOM, range: Range::Newest, limit: 1 };
    for id in 0..REQUESTS_MAX as u64 {
        assert!(connection.logic.wants_input());
        let effects = connection.frame(id, Operation::History(history));
        assert_eq!(effects, [WHEN_LOW]);
    }
    assert!(!connection.logic.wants_input());
    for id in 0..2 {
        let read = connection.does(|logic, out| logic.go(out));
        assert_eq!(read, [Effect::ReadHistory(Some(id), history)]);
        assert_eq!(connection.does(|logic, out| logic.go(out)), [], "one at a time");
        let answered = connection.does(|logic, out| logic.history(Some(id), Ok((vec![], 0)), out));
        assert_eq!(answered[0], WHEN_LOW);
        assert!(connection.logic.wants_input());
    }
}

#[test]
fn who_may_not_read_may_not_subscribe() {
    let outsider = |private| Access { role: None, private, ..access(5) };
    for (found, code) in [
        (None, ErrorCode::NotFound),
        (Some(outsider(true)), ErrorCode::NotFound),
        (Some(outsider(false)), ErrorCode::Forbidden),
    ] {
        let mut connection = Connection::live();
        connection.frame(2, subscribe(None));
        assert_eq!(codes(&connection.access(None, Ok(found))), [code]);
    }
}

#[test]
fn a_subscription_begins_at_the_present_or_where_the_client_was() {
    for (after_seq, begins) in [(None, 9), (Some(9), 9), (Some(4), 4), (Some(0), 0)] {
        let mut connection = Connection::live();
        connection.frame(2, subscribe(after_seq));
        let effects = connection.access(after_seq, Ok(Some(access(9))));
        let answer = NodeFrame::SubscribeOk { id: 2, room: subscribed(9, None) };
        assert_eq!(effects, [Effect::Push(answer), WHEN_LOW, HEAR]);
        assert_eq!(connection.does(|logic, out| logic.go(out)), [attach(begins)]);
    }
}

#[test]
fn a_seq_from_the_future_is_invalid() {
    let mut connection = Connection::live();
    connection.frame(2, subscribe(Some(10)));
    let effects = connection.access(Some(10), Ok(Some(access(9))));
    assert_eq!(codes(&effects), [ErrorCode::Invalid]);
    assert_eq!(connection.does(|logic, out| logic.go(out)), []);
}

#[test]
fn more_than_is_replayed_is_said() {
    let mut connection = Connection::live();
    connection.frame(2, subscribe(Some(3)));
    let effects = connection.access(Some(3), Ok(Some(access(1_004))));
    let answer = NodeFrame::SubscribeOk { id: 2, room: subscribed(1_004, Some(5)) };
    assert_eq!(effects[0], Effect::Push(answer));
    assert_eq!(connection.does(|logic, out| logic.go(out)), [attach(4)]);
}

#[test]
fn subscribing_again_changes_nothing_or_starts_there() {
    let mut connection = Connection::attaching(None, 9);
    connection.does(|logic, out| logic.attached(Some(Attached::Live), out));
    connection.frame(2, subscribe(None));
    let answer = || Effect::Push(NodeFrame::SubscribeOk { id: 2, room: subscribed(9, None) });
    assert_eq!(connection.access(None, Ok(Some(access(9)))), [answer()]);
    connection.frame(2, subscribe(Some(5)));
    let effects = connection.access(Some(5), Ok(Some(access(9))));
    assert_eq!(effects, [answer(), WHEN_LOW, HEAR]);
}

#[test]
fn subscriptions_are_bounded() {
    let mut connection = Connection::live();
    let mut last = Vec::new();
    for room in 1..=3 {
        connection.frame(2, subscribe(None));
        let subscription =
            Subscription { room: RoomId([room; 15]), after_seq: None, after_rev: None };
        let limits = limits();
        last = connection.does(|logic, out| {
            logic.access(Some(2), subscription, Ok(Some(access(0))), &limits, out);
        });
    }
    assert_eq!(codes(&last), [ErrorCode::Full]);
}

#[test]
fn a_replayed_page_is_followed_by_the_next() {
    let mut connection = Connection::attaching(Some(1), 300);
    connection.does(|logic, out| logic.attached(Some(Attached::Behind(at(500))), out));
    let effects = connection.does(|logic, out| logic.go(out));
    assert_eq!(effects, [Effect::Replay(Step::ReadPage { room: ROOM, after: 1 })]);
    let object = |seq| MessageObject::seen_by(&message(seq), Some(ANN.user));
    let page = (vec![object(2), object(3)], 300);
    let effects = connection.does(|logic, out| logic.page(Some(page), out));
    let push = |seq| Effect::Push(NodeFrame::Message(object(seq)));
    assert_eq!(effects, [push(2), push(3), WHEN_LOW]);
    let effects = connection.does(|logic, out| logic.go(out));
    assert_eq!(effects, [Effect::Replay(Step::ReadPage { room: ROOM, after: 3 })]);
}

#[test]
fn a_membership_that_ended_unnoticed_ends_with_a_word() {
    let mut connection = Connection::attaching(None, 9);
    connection.does(|logic, out| logic.attached(Some(Attached::Live), out));
    let unclear = Err(Refusal::unavailable("x"));
    let effects = connection.does(|logic, out| logic.rechecked(ROOM, unclear, out));
    assert_eq!(effects, [Effect::Replay(Step::RecheckLater(ROOM))]);
    let gone = Ok(Some(Access { role: None, ..access(9) }));
    let effects = connection.does(|logic, out| logic.rechecked(ROOM, gone, out));
    let left = NodeFrame::Member {
        room: ROOM,
        user: ANN.user,
        change: MemberChange::Left,
        role: None,
        last_seq: None,
        last_rev: None,
    };
    let detach = Effect::Replay(Step::Detach(ROOM));
    assert_eq!(effects, [Effect::Push(left), Effect::AskReturn(ROOM), detach]);
    let again = connection.does(|logic, out| logic.rechecked(ROOM, Ok(None), out));
    assert_eq!(again, [], "told once");
}

/// Removed and added again: the word of the second may overtake that of the first.
#[test]
fn a_new_membership_is_noticed_when_the_old_one_has_ended() {
    let mut connection = Connection::attaching(None, 9);
    connection.does(|logic, out| logic.attached(Some(Attached::Live), out));
    let limits = limits();
    let joined = |logic: &mut Logic, out: &mut Vec<Effect>| {
        logic.joined(ROOM, access(9).heads, Role::Member, &limits, out);
    };
    assert_eq!(connection.does(joined), [], "still received, as far as we know");
    let effects = connection.does(|logic, out| logic.detached(ROOM, out));
    assert_eq!(effects, [Effect::AskReturn(ROOM)]);
    let gone = Some(Access { role: None, ..access(9) });
    assert_eq!(connection.does(|logic, out| logic.returned(ROOM, gone, &limits, out)), []);
    let again = connection.does(|logic, out| logic.returned(ROOM, Some(access(9)), &limits, out));
    let is_first = |frame: &NodeFrame| matches!(frame, NodeFrame::Member { last_seq: Some(9), .. });
    assert!(
        matches!(&again[..], [Effect::Push(frame), WHEN_LOW, HEAR] if is_first(frame)),
        "{again:?}"
    );
}

#[test]
fn unsubscribing_is_answered_whether_or_not_subscribed() {
    let mut connection = Connection::live();
    let answer = NodeFrame::UnsubscribeOk { id: 3, room: ROOM };
    let effects = connection.frame(3, Operation::Unsubscribe(ROOM));
    assert_eq!(effects, [Effect::Push(answer)]);
}
