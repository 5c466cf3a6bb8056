//! Silence and slowness: who says nothing for too long is let go.

use crate::launch;
use madang_testkit::{
    Socket, Stage,
    raw::{Frame, RawSocket, opcode},
};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_silent_connection_is_pinged_and_closed_with_4002() {
    let stage = Stage::set(launch().with("heartbeat-ms", 300)).await;
    let mut silent = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    silent.frame(Frame::of(&hello)).await;
    let begin = Instant::now();
    // The first ping may come before the answer to hello.
    while silent.read().await.expect("a ping").opcode != opcode::PING {}
    assert_eq!(silent.close_code().await, Some(4002));
    assert!(begin.elapsed() > Duration::from_millis(300), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_answers_pings_stays() {
    let stage = Stage::set(launch().with("heartbeat-ms", 100)).await;
    let mut lively = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    lively.frame(Frame::of(&hello)).await;
    let mut pings = 0;
    while pings < 8 {
        // The first ping may come before the answer to hello.
        let frame = lively.read().await.expect("a ping, not the end");
        if frame.opcode == opcode::PING {
            pings += 1;
            lively.frame(Frame::new(opcode::PONG, frame.payload)).await;
        }
    }
}

#[tokio::test]
async fn any_frame_counts_as_a_sign_of_life() {
    let stage = Stage::set(launch().with("heartbeat-ms", 100)).await;
    let mut busy = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ann.token});
    busy.frame(Frame::of(&hello)).await;
    let mut pings = 0;
    while pings < 8 {
        let frame = busy.read().await.expect("a frame, not the end");
        if frame.opcode == opcode::PING {
            pings += 1;
            busy.frame(Frame::of(&json!({"op": "ping", "id": 1}))).await;
        }
    }
}

#[tokio::test]
async fn no_hello_in_time_closes_with_4001() {
    let stage = Stage::set(launch().with("hello-timeout-ms", 200)).await;
    let mut mute = Socket::open(stage.address()).await;
    assert_eq!(mute.close_code().await, 4001);
    let mut drip = RawSocket::open(stage.address()).await;
    drip.write(&[0x81]).await;
    assert_eq!(drip.close_code().await, Some(4001));
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_cut_off() {
    let stage = Stage::set(launch().with("header-timeout-ms", 200)).await;
    for begun in ["", "G", "GET /v1/ws HTTP/1.1\r\nHost: x\r\n"] {
        let mut slow = RawSocket::connect(stage.address()).await;
        slow.write(begun.as_bytes()).await;
        let said = slow.rest().await;
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let stage = Stage::set(launch().with("body-timeout-ms", 200)).await;
    let mut slow = RawSocket::connect(stage.address()).await;
    let head = "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 100\r\n\r\n{";
    slow.write(head.as_bytes()).await;
    assert!(slow.read_head().await.starts_with("HTTP/1.1 503"));
}

/// One that never answers a close frame holds its connection for a while, not for ever.
#[tokio::test]
async fn a_goodbye_that_is_not_answered_ends_all_the_same() {
    let stage = Stage::set(launch().with("heartbeat-ms", 1_000)).await;
    let mut rude = RawSocket::open(stage.address()).await;
    rude.frame(Frame::of(&json!("no map"))).await;
    let close = rude.read().await.expect("a close frame");
    assert_eq!(close.close_code(), Some(1007));
    assert_eq!(rude.read().await, None);
}

/// Clients that hang in every stage must not stand in the way of one that does not.
#[tokio::test]
async fn those_who_hang_hold_up_nobody() {
    let stage = Stage::set(launch()).await;
    let mut hanging = Vec::new();
    for turn in 0..200 {
        let mut socket = RawSocket::connect(stage.address()).await;
        match turn % 4 {
            0 => {}
            1 => socket.write(b"GET /v1/ws HTTP/1.1\r\n").await,
            2 => socket.handshake(stage.address(), "").await,
            _ => {
                socket.handshake(stage.address(), "").await;
                socket.write(&[0x81, 0xff]).await;
            }
        }
        hanging.push(socket);
    }
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c", "through").await;
    assert_eq!(ben.expect("message").await["body"], "through");
}
