//! Requests, frames that are nearly requests, and bytes that are nearly frames.

use super::pack::{Entries, json, pack};
use madang_protocol::{
    ClientId, Emoji, Operation, Request, RoomId,
    limits::{NUMBER_END, PAGE_MAX},
    operation::{
        Edit, Hello, History, Range, React, Send, Signal, Subscription, Target, Typing, Wish,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

/// Fields that operations read.
const FIELDS: [&str; 18] = [
    "id",
    "room",
    "token",
    "subscribe",
    "after_seq",
    "after_rev",
    "client_id",
    "body",
    "reply_to",
    "attachments",
    "seq",
    "if_rev",
    "emoji",
    "on",
    "data",
    "before",
    "after",
    "limit",
];
const ROOM: &str = "AAAAAAAAAAAAAAAAAAAA";

/// Which of the possible forms each header of a packed frame takes, over and over.
pub(super) fn forms() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..20)
}

pub(super) fn request() -> impl Strategy<Value = Request> {
    (option::of(0..NUMBER_END), operation()).prop_map(|(id, operation)| Request { id, operation })
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        (any::<String>(), wish()).prop_map(|(token, subscribe)| {
            Operation::Hello(Hello { token: token.into(), subscribe })
        }),
        subscription().prop_map(Operation::Subscribe),
        room().prop_map(Operation::Unsubscribe),
        (room(), ".{1,16}", any::<String>(), number()).prop_map(|(room, name, body, reply_to)| {
            let client_id = ClientId::new(&name).expect("1 to 64 bytes");
            Operation::Send(Send { room, client_id, body: body.into(), reply_to })
        }),
        (target(), any::<String>(), number()).prop_map(|(target, body, if_rev)| {
            Operation::Edit(Edit { target, body: body.into(), if_rev })
        }),
        target().prop_map(Operation::Delete),
        (target(), "\\PC{1,8}", any::<bool>()).prop_map(|(target, emoji, on)| {
            let emoji = Emoji::new(&emoji).expect("1 to 32 bytes, printable");
            Operation::React(React { target, emoji, on })
        }),
        target().prop_map(Operation::Read),
        (room(), any::<bool>()).prop_map(|(room, on)| Operation::Typing(Typing { room, on })),
        (room(), ".{0,99}")
            .prop_map(|(room, data)| { Operation::Signal(Signal { room, data: data.into() }) }),
        room().prop_map(Operation::Presence),
        (room(), range(), 1..=PAGE_MAX).prop_map(|(room, range, limit)| {
            Operation::History(History { room, range, limit })
        }),
        Just(Operation::Ping),
    ]
}

fn room() -> impl Strategy<Value = RoomId> {
    any::<[u8; 15]>().prop_map(RoomId)
}

fn subscription() -> impl Strategy<Value = Subscription> {
    (room(), number(), number()).prop_map(|(room, after_seq, after_rev)| Subscription {
        room,
        after_seq,
        after_rev: after_seq.and(after_rev),
    })
}

fn target() -> impl Strategy<Value = Target> {
    (room(), 0..NUMBER_END).prop_map(|(room, seq)| Target { room, seq })
}

fn number() -> impl Strategy<Value = Option<u64>> {
    option::of(0..NUMBER_END)
}

fn wish() -> impl Strategy<Value = Wish> {
    let named = prop_oneof![
        3 => subscription().prop_map(Ok),
        1 => ".{0,19}".prop_map(|text| Err(text.into())),
    ];
    prop_oneof![Just(Wish::All), vec(named, 0..5).prop_map(Wish::Rooms)]
}

fn range() -> impl Strategy<Value = Range> {
    let number = || 0..NUMBER_END;
    prop_oneof![
        Just(Range::Newest),
        number().prop_map(Range::Before),
        number().prop_map(Range::After)
    ]
}

/// A request as a client writes it; `nulls` stand for what is absent, or nothing does.
pub(super) fn written(request: &Request, nulls: bool) -> Entries {
    let mut fields = match &request.operation {
        Operation::Hello(hello) => {
            json!({"token": hello.token, "subscribe": written_wish(&hello.subscribe)})
        }
        Operation::Subscribe(subscription) => written_subscription(subscription),
        Operation::Unsubscribe(room) | Operation::Presence(room) => json!({"room": room}),
        Operation::Send(Send { room, client_id, body, reply_to }) => {
            json!({"room": room, "client_id": client_id, "body": body, "reply_to": reply_to})
        }
        Operation::Edit(Edit { target: Target { room, seq }, body, if_rev }) => {
            json!({"room": room, "seq": seq, "body": body, "if_rev": if_rev})
        }
        Operation::Delete(Target { room, seq }) | Operation::Read(Target { room, seq }) => {
            json!({"room": room, "seq": seq})
        }
        Operation::React(React { target: Target { room, seq }, emoji, on }) => {
            json!({"room": room, "seq": seq, "emoji": emoji, "on": on})
        }
        Operation::Typing(Typing { room, on }) => json!({"room": room, "on": on}),
        Operation::Signal(Signal { room, data }) => json!({"room": room, "data": data}),
        Operation::History(History { room, range, limit }) => {
            let (before, after) = match *range {
                Range::Newest => (None, None),
                Range::Before(seq) => (Some(seq), None),
                Range::After(seq) => (None, Some(seq)),
            };
            json!({"room": room, "before": before, "after": after, "limit": limit})
        }
        Operation::Ping => json!({}),
    };
    fields["op"] = json!(request.operation.name());
    fields["id"] = json!(request.id);
    let Value::Object(map) = fields else { unreachable!("made as a map") };
    map.into_iter().filter(|(_, value)| nulls || !value.is_null()).collect()
}

fn written_subscription(subscription: &Subscription) -> Value {
    let Subscription { room, after_seq, after_rev } = subscription;
    json!({"room": room, "after_seq": after_seq, "after_rev": after_rev})
}

fn written_wish(wish: &Wish) -> Value {
    match wish {
        Wish::All => json!("all"),
        Wish::Rooms(rooms) => rooms
            .iter()
            .map(|wished| match wished {
                Ok(subscription) => written_subscription(subscription),
                Err(text) => json!({"room": text}),
            })
            .collect(),
    }
}

/// The fields of a frame, some of them good, some twice, some of no operation.
pub(super) fn entries() -> impl Strategy<Value = Entries> {
    let op = prop_oneof![
        8 => select(&Operation::NAMES[..]).prop_map(Value::from),
        1 => Just(json!("dance")),
        1 => value(),
    ];
    let name = prop_oneof![
        12 => select(&FIELDS[..]).prop_map(str::to_owned),
        1 => Just("op".to_owned()),
        1 => any::<String>(),
    ];
    let field = (name, prop_oneof![2 => good_value(), 1 => value()]);
    let op = op.prop_map(|op| ("op".to_owned(), op));
    (option::weighted(0.95, op), vec(field, 0..6)).prop_map(|(op, mut entries)| {
        let middle = entries.len() / 2;
        op.into_iter().for_each(|op| entries.insert(middle, op));
        entries
    })
}

/// A value that is right for some field.
fn good_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(ROOM)),
        Just(json!("all")),
        Just(Value::Null),
        (0..10_u64).prop_map(Value::from),
        ".{0,70}".prop_map(Value::from),
        vec((good_room(), option::of(0..10_u64)), 0..4).prop_map(|rooms| {
            rooms.into_iter().map(|(room, seq)| json!({"room": room, "after_seq": seq})).collect()
        }),
    ]
}

fn good_room() -> impl Strategy<Value = Value> {
    prop_oneof![4 => Just(json!(ROOM)), 1 => value()]
}

/// Any value at all; numbers with a fraction are not integers by accident.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<i16>().prop_map(|number| json!(f64::from(number) + 0.5)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec((any::<String>(), inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Noise, noise that begins like a map, and frames with some bytes changed.
pub(super) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = || vec(any::<u8>(), 0..200);
    let headed = (0x80_u8..0x84, noise())
        .prop_map(|(head, noise)| [&[head, 0xa1, b'x'][..], &noise].concat());
    let frame = (entries(), forms(), any::<bool>()).prop_map(|(entries, forms, packed)| {
        if packed { pack(&entries, &forms) } else { json(&entries) }
    });
    let changes = vec((any::<proptest::sample::Index>(), 0..4, any::<u8>()), 0..4);
    let changed = (frame, changes).prop_map(|(mut bytes, changes)| {
        for (index, kind, byte) in changes {
            let index = index.index(bytes.len().max(1)).min(bytes.len());
            match kind {
                0 => bytes.truncate(index),
                1 => bytes.insert(index, byte),
                _ if index < bytes.len() => bytes[index] = byte,
                _ => {}
            }
        }
        bytes
    });
    prop_oneof![1 => noise(), 1 => headed, 4 => changed]
}
