//! Limits as clients meet them, at their defaults unless a test says otherwise.

use crate::launch;
use madang_testkit::{
    Http, Launch, Socket, Stage,
    client::{Door, PASSWORD, list, number},
    raw::{Frame, RawSocket},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// A raw connection of `ann` past `hello`, subscribed to nothing.
async fn past_hello(stage: &Stage) -> RawSocket {
    let mut socket = RawSocket::open(stage.address()).await;
    let hello = json!({"op": "hello", "id": 0, "token": stage.ann.token, "subscribe": []});
    socket.frame(Frame::of(&hello)).await;
    socket.read().await.expect("the answer to hello");
    socket
}

/// Many frames in one write, so that they are there at once.
async fn burst(socket: &mut RawSocket, count: u64, frame: impl Fn(u64) -> Value) {
    let frames = (1..=count).flat_map(|id| Frame::of(&frame(id)).encode());
    socket.write(&frames.collect::<Vec<u8>>()).await;
}

/// The answers to so many requests, counted by code; `ok` counts as a code.
async fn answers(socket: &mut RawSocket, count: u64) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for _ in 0..count {
        let answer = socket.read().await.expect("an answer").value();
        let code = answer["code"].as_str().unwrap_or("ok").to_owned();
        found.entry(code).or_default().push(answer);
    }
    found
}

fn ping(id: u64) -> Value {
    json!({"op": "ping", "id": id})
}

#[tokio::test]
async fn frames_beyond_burst_and_rate_are_refused_one_by_one() {
    let stage = Stage::set(launch().without("frames-per-second")).await;
    let mut socket = past_hello(&stage).await;
    burst(&mut socket, 400, ping).await;
    let answers = answers(&mut socket, 400).await;
    let taken = answers["ok"].len();
    // 200 at once, the one for hello among them, and 50 for each second that this took.
    assert!((199..=350).contains(&taken), "{taken}");
    let refused = &answers["rate_limited"];
    assert_eq!(taken + refused.len(), 400);
    assert!(refused.iter().all(|answer| answer["retry_after_ms"].is_u64()));
    let wait = refused.iter().map(|answer| number(answer, "retry_after_ms")).max();
    assert!(wait.is_some_and(|wait| (1..60_000).contains(&wait)), "{wait:?}");
}

#[tokio::test]
async fn a_thousand_refusals_close_with_4029() {
    let stage = Stage::set(launch().without("frames-per-second")).await;
    let mut socket = past_hello(&stage).await;
    burst(&mut socket, 2_000, ping).await;
    assert_eq!(socket.close_code().await, Some(4029));
    stage.http.send(&stage.ann, &stage.room, "c", "others are not concerned").await;
}

#[tokio::test]
async fn sends_beyond_those_unanswered_are_refused_at_once() {
    let stage = Stage::set(launch()).await;
    let mut socket = past_hello(&stage).await;
    let room = stage.room.clone();
    burst(&mut socket, 400, |id| {
        json!({"op": "send", "id": id, "room": room, "client_id": format!("c{id}"), "body": "b"})
    })
    .await;
    let answers = answers(&mut socket, 400).await;
    let (taken, refused) = (answers["ok"].len(), &answers["overloaded"]);
    assert!(taken >= 32, "{taken}");
    assert_eq!(taken + refused.len(), 400);
    assert!(refused.iter().all(|answer| answer["retry_after_ms"].is_u64()));
    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    assert_eq!(log.len(), taken, "what was refused is not stored");
}

#[tokio::test]
async fn subscriptions_are_bounded() {
    let stage = Stage::set(launch().with("subscriptions-max", 2)).await;
    let second = stage.http.make_group(&stage.ann, "second", &[]).await;
    let third = stage.http.make_group(&stage.ann, "third", &[]).await;
    let all = json!([{"room": stage.room}, {"room": second}, {"room": third}]);
    let mut greedy = Socket::open(stage.address()).await;
    let hello = greedy.hello(&stage.ann.token, Some(all)).await;
    let errors: Vec<_> = list(&hello, "rooms").iter().map(|room| &room["error"]).collect();
    assert_eq!(errors, [&Value::Null, &Value::Null, &json!("full")]);
    let mut socket = Socket::open(stage.address()).await;
    socket.hello(&stage.ann.token, Some(json!([]))).await;
    socket.ok("subscribe", json!({"room": stage.room})).await;
    socket.ok("subscribe", json!({"room": second})).await;
    socket.refused("subscribe", json!({"room": third}), "full").await;
    socket.ok("subscribe", json!({"room": second})).await;
    socket.ok("unsubscribe", json!({"room": second})).await;
    socket.ok("subscribe", json!({"room": third})).await;
}

#[tokio::test]
async fn all_rooms_are_the_latest_ones_where_there_are_too_many() {
    let stage = Stage::set(launch().with("subscriptions-max", 2)).await;
    let second = stage.http.make_group(&stage.ann, "second", &[]).await;
    let third = stage.http.make_group(&stage.ann, "third", &[]).await;
    for (room, number) in [(&third, 1), (&second, 2), (&stage.room, 3)] {
        stage.http.send(&stage.ann, room, &format!("c{number}"), "x").await;
        tokio::time::sleep(Duration::from_millis(2)).await; // the order is by milliseconds
    }
    let mut socket = Socket::open(stage.address()).await;
    let hello = socket.hello(&stage.ann.token, None).await;
    let rooms: Vec<&Value> = list(&hello, "rooms").iter().map(|room| &room["room"]).collect();
    assert_eq!(rooms.len(), 2, "{hello}");
    assert!(!rooms.contains(&&json!(third)), "{hello}");
}

#[tokio::test]
async fn connections_of_the_node_are_bounded() {
    let stage = Stage::set(launch().with("max-connections", 8)).await;
    refused_beyond(&stage, None).await;
}

#[tokio::test]
async fn connections_of_an_address_are_bounded() {
    let stage = Stage::set(launch().with("max-connections-per-address", 8)).await;
    let source: IpAddr = [127, 0, 0, 77].into();
    refused_beyond(&stage, Some(source)).await;
    stage.join(&stage.ben).await;
}

/// Opens connections until one is refused, which must be with 503 before the upgrade; one that
/// ends makes room again.
async fn refused_beyond(stage: &Stage, source: Option<IpAddr>) {
    let mut door = Door::new(stage.address());
    if let Some(source) = source {
        door = door.source(source);
    }
    let mut open = Vec::new();
    let status = loop {
        match door.open().await {
            Ok(socket) => open.push(socket),
            Err(status) => break status,
        }
        assert!(open.len() <= 8, "more than the limit");
    };
    assert_eq!(status, 503);
    open.pop().expect("some were let in").close().await;
    let again = || async { door.open().await.ok() };
    madang_testkit::wait::until("room for one more", madang_testkit::wait::SOON, again).await;
}

#[tokio::test]
async fn a_refused_connection_is_told_why() {
    let stage = Stage::set(launch().with("max-connections-per-address", 8)).await;
    let source: IpAddr = [127, 0, 0, 78].into();
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Door::new(stage.address()).source(source).open().await.expect("below the limit"));
    }
    let http = Http::from_source(stage.address(), source);
    http.get("/v1/me").send().await.refused(503, "overloaded");
}

async fn try_login(http: &Http, username: &str, password: &str) -> madang_testkit::client::Answer {
    let body = json!({"username": username, "password": password});
    http.post("/v1/login", body).send().await
}

#[tokio::test]
async fn the_sixty_first_login_of_a_minute_blocks_its_address() {
    let stage = Stage::set(launch().without("logins-per-minute")).await;
    for _ in 0..60 {
        try_login(&stage.http, "ann", PASSWORD).await.expect(200);
    }
    let blocked = try_login(&stage.http, "ann", PASSWORD).await.refused(429, "blocked");
    let wait = number(&blocked, "retry_after_ms");
    assert!((170_000..=180_000).contains(&wait), "{wait}");
    try_login(&stage.http, "nobody", "whatever it is").await.refused(429, "blocked");
    let elsewhere = Http::from_source(stage.address(), [127, 0, 0, 79].into());
    try_login(&elsewhere, "ann", PASSWORD).await.expect(200);
}

/// Only a proxy the node was told to trust may speak for others.
#[tokio::test]
async fn a_forwarded_address_does_not_evade_a_limit() {
    let stage = Stage::set(launch().with("logins-per-minute", 3)).await;
    let login = |from: String| {
        let body = json!({"username": "nobody", "password": "whatever it is"});
        stage.http.post("/v1/login", body).header("x-forwarded-for", &from)
    };
    for number in 1..=3 {
        let answer = login(format!("192.0.2.{number}")).send().await;
        answer.refused(401, "bad_credentials");
    }
    login("192.0.2.4".to_owned()).send().await.refused(429, "blocked");
}

#[tokio::test]
async fn from_the_fifth_wrong_password_on_an_account_waits() {
    let stage = Stage::set(launch()).await;
    let attacker = Http::from_source(stage.address(), [127, 0, 0, 80].into());
    for _ in 0..4 {
        try_login(&attacker, "ann", "guess number one").await.refused(401, "bad_credentials");
    }
    let limited = try_login(&attacker, "ANN", PASSWORD).await.refused(429, "rate_limited");
    assert!((1..=60_000).contains(&number(&limited, "retry_after_ms")), "{limited}");
    try_login(&attacker, "ben", PASSWORD).await.expect(200);
    // Where this user has logged in before, a guesser elsewhere does not lock them out.
    try_login(&stage.http, "ann", PASSWORD).await.expect(200);
}

#[tokio::test]
async fn signups_of_an_address_are_bounded() {
    let node = launch().without("signups-per-minute").start().await;
    let http = node.http();
    for number in 0..20 {
        http.signup(&format!("user{number}")).await;
    }
    let body = json!({"username": "one-more", "password": PASSWORD});
    http.post("/v1/signup", body.clone()).send().await.refused(429, "rate_limited");
    let elsewhere = Http::from_source(node.address(), [127, 0, 0, 81].into());
    elsewhere.post("/v1/signup", body).send().await.expect(201);
}

#[tokio::test]
async fn hashing_beyond_its_queue_is_overloaded() {
    let node = small_hashing().start().await;
    let http = node.http();
    http.signup("ann").await;
    let body = json!({"username": "ann", "password": PASSWORD});
    let asked: Vec<_> = (0..40).map(|_| http.post("/v1/login", body.clone()).spawn()).collect();
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    for answer in asked {
        let answer = answer.await.expect("the task ends");
        *statuses.entry(answer.status).or_default() += 1;
        if answer.status != 200 {
            answer.refused(503, "overloaded");
        }
    }
    assert!(statuses[&200] >= 1 && statuses[&503] >= 1, "{statuses:?}");
}

fn small_hashing() -> Launch {
    launch().with("hash-threads", 1).with("hash-queue", 1)
}
