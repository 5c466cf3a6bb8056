//! Bytes no well-behaved client sends: each gets its close code and changes nothing.

use crate::launch;
use madang_testkit::{
    Stage,
    client::Door,
    raw::{Frame, RawSocket, opcode},
};
use serde_json::{Value, json};

/// A raw connection of `ann` past `hello`.
async fn past_hello(stage: &Stage) -> RawSocket {
    let mut socket = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    socket.frame(Frame::text(&hello.to_string())).await;
    assert_eq!(read(&mut socket).await["op"], "ok");
    socket
}

async fn read(socket: &mut RawSocket) -> Value {
    let frame = socket.read().await.expect("the node answers");
    serde_json::from_slice(&frame.payload).expect("a node speaks JSON")
}

/// Writes these bytes on a connection past `hello`; the code it is closed with.
async fn code_for(stage: &Stage, bytes: &[u8]) -> Option<u16> {
    let mut socket = past_hello(stage).await;
    socket.write(bytes).await;
    socket.close_code().await
}

fn ping() -> String {
    json!({"op": "ping", "id": 2}).to_string()
}

#[tokio::test]
async fn broken_framing_closes_with_1002() {
    let stage = Stage::set(launch()).await;
    let continuation = Frame::new(opcode::CONTINUATION, ping());
    let begun = Frame::text("{\"op\":").unfinished().encode();
    for (what, bytes) in [
        ("unmasked", Frame::text(&ping()).unmasked().encode()),
        ("reserved bits", Frame::text(&ping()).reserved_bits().encode()),
        ("reserved opcode", Frame::new(3, ping()).encode()),
        ("reserved control opcode", Frame::new(11, "").encode()),
        ("continuation of nothing", continuation.encode()),
        ("a message inside another", [begun.clone(), Frame::text(&ping()).encode()].concat()),
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
        let head = Frame::new(opcode::TEXT, "").claiming(length).encode();
        assert_eq!(code_for(&stage, &head).await, Some(1009), "{length}");
    }
    let grown = stage.node.usage().resident_bytes.saturating_sub(before);
    assert!(grown < 16 << 20, "memory is taken for bytes that are there, grew by {grown}");
}

#[tokio::test]
async fn fragments_are_summed_against_the_limit() {
    let stage = Stage::set(launch()).await;
    let mut bytes = Frame::new(opcode::TEXT, vec![b' '; 65_536]).unfinished().encode();
    bytes.extend(Frame::new(opcode::CONTINUATION, vec![b' '; 65_536]).unfinished().encode());
    bytes.extend(Frame::new(opcode::CONTINUATION, vec![b' '; 1]).encode());
    assert_eq!(code_for(&stage, &bytes).await, Some(1009));
}

#[tokio::test]
async fn a_frame_at_the_limit_is_read() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let mut text = ping();
    text.push_str(&" ".repeat(131_072 - text.len()));
    socket.frame(Frame::text(&text)).await;
    assert_eq!(read(&mut socket).await["op"], "ok");
}

#[tokio::test]
async fn fragments_with_a_ping_between_are_one_message() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let text = ping();
    let (first, rest) = text.split_at(5);
    let (second, third) = rest.split_at(4);
    socket.frame(Frame::text(first).unfinished()).await;
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
    let bytes = send.to_string().into_bytes();
    let cut = bytes.iter().position(|byte| *byte >= 0x80).expect("not ASCII") + 1;
    socket.frame(Frame::new(opcode::TEXT, &bytes[..cut]).unfinished()).await;
    socket.frame(Frame::new(opcode::CONTINUATION, &bytes[cut..])).await;
    assert_eq!(read(&mut socket).await["body"], "마당");
}

#[tokio::test]
async fn bytes_that_trickle_in_are_read() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    for byte in Frame::text(&ping()).encode() {
        socket.write(&[byte]).await;
    }
    assert_eq!(read(&mut socket).await["op"], "ok");
}

#[tokio::test]
async fn what_cannot_be_decoded_closes_with_1007() {
    let stage = Stage::set(launch()).await;
    let deep = format!("{{\"op\":\"ping\",\"x\":{}1{}}}", "[".repeat(16), "]".repeat(16));
    let abyss = format!("{{\"op\":\"ping\",\"x\":{}", "[".repeat(100_000));
    for payload in [
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
    ] {
        let shown = String::from_utf8_lossy(&payload[..payload.len().min(60)]);
        let code = code_for(&stage, &Frame::new(opcode::TEXT, payload).encode()).await;
        assert_eq!(code, Some(1007), "{shown}");
    }
}

#[tokio::test]
async fn the_wrong_frame_type_closes_with_1003() {
    let stage = Stage::set(launch()).await;
    let code = code_for(&stage, &Frame::new(opcode::BINARY, ping()).encode()).await;
    assert_eq!(code, Some(1003));
}

#[tokio::test]
async fn junk_before_hello_is_judged_the_same() {
    let stage = Stage::set(launch()).await;
    for (bytes, code) in [
        (Frame::text("junk").encode(), 1007),
        (Frame::new(opcode::BINARY, "junk").encode(), 1003),
        (Frame::text("junk").unmasked().encode(), 1002),
        (Frame::new(opcode::TEXT, "").claiming(1 << 40).encode(), 1009),
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
    let whole = Frame::text(&send.to_string()).encode();
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
    for (offered, chosen) in [
        ("madang.v1.json", Some("madang.v1.json")),
        ("other, madang.v1.json", Some("madang.v1.json")),
        ("other", None),
    ] {
        let mut socket = RawSocket::connect(stage.address()).await;
        let offer = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        socket.write(RawSocket::handshake_text(stage.address(), &offer).as_bytes()).await;
        let head = socket.read_head().await.to_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        let line = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
        assert_eq!(line, chosen, "{offered}");
        let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
        socket.frame(Frame::text(&hello.to_string())).await;
        assert_eq!(read(&mut socket).await["op"], "ok");
    }
}
