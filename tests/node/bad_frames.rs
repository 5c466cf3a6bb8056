//! Bytes no well-behaved client sends: each gets its close code and changes nothing. What they
//! look like depends on the codec, what becomes of them does not.

use crate::launch;
use madang_testkit::{
    Stage,
    client::Door,
    raw::{Frame, RawSocket, opcode},
    variant::Codec,
};
use serde_json::{Value, json};

/// A raw connection of `ann` past `hello`.
async fn past_hello(stage: &Stage) -> RawSocket {
    let mut socket = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    socket.frame(Frame::of(&hello)).await;
    assert_eq!(read(&mut socket).await["op"], "ok");
    socket
}

/// The next frame but `presence`, which comes whenever somebody comes or goes.
async fn read(socket: &mut RawSocket) -> Value {
    loop {
        let frame = socket.read().await.expect("the node answers").value();
        if frame["op"] != "presence" {
            return frame;
        }
    }
}

/// The frame type of the codec, and the one of the other.
fn opcodes() -> (u8, u8) {
    match Codec::current() {
        Codec::Json => (opcode::TEXT, opcode::BINARY),
        Codec::Msgpack => (opcode::BINARY, opcode::TEXT),
    }
}

/// Writes these bytes on a connection past `hello`; the code it is closed with.
async fn code_for(stage: &Stage, bytes: &[u8]) -> Option<u16> {
    let mut socket = past_hello(stage).await;
    socket.write(bytes).await;
    socket.close_code().await
}

fn ping() -> Vec<u8> {
    Codec::current().encode(&json!({"op": "ping", "id": 2}))
}

/// A data frame of the codec's type.
fn data(payload: impl Into<Vec<u8>>) -> Frame {
    Frame::new(opcodes().0, payload)
}

#[tokio::test]
async fn broken_framing_closes_with_1002() {
    let stage = Stage::set(launch()).await;
    let continuation = Frame::new(opcode::CONTINUATION, ping());
    let begun = data(&ping()[..4]).unfinished().encode();
    for (what, bytes) in [
        ("unmasked", data(ping()).unmasked().encode()),
        ("reserved bits", data(ping()).reserved_bits().encode()),
        ("reserved opcode", Frame::new(3, ping()).encode()),
        ("reserved control opcode", Frame::new(11, "").encode()),
        ("continuation of nothing", continuation.encode()),
        ("a message inside another", [begun.clone(), data(ping()).encode()].concat()),
        ("long ping", Frame::new(opcode::PING, vec![0; 126]).encode()),
        ("fragmented ping", Frame::new(opcode::PING, "").unfinished().encode()),
        ("close with half a code", Frame::new(opcode::CLOSE, vec![3]).encode()),
        ("close with a reserved code", Frame::new(opcode::CLOSE, vec![3, 237]).encode()),
    ] {
        assert_eq!(code_for(&stage, &bytes).await, Some(1002), "{what}");
    }
}

#[tokio::test]
async fn a_frame_over_the_limit_closes_with_1009_before_it_is_there() {
    let stage = Stage::set(launch()).await;
    let before = stage.node.usage().resident_bytes;
    for length in [131_073, 1 << 31, 1 << 62] {
        let head = data("").claiming(length).encode();
        assert_eq!(code_for(&stage, &head).await, Some(1009), "{length}");
    }
    let grown = stage.node.usage().resident_bytes.saturating_sub(before);
    assert!(grown < 16 << 20, "memory is taken for bytes that are there, grew by {grown}");
}

#[tokio::test]
async fn fragments_are_summed_against_the_limit() {
    let stage = Stage::set(launch()).await;
    let mut bytes = data(vec![b' '; 65_536]).unfinished().encode();
    bytes.extend(Frame::new(opcode::CONTINUATION, vec![b' '; 65_536]).unfinished().encode());
    bytes.extend(Frame::new(opcode::CONTINUATION, vec![b' '; 1]).encode());
    assert_eq!(code_for(&stage, &bytes).await, Some(1009));
}

#[tokio::test]
async fn a_frame_at_the_limit_is_read() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let padded = |length: usize| {
        let padding = "x".repeat(length);
        Codec::current().encode(&json!({"op": "ping", "id": 2, "padding": padding}))
    };
    let around = padded(100_000).len() - 100_000;
    let payload = padded(131_072 - around);
    assert_eq!(payload.len(), 131_072);
    socket.frame(data(payload)).await;
    assert_eq!(read(&mut socket).await["op"], "ok");
}

#[tokio::test]
async fn fragments_with_a_ping_between_are_one_message() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let payload = ping();
    let (first, rest) = payload.split_at(5);
    let (second, third) = rest.split_at(4);
    socket.frame(data(first).unfinished()).await;
    socket.frame(Frame::new(opcode::PING, "are you there")).await;
    socket.frame(Frame::new(opcode::CONTINUATION, second).unfinished()).await;
    socket.frame(Frame::new(opcode::CONTINUATION, third)).await;
    let pong = socket.read().await.expect("a pong");
    assert_eq!((pong.opcode, &*pong.payload), (opcode::PONG, &b"are you there"[..]));
    assert_eq!(read(&mut socket).await["op"], "ok");
}

#[tokio::test]
async fn a_character_cut_by_fragments_is_whole_again() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let send = json!({"op": "send", "room": stage.room, "client_id": "c", "body": "마당"});
    let bytes = Codec::current().encode(&send);
    let word = bytes.windows(6).position(|bytes| bytes == "마당".as_bytes()).expect("the body");
    let cut = word + 1;
    socket.frame(data(&bytes[..cut]).unfinished()).await;
    socket.frame(Frame::new(opcode::CONTINUATION, &bytes[cut..])).await;
    assert_eq!(read(&mut socket).await["body"], "마당");
}

#[tokio::test]
async fn bytes_that_trickle_in_are_read() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    for byte in data(ping()).encode() {
        socket.write(&[byte]).await;
    }
    assert_eq!(read(&mut socket).await["op"], "ok");
}

#[tokio::test]
async fn what_cannot_be_decoded_closes_with_1007() {
    let stage = Stage::set(launch()).await;
    let payloads = match Codec::current() {
        Codec::Json => no_json(),
        Codec::Msgpack => no_msgpack(),
    };
    for payload in payloads {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]).into_owned();
        assert_eq!(code_for(&stage, &data(payload).encode()).await, Some(1007), "{shown}");
    }
}

fn no_json() -> Vec<Vec<u8>> {
    let deep = format!("{{\"op\":\"ping\",\"x\":{}1{}}}", "[".repeat(16), "]".repeat(16));
    let abyss = format!("{{\"op\":\"ping\",\"x\":{}", "[".repeat(100_000));
    [
        &b""[..],
        b"junk",
        b"5",
        b"[]",
        b"null",
        b"\"text\"",
        b"{",
        b"{\"op\":\"ping\"}{}",
        b"{\"op\":\"ping\",}",
        b"{\"op\":\"\xff\xfe\"}",
        b"{\"op\":\"ping\",\"x\":\"\xed\xa0\x80\"}",
        deep.as_bytes(),
        abyss.as_bytes(),
    ]
    .map(<[u8]>::to_vec)
    .into()
}

fn no_msgpack() -> Vec<Vec<u8>> {
    let ping_with = |x: &[u8]| [&b"\x82\xa2op\xa4ping\xa1x"[..], x].concat();
    [
        &b""[..],
        b"junk",
        b"{\"op\":\"ping\"}",
        b"\x05",
        b"\x90",
        b"\xc0",
        b"\xa4text",
        b"\xc1",
        b"\x81",
        b"\x81\xa2op",
        b"\x81\xa2op\xa4pin",
        b"\x81\xa2op\xa4ping\x80",
        b"\xdf\xff\xff\xff\xff\xa2op\xa4ping",
        b"\x82\xa2op\xa4ping\x01\x01",
        b"\x82\xa2op\xa4ping\xc4\x01x\x01",
        &ping_with(b"\xc1"),
        &ping_with(b"\xa2\xff\xfe"),
        &ping_with(b"\xa3\xed\xa0\x80"),
        &ping_with(b"\xdd\xff\xff\xff\xff"),
        &ping_with(b"\xc6\xff\xff\xff\xff"),
        &ping_with(&[&[0x91].repeat(16)[..], &[0x01]].concat()),
        &ping_with(&[0x91].repeat(100_000)),
    ]
    .map(<[u8]>::to_vec)
    .into()
}

/// What MessagePack has and the protocol does not is a wrong value of a field, not broken bytes.
#[tokio::test]
async fn bytes_extensions_and_points_are_invalid_where_they_matter() {
    let stage = Stage::set(launch().with("heartbeat-ms", 60_000)).await;
    let mut socket = RawSocket::connect(stage.address()).await;
    let offer = "Sec-WebSocket-Protocol: madang.v1.msgpack\r\n";
    socket.write(RawSocket::handshake_text(stage.address(), offer).as_bytes()).await;
    socket.read_head().await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    let mut answer = async |payload: Vec<u8>| {
        socket.frame(Frame::new(opcode::BINARY, payload)).await;
        Codec::Msgpack.decode(&socket.read().await.expect("an answer").payload)
    };
    assert_eq!(answer(Codec::Msgpack.encode(&hello)).await["op"], "ok");
    for value in [&b"\xc4\x01x"[..], b"\xd4\x01x", b"\xca\x3f\x80\0\0", b"\xc4\x01\xff"] {
        let in_room = [&b"\x83\xa2op\xabunsubscribe\xa2id\x07\xa4room"[..], value].concat();
        let refused = answer(in_room).await;
        assert_eq!((&refused["code"], &refused["id"]), (&json!("invalid"), &json!(7)));
        let in_id = [&b"\x82\xa2op\xa4ping\xa2id"[..], value].concat();
        let refused = answer(in_id).await;
        assert_eq!((&refused["code"], refused.get("id")), (&json!("invalid"), None));
        let unknown = [&b"\x83\xa2op\xa4ping\xa2id\xcf\0\0\0\0\0\0\0\x09\xa1x"[..], value].concat();
        assert_eq!(answer(unknown).await["id"], 9);
    }
}

#[tokio::test]
async fn the_wrong_frame_type_closes_with_1003() {
    let stage = Stage::set(launch()).await;
    let wrong = Frame::new(opcodes().1, r#"{"op":"ping","id":2}"#);
    assert_eq!(code_for(&stage, &wrong.encode()).await, Some(1003));
}

#[tokio::test]
async fn junk_before_hello_is_judged_the_same() {
    let stage = Stage::set(launch()).await;
    for (bytes, code) in [
        (data("junk").encode(), 1007),
        (Frame::new(opcodes().1, "junk").encode(), 1003),
        (data("junk").unmasked().encode(), 1002),
        (data("").claiming(1 << 40).encode(), 1009),
    ] {
        let mut socket = RawSocket::open(stage.address()).await;
        socket.write(&bytes).await;
        assert_eq!(socket.close_code().await, Some(code));
    }
}

#[tokio::test]
async fn a_goodbye_is_answered_in_kind() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    socket.frame(Frame::new(opcode::CLOSE, 1000_u16.to_be_bytes())).await;
    assert_eq!(socket.close_code().await, Some(1000));
}

#[tokio::test]
async fn a_connection_that_breaks_off_takes_nothing_with_it() {
    let stage = Stage::set(launch()).await;
    let send = json!({"op": "send", "id": 3, "room": stage.room, "client_id": "c", "body": "half"});
    let whole = Frame::of(&send).encode();
    for length in [1, 3, 7, whole.len() / 2, whole.len() - 1] {
        let mut socket = past_hello(&stage).await;
        socket.write(&whole[..length]).await;
        socket.finish().await;
        socket.rest().await;
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
    let mut socket = past_hello(&stage).await;
    socket.write(&whole).await;
    assert_eq!(read(&mut socket).await["room"], json!(stage.room));
}

#[tokio::test]
async fn a_foreign_origin_is_upgraded_and_closed_with_4003() {
    let stage = Stage::set(launch()).await;
    let host = format!("http://{}", stage.address());
    let open = |origin: &str| Door::new(stage.address()).header("origin", origin);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1", "nonsense"] {
        let mut socket = open(foreign).open().await.expect("upgraded");
        assert_eq!(socket.close_code().await, 4003, "{foreign}");
    }
    let mut own = open(&host).open().await.expect("upgraded");
    own.hello(&stage.ann.token, None).await;
}

#[tokio::test]
async fn an_allowed_origin_is_let_in() {
    let allowed = launch().with("allowed-origins", "https://chat.example.org");
    let stage = Stage::set(allowed).await;
    let door = Door::new(stage.address()).header("origin", "https://chat.example.org");
    door.open().await.expect("upgraded").hello(&stage.ann.token, None).await;
    let other = Door::new(stage.address()).header("origin", "https://chat.example.org.evil");
    assert_eq!(other.open().await.expect("upgraded").close_code().await, 4003);
}

#[tokio::test]
async fn the_subprotocol_is_chosen_from_what_is_known() {
    let stage = Stage::set(launch()).await;
    for (offer, chosen) in [
        ("", None),
        ("Sec-WebSocket-Protocol: madang.v1.json\r\n", Some(Codec::Json)),
        ("Sec-WebSocket-Protocol: other, madang.v1.json\r\n", Some(Codec::Json)),
        ("Sec-WebSocket-Protocol: other, madang.v1.msgpack\r\n", Some(Codec::Msgpack)),
        ("Sec-WebSocket-Protocol: madang.v1.msgpack,madang.v1.json\r\n", Some(Codec::Msgpack)),
        (
            "Sec-WebSocket-Protocol: madang.v1.json\r\nSec-WebSocket-Protocol: madang.v1.msgpack\r\n",
            Some(Codec::Json),
        ),
        ("Sec-WebSocket-Protocol: other, madang.v2.msgpack\r\n", None),
    ] {
        let mut socket = RawSocket::connect(stage.address()).await;
        socket.write(RawSocket::handshake_text(stage.address(), offer).as_bytes()).await;
        let head = socket.read_head().await.to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(line, chosen.map(Codec::subprotocol), "{offer}");
        let codec = chosen.unwrap_or(Codec::Json);
        let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
        socket.frame(Frame::new(codec.opcode(), codec.encode(&hello))).await;
        let answer = socket.read().await.expect("an answer");
        assert_eq!(answer.opcode, codec.opcode());
        assert_eq!(codec.decode(&answer.payload)["op"], "ok");
    }
}
