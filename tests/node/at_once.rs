//! What has no number is heard from the `ok` of a subscription on, whatever else is still to come,
//! and nothing of a room after the `ok` that ends it.

use crate::launch;
use madang_testkit::{
    Socket, Stage,
    client::list,
    wait::{SOON, within},
};
use serde_json::{Value, json};

fn signal(room: &str, data: &str) -> Value {
    json!({"room": room, "data": data})
}

/// A connection of `ben` that receives nothing.
async fn quiet(stage: &Stage) -> Socket {
    let mut ben = Socket::open(stage.address()).await;
    ben.hello(&stage.ben.token, Some(json!([]))).await;
    ben
}

/// The rooms of a `hello` in its order.
fn rooms_of(hello: &Value) -> Vec<String> {
    let room = |room: &Value| room["room"].as_str().expect("a text").to_owned();
    list(hello, "rooms").iter().map(room).collect()
}

async fn more_rooms(stage: &Stage, count: usize) {
    for number in 0..count {
        stage.http.make_group(&stage.ann, &format!("room {number}"), &[&stage.ben]).await;
    }
}

#[tokio::test]
async fn a_signal_is_heard_from_subscribe_to_unsubscribe() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = (stage.join(&stage.ann).await, quiet(&stage).await);
    for turn in 0..100 {
        ben.ok("subscribe", json!({"room": stage.room})).await;
        ann.ok("signal", signal(&stage.room, &turn.to_string())).await;
        assert_eq!(ben.expect("signal").await["data"], turn.to_string());
        ben.ok("unsubscribe", json!({"room": stage.room})).await;
        ann.ok("signal", signal(&stage.room, "not for ben")).await;
    }
    ben.ok("ping", json!({})).await;
    assert_eq!(ben.queued().count(), 0);
}

#[tokio::test]
async fn a_signal_in_any_room_is_heard_from_hello_on() {
    let stage = Stage::set(launch()).await;
    more_rooms(&stage, 30).await;
    let mut ann = Socket::open(stage.address()).await;
    ann.hello(&stage.ann.token, Some(json!([]))).await; // nobody has these rooms open
    for round in 0..10 {
        let mut ben = Socket::open(stage.address()).await;
        let hello = ben.hello(&stage.ben.token, None).await;
        let rooms = rooms_of(&hello);
        assert_eq!(rooms.len(), 31);
        for room in rooms.iter().rev() {
            ann.begin("signal", signal(room, &round.to_string())).await;
        }
        for _ in &rooms {
            assert_eq!(ben.expect("signal").await["data"], round.to_string());
        }
        ben.ok("ping", json!({})).await;
        assert_eq!(ben.queued().count(), 0, "once");
    }
}

#[tokio::test]
async fn who_types_is_told_to_one_who_says_hello_meanwhile() {
    let stage = Stage::set(launch()).await;
    more_rooms(&stage, 8).await;
    let mut ann = stage.join(&stage.ann).await;
    for turn in 0..4 {
        let mut ben = Socket::open(stage.address()).await;
        let hello = ben.hello(&stage.ben.token, None).await;
        let room = rooms_of(&hello).pop().expect("some");
        ann.begin("typing", json!({"room": room, "on": turn % 2 == 0})).await;
        let told = async {
            while ben.expect("typing").await["users"].as_array().expect("a list").is_empty()
                == (turn % 2 == 0)
            {}
        };
        within("ben is told", SOON, told).await;
    }
}

#[tokio::test]
async fn a_signal_is_heard_during_a_replay() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 900).await;
    more_rooms(&stage, 2).await;
    let mut ann = stage.join(&stage.ann).await;
    for turn in 0..5 {
        let mut ben = Socket::open(stage.address()).await;
        let all = ben.hello(&stage.ben.token, Some(json!([]))).await;
        assert_eq!(list(&all, "rooms").len(), 0);
        let wish = json!({"room": stage.room, "after_seq": 0});
        ben.ok("subscribe", wish.clone()).await;
        ann.ok("signal", signal(&stage.room, &turn.to_string())).await;
        assert_eq!(ben.expect("signal").await["data"], turn.to_string());
        // Again from the beginning, in the middle of it.
        ben.ok("subscribe", wish).await;
        ann.ok("signal", signal(&stage.room, "again")).await;
        assert_eq!(ben.expect("signal").await["data"], "again");
    }
}

#[tokio::test]
async fn nothing_follows_the_ok_of_an_unsubscribe_that_overtakes_its_subscription() {
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 50).await;
    let (mut ann, mut ben) = (stage.join(&stage.ann).await, quiet(&stage).await);
    let room = stage.room.clone();
    let talks = tokio::spawn(async move {
        for turn in 0.. {
            ann.ok("signal", signal(&room, "x")).await;
            ann.send(&room, &format!("t{turn}"), "x").await;
        }
    });
    for _ in 0..100 {
        let wish = json!({"room": stage.room, "after_seq": 0});
        let subscribe = ben.begin("subscribe", wish).await;
        assert_eq!(ben.answer(subscribe).await["op"], "ok");
        let unsubscribe = ben.begin("unsubscribe", json!({"room": stage.room})).await;
        assert_eq!(ben.answer(unsubscribe).await["op"], "ok");
        while ben.queued().count() > 0 {
            ben.frame().await;
        }
        for _ in 0..3 {
            ben.ok("ping", json!({})).await;
        }
        assert_eq!(ben.queued().next(), None);
    }
    talks.abort();
}
