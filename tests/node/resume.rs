//! Reconnecting: everything missed, once, in order, then what is new.

use crate::launch;
use madang_testkit::{
    Launch, Socket, Stage,
    client::{list, number},
};
use serde_json::{Value, json};

/// A connection of `ben` that has said hello for the room after this message, and what it was
/// told about the room.
async fn resume(stage: &Stage, after_seq: u64) -> (Socket, Value) {
    let mut socket = Socket::open(stage.address()).await;
    let wish = json!([{"room": stage.room, "after_seq": after_seq}]);
    let hello = socket.hello(&stage.ben.token, Some(wish)).await;
    let room = list(&hello, "rooms")[0].clone();
    (socket, room)
}

/// Reads messages until this one has come; their places.
async fn places_up_to(socket: &mut Socket, last: u64) -> Vec<u64> {
    let mut places = Vec::new();
    while places.last() != Some(&last) {
        places.push(number(&socket.expect("message").await, "seq"));
    }
    places
}

fn from_to(first: u64, last: u64) -> Vec<u64> {
    (first..=last).collect()
}

#[tokio::test]
async fn missed_messages_come_first_and_once() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 10).await;
    let (mut ben, room) = resume(&stage, 4).await;
    assert_eq!((number(&room, "last_seq"), &room["truncated"]), (10, &Value::Null));
    stage.http.send(&stage.ann, &stage.room, "live", "live").await;
    assert_eq!(places_up_to(&mut ben, 11).await, from_to(5, 11));
}

#[tokio::test]
async fn a_reader_that_missed_nothing_is_told_nothing_twice() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 10).await;
    let (mut ben, _) = resume(&stage, 10).await;
    stage.http.send(&stage.ann, &stage.room, "live", "live").await;
    assert_eq!(places_up_to(&mut ben, 11).await, [11]);
}

#[tokio::test]
async fn a_long_replay_and_live_messages_meet_without_gap_or_repeat() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 900).await;
    let mut ann = stage.join(&stage.ann).await;
    let mut ids = Vec::new();
    for turn in 0..20 {
        ids.push(ann.begin("send", live(&stage, turn)).await);
    }
    let (mut ben, _) = resume(&stage, 0).await;
    for turn in 20..30 {
        ids.push(ann.begin("send", live(&stage, turn)).await);
    }
    for id in ids {
        assert_eq!(ann.answer(id).await["op"], "ok");
    }
    assert_eq!(places_up_to(&mut ben, 930).await, from_to(1, 930));
}

fn live(stage: &Stage, turn: u32) -> Value {
    json!({"room": stage.room, "client_id": format!("live{turn}"), "body": "live"})
}

/// Enough for the room's window of recent messages not to cover it, so that the store is asked.
#[tokio::test]
async fn a_replay_survives_a_restart() {
    let mut stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 300).await;
    stage.node.kill().await;
    stage.node.restart().await;
    let (mut ben, _) = resume(&stage, 100).await;
    assert_eq!(places_up_to(&mut ben, 300).await, from_to(101, 300));
}

fn short_replay() -> Launch {
    launch().with("replay-limit", 10)
}

#[tokio::test]
async fn beyond_the_limit_the_newest_are_replayed_and_history_has_the_rest() {
    let stage = Stage::set(short_replay()).await;
    stage.fill(&stage.ann, 25).await;
    let (mut ben, room) = resume(&stage, 3).await;
    assert_eq!((&room["truncated"], &room["replay_from"]), (&json!(true), &json!(16)));
    assert_eq!(places_up_to(&mut ben, 25).await, from_to(16, 25));
    let older = json!({"room": stage.room, "after": 3, "limit": 12});
    let older = ben.ok("history", older).await;
    let older: Vec<u64> = list(&older, "messages").iter().map(|m| number(m, "seq")).collect();
    assert_eq!(older, from_to(4, 15));
}

#[tokio::test]
async fn at_the_limit_nothing_is_left_out() {
    let stage = Stage::set(short_replay()).await;
    stage.fill(&stage.ann, 25).await;
    let (mut ben, room) = resume(&stage, 15).await;
    assert_eq!((&room["truncated"], &room["replay_from"]), (&Value::Null, &Value::Null));
    assert_eq!(places_up_to(&mut ben, 25).await, from_to(16, 25));
}

#[tokio::test]
async fn a_place_in_the_future_is_invalid() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 3).await;
    let (mut ben, room) = resume(&stage, 4).await;
    assert_eq!(room["error"], "invalid");
    ben.refused("subscribe", json!({"room": stage.room, "after_seq": 4}), "invalid").await;
    ben.ok("subscribe", json!({"room": stage.room, "after_seq": 3})).await;
}

#[tokio::test]
async fn subscribing_again_changes_nothing_unless_it_says_where() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 5).await;
    let mut ben = stage.join(&stage.ben).await;
    let again = ben.ok("subscribe", json!({"room": stage.room})).await;
    assert_eq!(number(&again, "last_seq"), 5);
    stage.http.send(&stage.ann, &stage.room, "live", "live").await;
    assert_eq!(places_up_to(&mut ben, 6).await, [6]);
    ben.ok("subscribe", json!({"room": stage.room, "after_seq": 2})).await;
    assert_eq!(places_up_to(&mut ben, 6).await, from_to(3, 6));
}

#[tokio::test]
async fn a_room_that_fails_does_not_fail_the_others() {
    let stage = Stage::set(launch()).await;
    let hidden = stage.http.make_group(&stage.ann, "hidden", &[]).await;
    let open = stage.http.make_open_group(&stage.ann, "open").await;
    let mut ben = Socket::open(stage.address()).await;
    let wish = json!([
        {"room": "nowhere"}, {"room": hidden}, {"room": open}, {"room": stage.room},
    ]);
    let hello = ben.hello(&stage.ben.token, Some(wish)).await;
    let told = list(&hello, "rooms");
    let errors: Vec<&Value> = told.iter().map(|room| &room["error"]).collect();
    let [not_found, forbidden] = [json!("not_found"), json!("forbidden")];
    assert_eq!(errors, [&not_found, &not_found, &forbidden, &Value::Null]);
    assert_eq!(told[0]["room"], "nowhere");
    stage.http.send(&stage.ann, &stage.room, "live", "live").await;
    ben.expect("message").await;
}

#[tokio::test]
async fn an_empty_wish_hears_nothing() {
    let stage = Stage::set(launch()).await;
    let mut ben = Socket::open(stage.address()).await;
    let hello = ben.hello(&stage.ben.token, Some(json!([]))).await;
    assert!(list(&hello, "rooms").is_empty());
    ben.send(&stage.room, "c", "into the room").await;
    ben.ok("ping", json!({})).await;
    assert_eq!(ben.queued().count(), 0);
}

/// 300 messages of the longest body are more than four times what an out-queue may hold.
async fn large_log() -> Stage {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    let body = "x".repeat(16_384);
    for number in 0..300 {
        ann.send(&stage.room, &format!("c{number}"), &body).await;
    }
    stage
}

#[tokio::test]
async fn a_replay_of_large_messages_does_not_outgrow_the_out_queue() {
    let stage = large_log().await;
    let (mut ben, _) = resume(&stage, 0).await;
    assert_eq!(places_up_to(&mut ben, 300).await, from_to(1, 300));
}

#[tokio::test]
async fn pages_hold_what_fits_into_an_answer() {
    let stage = large_log().await;
    let mut ben = Socket::open(stage.address()).await;
    ben.hello(&stage.ben.token, Some(json!([]))).await;
    let mut asked = Vec::new();
    for _ in 0..10 {
        let fields = json!({"room": stage.room, "after": 0, "limit": 200});
        asked.push(ben.begin("history", fields).await);
    }
    for id in asked {
        let page = ben.answer(id).await;
        assert_eq!(page["op"], "ok", "{page}");
        assert!(page.to_string().len() <= 1 << 20);
        let places: Vec<u64> = list(&page, "messages").iter().map(|m| number(m, "seq")).collect();
        assert!(places.len() > 10, "{}", places.len());
        assert_eq!(places, from_to(1, places.len() as u64), "the oldest ones behind `after`");
    }
    let newest = ben.ok("history", json!({"room": stage.room, "limit": 200})).await;
    let places: Vec<u64> = list(&newest, "messages").iter().map(|m| number(m, "seq")).collect();
    assert_eq!(places, from_to(301 - places.len() as u64, 300), "the newest ones");
}
