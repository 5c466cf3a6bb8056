//! Who is online.

use crate::launch;
use madang_testkit::{
    Account, Socket, Stage,
    client::list,
    wait::{self, SOON},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CALLS: &str = "madang_store_calls_total";
const ROOM_READS: &[&str] = &["call=\"rooms_of\""];

/// Who is online, by `presence`.
async fn online(socket: &mut Socket, room: &str) -> Value {
    socket.ok("presence", json!({"room": room})).await["online"].clone()
}

fn ordered<const N: usize>(accounts: [&Account; N]) -> Value {
    let mut users = accounts.map(|account| account.user.clone());
    users.sort();
    json!(users.to_vec())
}

/// Reads `presence` frames until `user` is named in `field`; how long that took.
async fn until_told(socket: &mut Socket, field: &str, user: &Account) -> Duration {
    let since = Instant::now();
    loop {
        let frame = socket.expect("presence").await;
        if list(&frame, field).contains(&json!(user.user)) {
            return since.elapsed();
        }
    }
}

#[tokio::test]
async fn coming_and_going_is_told() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    until_told(&mut ann, "online", &stage.ann).await;
    let ben = stage.join(&stage.ben).await;
    let frame = ann.expect("presence").await;
    let expected = json!({
        "op": "presence", "room": stage.room, "online": [stage.ben.user], "offline": [],
    });
    assert_eq!(frame, expected);
    let second_of_ben = stage.join(&stage.ben).await;
    assert_eq!(ben.close().await, 1000);
    // One connection is left, so nothing is told before that one ends too.
    assert_eq!(online(&mut ann, &stage.room).await, ordered([&stage.ann, &stage.ben]));
    assert_eq!(second_of_ben.close().await, 1000);
    let took = until_told(&mut ann, "offline", &stage.ben).await;
    assert!(took > Duration::from_secs(4) && took < SOON, "{took:?}");
    assert_eq!(online(&mut ann, &stage.room).await, ordered([&stage.ann]));
}

#[tokio::test]
async fn a_page_that_is_loaded_again_is_not_seen() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    let room = stage.http.make_group(&stage.ann, "three", &[&stage.ben, &eve]).await;
    let mut ann = stage.join(&stage.ann).await;
    let (ben, of_eve) = (stage.join(&stage.ben).await, stage.join(&eve).await);
    let all = ordered([&stage.ann, &stage.ben, &eve]);
    assert_eq!(online(&mut ann, &room).await, all);
    until_told(&mut ann, "online", &eve).await;
    ben.close().await;
    assert_eq!(online(&mut ann, &room).await, all, "not gone yet");
    let _ben = stage.join(&stage.ben).await;
    of_eve.close().await;
    // She left after he was away, so his going would have been told before hers.
    until_told(&mut ann, "offline", &eve).await;
    assert_eq!(online(&mut ann, &room).await, ordered([&stage.ann, &stage.ben]));
    let of_ben = |frame: &&Value| list(frame, "offline").contains(&json!(stage.ben.user));
    assert!(!ann.presence().any(|frame| of_ben(&frame)));
}

#[tokio::test]
async fn who_is_online_is_known_at_once() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    assert_eq!(online(&mut ann, &stage.room).await, ordered([&stage.ann]));
    let mut quiet = Socket::open(stage.address()).await;
    quiet.hello(&stage.ben.token, Some(json!([]))).await;
    assert_eq!(online(&mut ann, &stage.room).await, ordered([&stage.ann, &stage.ben]));
    assert_eq!(online(&mut quiet, &stage.room).await, ordered([&stage.ann, &stage.ben]));
    let path = format!("/v1/rooms/{}/members", stage.room);
    let members = stage.http.get(&path).token(&stage.ann.token).send().await.expect(200);
    assert!(list(&members, "members").iter().all(|member| member["online"] == true), "{members}");
    let eve = stage.http.signup("eve").await;
    let room = stage.http.make_group(&stage.ann, "with eve", &[&eve]).await;
    let path = format!("/v1/rooms/{room}/members");
    let members = stage.http.get(&path).token(&stage.ann.token).send().await.expect(200);
    for member in list(&members, "members") {
        assert_eq!(member["online"], json!(member["user"] != json!(eve.user)), "{members}");
    }
}

#[tokio::test]
async fn strangers_learn_nothing() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    let open = stage.http.make_open_group(&stage.ann, "open").await;
    let mut socket = stage.join(&eve).await;
    for room in [stage.room.as_str(), "AAAAAAAAAAAAAAAAAAAA", "no-such-room"] {
        socket.refused("presence", json!({"room": room}), "not_found").await;
    }
    socket.refused("presence", json!({"room": open}), "forbidden").await;
    socket.refused("presence", json!({}), "invalid").await;
    let mut ben = stage.join(&stage.ben).await;
    until_told(&mut ben, "online", &stage.ben).await;
    socket.ok("ping", json!({})).await;
    assert_eq!(socket.presence().next(), None, "no room in common");
}

#[tokio::test]
async fn large_rooms_are_told_nothing_and_answered_in_part() {
    let stage = Stage::set(launch().with("presence-members-max", 2)).await;
    let eve = stage.http.signup("eve").await;
    let large = stage.http.make_group(&stage.ann, "three", &[&stage.ben, &eve]).await;
    let mut ann = stage.join(&stage.ann).await;
    let _ben = stage.join(&stage.ben).await;
    let _eve = stage.join(&eve).await;
    until_told(&mut ann, "online", &stage.ben).await;
    let answer = ann.ok("presence", json!({"room": large})).await;
    assert_eq!((list(&answer, "online").len(), &answer["truncated"]), (2, &json!(true)));
    let answer = ann.ok("presence", json!({"room": stage.room})).await;
    assert!(answer.get("truncated").is_none(), "{answer}");
    let in_large = |frame: &Value| frame["op"] == "presence" && frame["room"] == large;
    assert!(!ann.presence().any(in_large));
}

#[tokio::test]
async fn a_crowd_that_comes_and_dies_costs_one_read_and_one_frame_a_look() {
    const CROWD: usize = 30;
    let stage = Stage::set(launch()).await;
    let mut users = Vec::new();
    for turn in 0..CROWD {
        users.push(stage.http.signup(&format!("user{turn}")).await);
    }
    let members: Vec<&Account> = users.iter().collect();
    let room = stage.http.make_group(&stage.ann, "crowd", &members).await;
    let mut ann = Socket::open(stage.address()).await;
    ann.hello(&stage.ann.token, Some(json!([{"room": room}]))).await;
    until_told(&mut ann, "online", &stage.ann).await;
    let reads = async || stage.http.metrics().await.sum(CALLS, ROOM_READS);
    let (before, since) = (reads().await, Instant::now());
    let mut sockets = Vec::new();
    for user in &users {
        sockets.push(stage.join(user).await);
    }
    let mut frames = count_until(&mut ann, "online", CROWD).await;
    drop(sockets); // no goodbye
    frames += count_until(&mut ann, "offline", CROWD).await;
    let (cost, looks) = (reads().await - before, since.elapsed().as_secs_f64() + 1.0);
    assert!(frames as f64 <= looks && cost <= looks, "{frames} frames, {cost} reads, {looks} looks");
    let nobody_else = async || {
        let mut socket = stage.join(&stage.ann).await;
        (online(&mut socket, &room).await == ordered([&stage.ann])).then_some(())
    };
    wait::until("the crowd is gone", SOON, nobody_else).await;
}

/// How many frames it takes until `count` users were named in `field`.
async fn count_until(socket: &mut Socket, field: &str, count: usize) -> usize {
    let (mut frames, mut named) = (0, 0);
    while named < count {
        let frame = socket.expect("presence").await;
        frames += 1;
        named += list(&frame, field).len();
    }
    assert_eq!(named, count);
    frames
}
