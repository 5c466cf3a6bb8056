//! What is told to those who listen and not kept: signals, and who types.

use crate::launch;
use madang_testkit::{Socket, Stage, client::list, wait::SOON};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CALLS: &str = "madang_store_calls_total";

fn signal(stage: &Stage, data: &str) -> Value {
    json!({"room": stage.room, "data": data})
}

fn typing(stage: &Stage, on: bool) -> Value {
    json!({"room": stage.room, "on": on})
}

/// Store calls but those of presence, which looks once a second at who came and went.
async fn calls(stage: &Stage) -> f64 {
    let metrics = stage.http.metrics().await;
    metrics.sum(CALLS, &[]) - metrics.sum(CALLS, &["call=\"rooms_of\""])
}

/// The users of the next `typing`.
async fn typists(socket: &mut Socket) -> Value {
    socket.expect("typing").await["users"].clone()
}

#[tokio::test]
async fn a_signal_reaches_every_subscribed_connection_once_and_is_not_kept() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let mut second_of_ann = stage.join(&stage.ann).await;
    for socket in [&mut ann, &mut ben, &mut second_of_ann] {
        socket.ok("ping", json!({})).await;
    }
    assert_eq!(ann.ok("signal", signal(&stage, "a \"b\" 마당")).await["room"], stage.room);
    for socket in [&mut ann, &mut ben, &mut second_of_ann] {
        let frame = socket.expect("signal").await;
        let expected = json!({
            "op": "signal", "room": stage.room, "sender": stage.ann.user, "data": "a \"b\" 마당",
        });
        assert_eq!(frame, expected);
        socket.ok("ping", json!({})).await;
        assert!(!socket.queued().any(|frame| frame["op"] == "signal"), "once");
    }
    let mut late = stage.join(&stage.ben).await;
    late.ok("ping", json!({})).await;
    assert_eq!(late.queued().count(), 0);
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}

#[tokio::test]
async fn signals_keep_their_order_and_read_nothing() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    // Whoever has heard a message receives the room.
    ann.send(&stage.room, "c", "warm up").await;
    ann.expect("message").await;
    ben.expect("message").await;
    let before = calls(&stage).await;
    for turn in 0..100 {
        ann.begin("signal", signal(&stage, &turn.to_string())).await;
        ann.begin("typing", typing(&stage, turn % 2 == 0)).await;
    }
    for turn in 0..100 {
        assert_eq!(ben.expect("signal").await["data"], turn.to_string());
    }
    // A room looks where it stands three times after it began.
    let calls = calls(&stage).await - before;
    assert!(calls <= 3.0, "{calls}");
}

#[tokio::test]
async fn a_member_may_signal_without_receiving() {
    let stage = Stage::set(launch()).await;
    let mut ben = stage.join(&stage.ben).await;
    let mut quiet = Socket::open(stage.address()).await;
    quiet.hello(&stage.ann.token, Some(json!([]))).await;
    quiet.ok("signal", signal(&stage, "x")).await;
    assert_eq!(ben.expect("signal").await["sender"], json!(stage.ann.user));
    quiet.ok("ping", json!({})).await;
    assert_eq!(quiet.queued().count(), 0);
}

#[tokio::test]
async fn bad_signals_are_refused_and_told_to_nobody() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.refused("signal", json!({"room": stage.room}), "invalid").await;
    ann.refused("signal", json!({"room": stage.room, "data": 7}), "invalid").await;
    ann.refused("signal", json!({"data": "x"}), "invalid").await;
    ann.refused("signal", signal(&stage, &"x".repeat(1_025)), "too_large").await;
    ann.refused("typing", json!({"room": stage.room}), "invalid").await;
    ann.refused("typing", json!({"room": stage.room, "on": "yes"}), "invalid").await;
    let longest = "x".repeat(1_024);
    ann.ok("signal", signal(&stage, &longest)).await;
    assert_eq!(ben.expect("signal").await["data"], longest);
    assert_eq!(ben.queued().count(), 0);
}

#[tokio::test]
async fn strangers_and_former_members_neither_speak_nor_hear() {
    let stage = Stage::set(launch()).await;
    let eve = stage.http.signup("eve").await;
    let open = stage.http.make_open_group(&stage.ann, "open").await;
    let mut ann = stage.join(&stage.ann).await;
    let mut socket = stage.join(&eve).await;
    for room in [stage.room.as_str(), "AAAAAAAAAAAAAAAAAAAA", "no-such-room", ""] {
        socket.refused("signal", json!({"room": room, "data": "x"}), "not_found").await;
        socket.refused("typing", json!({"room": room, "on": true}), "not_found").await;
    }
    let in_open = json!({"room": open, "data": "x"});
    socket.refused("signal", in_open.clone(), "forbidden").await;
    socket.refused("typing", json!({"room": open, "on": true}), "forbidden").await;

    let post = async |rest: &str| {
        let path = format!("/v1/rooms/{open}/{rest}");
        stage.http.post(&path, json!({})).token(&eve.token).send().await.status
    };
    assert_eq!(post("join").await, 200);
    socket.expect("member").await;
    socket.ok("signal", in_open.clone()).await;
    assert_eq!(ann.expect("signal").await["sender"], json!(eve.user));
    socket.expect("signal").await;
    assert_eq!(post("leave").await, 204);
    socket.expect("member").await;
    socket.refused("signal", in_open.clone(), "forbidden").await;
    ann.ok("signal", in_open).await;
    socket.ok("ping", json!({})).await;
    assert!(!socket.queued().any(|frame| frame["op"] == "signal"));
}

#[tokio::test]
async fn who_types_is_told_until_they_stop() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    assert_eq!(ann.ok("typing", typing(&stage, true)).await["room"], stage.room);
    let frame = ben.expect("typing").await;
    assert_eq!(frame, json!({"op": "typing", "room": stage.room, "users": [stage.ann.user]}));
    ben.ok("typing", typing(&stage, true)).await;
    let mut both = [json!(stage.ann.user), json!(stage.ben.user)];
    both.sort_by_key(Value::to_string);
    assert_eq!(typists(&mut ben).await, json!(both));
    ann.ok("typing", typing(&stage, false)).await;
    assert_eq!(typists(&mut ben).await, json!([stage.ben.user]));
    let mut late = stage.join(&stage.ann).await;
    assert_eq!(typists(&mut late).await, json!([stage.ben.user]), "whoever comes learns it");
    ben.ok("typing", typing(&stage, false)).await;
    assert_eq!(typists(&mut ben).await, json!([]));
}

#[tokio::test]
async fn typing_ends_by_itself_six_seconds_after_the_last_word() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.ok("typing", typing(&stage, true)).await;
    assert_eq!(typists(&mut ben).await, json!([stage.ann.user]));
    let since = Instant::now();
    assert_eq!(ann.close().await, 1000);
    assert_eq!(typists(&mut ben).await, json!([]));
    let took = since.elapsed();
    assert!(took > Duration::from_secs(5) && took < SOON, "{took:?}");
}

#[tokio::test]
async fn at_most_two_frames_a_second_tell_of_typing() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    let since = Instant::now();
    let mut turns = 0;
    while since.elapsed() < Duration::from_secs(2) {
        turns += 1;
        ann.ok("typing", typing(&stage, turns % 2 == 1)).await;
    }
    ann.ok("typing", typing(&stage, true)).await;
    ann.send(&stage.room, "end", "of it").await;
    ben.expect("message").await;
    let frames = ben.queued().filter(|frame| frame["op"] == "typing").count() as f64;
    let most = since.elapsed().as_secs_f64() * 2.0 + 1.0;
    assert!(turns > 20 && frames <= most, "{frames} frames for {turns} changes, not {most}");
}

#[tokio::test]
async fn a_former_reader_hears_nothing_more() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c", "warm up").await;
    ben.expect("message").await;
    ben.ok("unsubscribe", json!({"room": stage.room})).await;
    ann.ok("signal", signal(&stage, "x")).await;
    ann.expect("signal").await;
    ben.ok("ping", json!({})).await;
    assert_eq!(ben.queued().count(), 0);
    let rooms = stage.http.get("/v1/rooms").token(&stage.ben.token).send().await.expect(200);
    assert_eq!(list(&rooms, "rooms").len(), 1);
}
