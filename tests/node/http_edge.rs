//! HTTP as such: paths, methods, content types, sizes, and bytes that are no HTTP.

use crate::launch;
use madang_testkit::{
    Stage,
    client::PASSWORD,
    raw::{Frame, RawSocket},
};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_named() {
    let stage = Stage::set(launch()).await;
    for path in ["/", "/v1", "/v1/", "/v2/rooms", "/v1/rooms/x/y/z", "/v1/me/", "/../etc/passwd"] {
        let answer = stage.http.get(path).token(&stage.ann.token).send().await;
        answer.refused(404, "not_found");
    }
    for (method, path, allowed) in [
        (Method::GET, "/v1/signup", "POST"),
        (Method::DELETE, "/v1/rooms", "GET"),
        (Method::PUT, "/v1/rooms", "POST"),
        (Method::POST, "/healthz", "GET"),
        (Method::DELETE, "/v1/rooms/x", "PATCH"),
        (Method::PUT, "/v1/rooms/x/members", "POST"),
        (Method::GET, "/v1/rooms/x/members/y", "PATCH, DELETE"),
        (Method::GET, "/v1/tokens", "POST"),
        (Method::PATCH, "/v1/password", "POST"),
        (Method::DELETE, "/v1/me", "PATCH"),
    ] {
        let answer = stage.http.call(method, path).token(&stage.ann.token).send().await;
        assert_eq!(answer.status, 405, "{path}");
        let allow = answer.header("allow").unwrap_or_default();
        assert!(allow.contains(allowed), "{path}: {allow:?}");
    }
}

#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let stage = Stage::set(launch()).await;
    let text = stage.http.call(Method::POST, "/v1/login").header("content-type", "text/plain");
    text.send().await.refused(415, "invalid");
    stage.http.call(Method::POST, "/v1/login").send().await.refused(415, "invalid");
    for body in [&b""[..], b"{", b"[]", b"5", b"null", b"{\"username\":\"\xff\"}", b"{}x"] {
        let answer = stage.http.call(Method::POST, "/v1/login").bytes(body).send().await;
        answer.refused(422, "invalid");
    }
    let deep = format!("{{\"username\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let answer = stage.http.call(Method::POST, "/v1/login").bytes(deep).send().await;
    answer.refused(422, "invalid");
}

#[tokio::test]
async fn a_message_over_http_is_held_to_the_same_rules() {
    let stage = Stage::set(launch()).await;
    let path = format!("/v1/rooms/{}/messages", stage.room);
    for body in [
        json!({"body": "b"}),
        json!({"client_id": "c"}),
        json!({"client_id": "", "body": "b"}),
        json!({"client_id": "c".repeat(65), "body": "b"}),
        json!({"client_id": 5, "body": "b"}),
        json!({"client_id": "c", "body": ""}),
        json!({"client_id": "c", "body": ["b"]}),
        json!({"client_id": "c", "body": "b", "reply_to": 1}),
        json!({"client_id": "c", "body": "b", "attachments": []}),
    ] {
        let shown = body.to_string();
        let answer = stage.http.post(&path, body).token(&stage.ann.token).send().await;
        assert_eq!((answer.status, &answer.body["code"]), (422, &json!("invalid")), "{shown}");
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn a_body_over_its_limit_is_too_large() {
    let stage = Stage::set(launch()).await;
    let padding = "x".repeat(131_072);
    let body = json!({"username": "ann", "password": PASSWORD, "padding": padding});
    stage.http.post("/v1/login", body).send().await.refused(413, "too_large");

    let path = format!("/v1/rooms/{}/messages", stage.room);
    let body = json!({"client_id": "c", "body": "x".repeat(16_385)});
    let answer = stage.http.post(&path, body).token(&stage.ann.token).send().await;
    answer.refused(413, "too_large");
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn bytes_that_are_no_http_end_the_connection_and_nothing_else() {
    let stage = Stage::set(launch()).await;
    let endless_header = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
    for junk in ["\0\0\0\0\r\n\r\n", "HELLO\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &endless_header] {
        let mut socket = RawSocket::connect(stage.address()).await;
        socket.write(junk.as_bytes()).await;
        let said = socket.rest().await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
    stage.http.send(&stage.ann, &stage.room, "c", "still here").await;
}

#[tokio::test]
async fn an_upgrade_must_be_a_websocket_one() {
    let stage = Stage::set(launch()).await;
    let good = RawSocket::handshake_text(stage.address(), "");
    for (missing, instead) in [
        ("Upgrade: websocket\r\n", ""),
        ("Connection: Upgrade\r\n", ""),
        ("Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Version: 8\r\n"),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "Sec-WebSocket-Key: short\r\n"),
    ] {
        let mut socket = RawSocket::connect(stage.address()).await;
        socket.write(good.replace(missing, instead).as_bytes()).await;
        let head = socket.read_head().await;
        assert!(head.starts_with("HTTP/1.1 4"), "{missing:?}: {head}");
    }
}

#[tokio::test]
async fn the_handshake_is_answered_as_the_standard_says() {
    let stage = Stage::set(launch()).await;
    let mut socket = RawSocket::connect(stage.address()).await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    socket.write(RawSocket::handshake_text(stage.address(), offer).as_bytes()).await;
    let head = socket.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 101"), "{head}");
    // The value RFC 6455 section 1.3 gives for this key.
    assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
}

#[tokio::test]
async fn frames_sent_with_the_handshake_are_read() {
    let stage = Stage::set(launch()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    let offer = RawSocket::offer();
    let mut bytes = RawSocket::handshake_text(stage.address(), &offer).into_bytes();
    bytes.extend(Frame::of(&hello).encode());
    let mut socket = RawSocket::connect(stage.address()).await;
    socket.write(&bytes).await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 101"));
    let answer = socket.read().await.expect("an answer").value();
    assert_eq!(answer["user"], json!(stage.ann.user));
}
