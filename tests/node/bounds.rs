//! Bounds that no other test fills from outside: what a client sees beyond each.
//! `docs/bounds.md` lists them all.

use crate::launch;
use madang_testkit::{
    Socket, Stage,
    client::{PASSWORD, number},
    launcher::{Limits, free_address},
    raw::{Frame, RawSocket, opcode},
    wait::{SOON, until},
};
use serde_json::json;

#[tokio::test]
async fn monitoring_has_places_of_its_own() {
    let monitoring = free_address();
    let node = launch().with("metrics-listen", monitoring).start_ready_at(monitoring).await;
    let mut held = Vec::new();
    let status = loop {
        let mut socket = RawSocket::connect_plain(monitoring).await;
        socket.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let head = socket.read_head().await;
        if !head.starts_with("HTTP/1.1 200") {
            break head;
        }
        held.push(socket);
        assert!(held.len() <= 64, "more than there are places for");
    };
    assert!(status.starts_with("HTTP/1.1 503") && status.contains("retry-after: 1"), "{status}");
    assert!(held.len() > 32, "{}", held.len());
    node.http().signup("ann").await; // clients have theirs
}

#[tokio::test]
async fn there_are_no_more_connections_than_descriptors() {
    let limits = Limits { open_files: Some(300), ..Limits::default() };
    let node = launch().limits(limits).start().await;
    let mut held = Vec::new();
    let refused = loop {
        let mut socket = RawSocket::connect(node.address()).await;
        socket.write(RawSocket::handshake_text(node.address(), "").as_bytes()).await;
        let head = socket.read_head().await;
        if !head.starts_with("HTTP/1.1 101") {
            break head;
        }
        held.push(socket);
        assert!(held.len() <= 300, "more than there are descriptors");
    };
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    held.pop();
    let again = || async {
        let answer = node.http().get("/healthz").try_send().await.ok()?;
        (answer.status == 200).then_some(())
    };
    until("a descriptor is free again", SOON, again).await;
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let stage = Stage::set(launch()).await;
    for (bytes, status) in [(30 * 1024, "HTTP/1.1 200"), (100 * 1024, "HTTP/1.1 431")] {
        let mut socket = RawSocket::connect(stage.address()).await;
        let head =
            format!("GET /healthz HTTP/1.1\r\nHost: x\r\nPadding: {}\r\n\r\n", "p".repeat(bytes));
        socket.write(head.as_bytes()).await;
        let answer = socket.read_head().await;
        assert!(answer.starts_with(status), "{bytes}: {answer}");
    }
}

/// One that is only a little too large is read to its end; this one is not waited for.
#[tokio::test]
async fn a_body_that_is_much_too_large_is_refused_before_it_comes() {
    let stage = Stage::set(launch()).await;
    let mut socket = RawSocket::connect(stage.address()).await;
    let head = "POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 100000000\r\n\r\n{";
    socket.write(head.as_bytes()).await;
    assert!(socket.read_head().await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_unavailable() {
    let waits = ["send-wait-ms", "read-wait-ms", "body-timeout-ms"];
    let short = waits.into_iter().fold(launch(), |launch, name| launch.with(name, 10));
    let node = short.with("request-timeout-ms", 11).start().await;
    let body = json!({"username": "ann", "password": PASSWORD}); // hashing it takes longer
    let problem = node.http().post("/v1/signup", body).send().await.refused(503, "unavailable");
    assert!(problem["retry_after_ms"].is_u64(), "{problem}");
}

/// Sends whose time is over are in doubt, and the same `client_id` finds out.
#[tokio::test]
async fn a_send_that_waits_too_long_is_unavailable_and_a_retry_finds_out() {
    let mut stage = Stage::set(launch()).await;
    stage.node.kill().await;
    stage.node.restart_as(launch().with("send-wait-ms", 1)).await;
    let mut ann = Socket::open(stage.address()).await;
    ann.hello(&stage.ann.token, Some(json!([]))).await;
    let (mut number_of, mut begun) = (0, std::collections::VecDeque::new());
    let late = loop {
        while begun.len() < 30 {
            number_of += 1;
            let name = format!("c{number_of}");
            let fields = json!({"room": stage.room, "client_id": name, "body": "b"});
            begun.push_back((name, ann.begin("send", fields).await));
        }
        let (name, id) = begun.pop_front().expect("thirty");
        let answer = ann.answer(id).await;
        if answer["op"] == "error" {
            assert_eq!(answer["code"], "unavailable", "{answer}");
            assert!(answer["retry_after_ms"].is_u64(), "{answer}");
            break name;
        }
        assert!(number_of < 200_000, "none is ever late");
    };
    for (_, id) in begun {
        ann.answer(id).await;
    }
    let retry = || async {
        let body = json!({"client_id": late, "body": "b"});
        let path = format!("/v1/rooms/{}/messages", stage.room);
        let answer = stage.http.post(&path, body).token(&stage.ann.token).send().await;
        matches!(answer.status, 200 | 201).then(|| number(&answer.body, "seq"))
    };
    let seq = until("the retry is answered", SOON, retry).await;
    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    let stored = log.iter().filter(|message| message["client_id"] == json!(late));
    assert_eq!(stored.map(|message| number(message, "seq")).collect::<Vec<_>>(), [seq]);
}

/// More than may be unanswered: the node reads on when it has answered, and refuses none.
#[tokio::test]
async fn requests_beyond_those_unanswered_wait_their_turn() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 20).await;
    let mut ann = stage.join(&stage.ann).await;
    let mut begun = Vec::new();
    for _ in 0..300 {
        begun.push(ann.begin("history", json!({"room": stage.room, "limit": 5})).await);
    }
    for id in begun {
        assert_eq!(ann.answer(id).await["op"], "ok");
    }
}

/// A reader that stops is spared what it can do without, and gets the rest when it reads again.
#[tokio::test]
async fn a_slow_reader_goes_without_signals_and_keeps_its_messages() {
    const SIGNALS: usize = 6_000;
    let stage = Stage::set(launch().with("outbox-bytes-max", 262_144)).await;
    let mut ann = Socket::open(stage.address()).await;
    ann.hello(&stage.ann.token, Some(json!([]))).await; // so that nothing is shed but for ben
    let mut slow = RawSocket::connect_with_buffer(stage.address(), 16 * 1024).await;
    slow.handshake(stage.address(), &RawSocket::offer()).await;
    let hello = json!({"op": "hello", "id": 1, "token": stage.ben.token});
    slow.frame(Frame::of(&hello)).await;
    slow.read().await.expect("the answer to hello");
    let data = "s".repeat(1_000);
    for _ in 0..SIGNALS {
        ann.say(&json!({"op": "signal", "room": stage.room, "data": data})).await;
    }
    ann.send(&stage.room, "c", "this one is kept").await;
    let (mut signals, mut pings) = (0, 0);
    loop {
        let frame = slow.read().await.expect("not closed");
        if frame.opcode == opcode::PING {
            pings += 1;
            continue;
        }
        match frame.value()["op"].as_str() {
            Some("signal") => signals += 1,
            Some("message") => break,
            _ => {}
        }
    }
    assert!(signals < SIGNALS, "all of them and {pings} pings");
    let shed = stage.http.metrics().await.sum("madang_shed_total", &["reason=\"outbox\""]);
    let all = signals + shed as usize; // also who came, and what was read
    assert!((SIGNALS..SIGNALS + 10).contains(&all), "{signals} and {shed}");
}
