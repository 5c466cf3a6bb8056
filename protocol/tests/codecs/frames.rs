//! What the node says is the same in both codecs.

use madang_protocol::{
    ClientId, Emoji, ErrorCode, MemberChange, Refusal, Role, RoomId, SessionId, UserId,
    codec::{json, msgpack},
    frame::{HelloOk, HelloRoom, NodeFrame, ReadObject, SubscribedRoom},
    limits::NUMBER_END,
    object::MessageObject,
};
use rmpv::Value as Packed;
use serde_json::Value;

const ROOM: RoomId = RoomId([0xfe; 15]);
const USER: UserId = UserId([1; 15]);

fn message(body: &str, client_id: Option<&str>) -> MessageObject {
    MessageObject {
        room: ROOM,
        seq: NUMBER_END - 1,
        ts: NUMBER_END - 1,
        sender: USER,
        body: body.into(),
        reply_to: client_id.map(|_| NUMBER_END - 1),
        rev: None,
        edited_at: None,
        deleted: false,
        reactions: Vec::new(),
        my_reactions: Vec::new(),
        client_id: client_id.and_then(ClientId::new),
    }
}

/// With everything that a message can have, each at its longest.
fn amended() -> MessageObject {
    let emojis: Vec<Emoji> = (0..20)
        .map(|kind| Emoji::new(&format!("{kind:02}{}", "\"".repeat(30))).expect("32 bytes"))
        .collect();
    MessageObject {
        rev: Some(NUMBER_END - 1),
        edited_at: Some(NUMBER_END - 1),
        deleted: true,
        reactions: emojis.iter().map(|emoji| (emoji.clone(), NUMBER_END - 1)).collect(),
        my_reactions: emojis,
        ..message("", Some("c"))
    }
}

fn frames() -> Vec<NodeFrame> {
    let subscribed = |truncated| SubscribedRoom {
        room: ROOM,
        last_seq: 70_000,
        last_rev: 0,
        read_seq: 127,
        truncated,
        replay_from: truncated.map(|_| 128),
        truncated_changes: truncated,
    };
    let rooms = vec![
        HelloRoom::Subscribed(subscribed(Some(true))),
        HelloRoom::Subscribed(subscribed(None)),
        HelloRoom::Failed { room: "x".to_owned(), error: ErrorCode::NotFound },
    ];
    vec![
        NodeFrame::HelloOk(HelloOk {
            id: 1,
            user: USER,
            session: SessionId([2; 15]),
            node: "node".to_owned(),
            server_time: 1 << 40,
            heartbeat_ms: 25_000,
            max_frame_bytes: 131_072,
            rooms,
        }),
        NodeFrame::SubscribeOk { id: 2, room: subscribed(Some(true)) },
        NodeFrame::UnsubscribeOk { id: 3, room: ROOM },
        NodeFrame::SendOk { id: 4, room: ROOM, seq: 1, ts: 2, duplicate: true },
        NodeFrame::ChangeOk { id: 5, room: ROOM, seq: 1, rev: 2 },
        NodeFrame::ReactOk { id: 6, room: ROOM, seq: 1 },
        NodeFrame::ReadOk { id: 7, room: ROOM, read_seq: 1 },
        NodeFrame::RoomOk { id: 8, room: ROOM },
        NodeFrame::PresenceOk { id: 9, online: vec![USER], truncated: None },
        NodeFrame::PresenceOk { id: 9, online: Vec::new(), truncated: Some(true) },
        NodeFrame::Changed(amended()),
        NodeFrame::Message(amended()),
        NodeFrame::Read { room: ROOM, reads: vec![ReadObject { user: USER, seq: 9 }] },
        NodeFrame::Typing { room: ROOM, users: vec![USER] },
        NodeFrame::Signal { room: ROOM, sender: USER, data: "d".into() },
        NodeFrame::Presence { room: ROOM, online: vec![USER], offline: Vec::new() },
        NodeFrame::Room { room: ROOM, name: "마당".into() },
        NodeFrame::HistoryOk {
            id: 5,
            messages: vec![message("a", None), message("", Some("c"))],
            last_seq: 0,
        },
        NodeFrame::PingOk { id: 6, server_time: 0 },
        NodeFrame::refusal(None, Refusal::new(ErrorCode::Forbidden, "no")),
        NodeFrame::refusal(Some(NUMBER_END - 1), Refusal::overloaded("later")),
        NodeFrame::Message(message("마당", None)),
        NodeFrame::Message(message(&"\u{1}\"\\".repeat(70_000), Some(&"\u{1}".repeat(64)))),
        NodeFrame::Member {
            room: ROOM,
            user: USER,
            change: MemberChange::Joined,
            role: Some(Role::Member),
            last_seq: Some(3),
            last_rev: Some(0),
        },
        NodeFrame::Member {
            room: ROOM,
            user: USER,
            change: MemberChange::Left,
            role: None,
            last_seq: None,
            last_rev: None,
        },
        NodeFrame::Goaway { reason: "the node restarts", reconnect_after_ms: 9_999 },
    ]
}

/// Read by a library that shares nothing with the codec, and as JSON has it. Nothing but maps with
/// text keys, lists, texts, integers and booleans: absent fields are not there.
fn plain(value: Packed) -> Value {
    match value {
        Packed::Boolean(value) => value.into(),
        Packed::Integer(number) => number.as_u64().expect("no negative numbers").into(),
        Packed::String(text) => text.into_str().expect("UTF-8").into(),
        Packed::Array(items) => items.into_iter().map(plain).collect(),
        Packed::Map(entries) => {
            let entry = |(key, value): (Packed, Packed)| {
                (key.as_str().expect("text keys").to_owned(), plain(value))
            };
            Value::Object(entries.into_iter().map(entry).collect())
        }
        other => panic!("{other} is nothing a client expects"),
    }
}

#[test]
fn every_frame_says_the_same_in_both_codecs() {
    for frame in frames() {
        let (mut text, mut packed) = (Vec::new(), Vec::new());
        json::encode(&frame, &mut text);
        msgpack::encode(&frame, &mut packed);
        let mut rest = &packed[..];
        let value = plain(rmpv::decode::read_value(&mut rest).expect("MessagePack"));
        assert_eq!(value, serde_json::from_slice::<Value>(&text).expect("JSON"));
        assert!(rest.is_empty(), "nothing follows");
        assert_eq!(frame.name(), value["op"]);
    }
}

#[test]
fn a_message_never_outgrows_its_bound() {
    for frame in frames() {
        if let NodeFrame::Message(message) = &frame {
            for encode in [json::encode, msgpack::encode] {
                let mut bytes = Vec::new();
                encode(&frame, &mut bytes);
                assert!(bytes.len() <= message.encoded_bytes_max());
            }
        }
    }
}
