//! Frames as clients send them, to begin from.

use serde_json::{Value, json};

const ROOM: &str = "AAAAAAAAAAAAAAAAAAAA";

/// One of each operation.
fn operations() -> Vec<Value> {
    let rooms = json!([{"room": ROOM, "after_seq": 5, "after_rev": 2}, {"room": ROOM}]);
    vec![
        json!({"op": "hello", "id": 1, "token": "mdg_abc", "subscribe": rooms}),
        json!({"op": "hello", "id": 1, "token": "mdg_abc", "subscribe": "all"}),
        json!({"op": "subscribe", "id": 2, "room": ROOM, "after_seq": 9_007_199_254_740_991_u64}),
        json!({"op": "unsubscribe", "id": 3, "room": ROOM}),
        json!({"op": "send", "id": 4, "room": ROOM, "client_id": "a-1", "body": "h\u{e9}llo \u{1f600}\n", "reply_to": 7}),
        json!({"op": "edit", "id": 5, "room": ROOM, "seq": 7, "body": "better"}),
        json!({"op": "delete", "id": 6, "room": ROOM, "seq": 7}),
        json!({"op": "react", "id": 7, "room": ROOM, "seq": 7, "emoji": "\u{1f44d}", "on": true}),
        json!({"op": "read", "id": 8, "room": ROOM, "seq": 7}),
        json!({"op": "typing", "room": ROOM, "on": false}),
        json!({"op": "signal", "id": 9, "room": ROOM, "data": {"a": [1, -2.5, null, {"b": "c"}]}}),
        json!({"op": "presence", "id": 10, "room": ROOM}),
        json!({"op": "history", "id": 11, "room": ROOM, "before": 10, "limit": 50}),
        json!({"op": "ping", "id": 12}),
    ]
}

/// Text frames.
pub(crate) fn json() -> Vec<Vec<u8>> {
    operations().iter().map(|operation| operation.to_string().into_bytes()).collect()
}

/// Binary frames.
pub(crate) fn msgpack() -> Vec<Vec<u8>> {
    let packed = operations().into_iter().map(|operation| rmp_serde::to_vec(&operation));
    packed.map(|bytes| bytes.expect("JSON fits into MessagePack")).collect()
}

/// Streams of masked frames behind the byte that says how they are cut.
pub(crate) fn framing() -> Vec<Vec<u8>> {
    let long = [b'x'; 300];
    let streams: [&[(u8, &[u8])]; 6] = [
        &[(0x81, b"hello"), (0x89, b"?"), (0x82, &[0, 1, 2])],
        &[(0x01, b"h\xc3"), (0x89, b"between"), (0x00, b""), (0x80, b"\xa9")],
        &[(0x82, &long), (0x88, &[0x03, 0xe8, b'b', b'y', b'e'])],
        &[(0x02, &long), (0x00, &long), (0x80, b"too big")],
        &[(0x88, b""), (0x81, b"after the end")],
        &[(0x8a, b"pong"), (0x81, b""), (0x81, b"again")],
    ];
    let cut = |frames: &&[(u8, &[u8])]| {
        let frames = frames.iter().flat_map(|(first, payload)| masked(*first, payload));
        std::iter::once(7).chain(frames).collect()
    };
    streams.iter().map(cut).collect()
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
    let length = u16::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![first];
    match u8::try_from(length) {
        Ok(short @ 0..=125) => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}
