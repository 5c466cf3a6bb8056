//! Edits, deletions, reactions and replies: who sees what, and that it lasts.

use crate::launch;
use madang_testkit::{Account, Http, Socket, Stage, client::number};
use serde_json::{Value, json};

fn target(stage: &Stage, seq: u64) -> Value {
    json!({"room": stage.room, "seq": seq})
}

fn edit(stage: &Stage, seq: u64, body: &str) -> Value {
    json!({"room": stage.room, "seq": seq, "body": body})
}

fn react(stage: &Stage, seq: u64, emoji: &str, on: bool) -> Value {
    json!({"room": stage.room, "seq": seq, "emoji": emoji, "on": on})
}

/// The only message of the room, as this user reads it.
async fn the_message(http: &Http, reader: &Account, stage: &Stage) -> Value {
    let mut log = http.whole_log(reader, &stage.room).await;
    assert_eq!(log.len(), 1);
    log.remove(0)
}

/// The next frame about message 1 on which the reactions are these.
async fn reactions_become(socket: &mut Socket, expected: Value) -> Value {
    loop {
        let changed = socket.expect("changed").await;
        if changed["reactions"] == expected {
            return changed;
        }
    }
}

#[tokio::test]
async fn an_edit_reaches_everybody_and_lasts() {
    let mut stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "first").await;
    let ok = ann.ok("edit", edit(&stage, 1, "second")).await;
    assert_eq!((&ok["room"], number(&ok, "seq"), number(&ok, "rev")), (&json!(stage.room), 1, 1));
    let seen = ben.expect("changed").await;
    assert_eq!((&seen["body"], number(&seen, "rev")), (&json!("second"), 1));
    assert!(seen["edited_at"].is_u64() && seen["client_id"].is_null(), "{seen}");
    assert_eq!(ann.expect("changed").await["client_id"], "c1", "her own");

    stage.node.kill().await;
    stage.node.restart().await;
    let stored = the_message(&stage.http, &stage.ben, &stage).await;
    assert_eq!((&stored["body"], number(&stored, "rev")), (&json!("second"), 1));
    let rooms = stage.http.get("/v1/rooms").token(&stage.ben.token).send().await.expect(200);
    assert_eq!(rooms["rooms"][0]["last_message"]["body"], "second");
    assert_eq!(number(&rooms["rooms"][0], "last_rev"), 1);
}

#[tokio::test]
async fn the_same_again_takes_no_rev() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    ann.send(&stage.room, "c1", "first").await;
    assert_eq!(number(&ann.ok("edit", edit(&stage, 1, "first")).await, "rev"), 0);
    for _ in 0..2 {
        assert_eq!(number(&ann.ok("edit", edit(&stage, 1, "second")).await, "rev"), 1);
    }
    for _ in 0..2 {
        assert_eq!(number(&ann.ok("delete", target(&stage, 1)).await, "rev"), 2);
    }
}

#[tokio::test]
async fn a_deleted_message_keeps_its_place_and_loses_the_rest() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "to be forgotten").await;
    ben.ok("react", react(&stage, 1, "👍", true)).await;
    reactions_become(&mut ben, json!({"👍": 1})).await;
    ann.ok("delete", target(&stage, 1)).await;
    let seen = ben.expect("changed").await;
    assert_eq!((&seen["deleted"], &seen["body"]), (&json!(true), &json!("")), "{seen}");
    assert!(seen["reactions"].is_null(), "{seen}");
    let stored = the_message(&stage.http, &stage.ann, &stage).await;
    assert_eq!((&stored["deleted"], &stored["client_id"]), (&json!(true), &json!("c1")));
    let again = ann.send(&stage.room, "c1", "not a new one").await;
    assert_eq!((number(&again, "seq"), &again["duplicate"]), (1, &json!(true)));
}

#[tokio::test]
async fn reactions_are_counted_and_ones_own_are_told() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "hello").await;
    for _ in 0..2 {
        ann.ok("react", react(&stage, 1, "🎉", true)).await;
        ben.ok("react", react(&stage, 1, "🎉", true)).await;
        ben.ok("react", react(&stage, 1, "👍", true)).await;
    }
    let seen = reactions_become(&mut ann, json!({"🎉": 2, "👍": 1})).await;
    assert!(seen["my_reactions"].is_null(), "only in answers: {seen}");
    for (reader, mine) in [(&stage.ann, json!(["🎉"])), (&stage.ben, json!(["🎉", "👍"]))] {
        let stored = the_message(&stage.http, reader, &stage).await;
        assert_eq!(stored["reactions"], json!({"🎉": 2, "👍": 1}));
        assert_eq!(stored["my_reactions"], mine);
    }
    let history = ben.ok("history", json!({"room": stage.room})).await;
    assert_eq!(history["messages"][0]["my_reactions"], json!(["🎉", "👍"]));
    ben.ok("react", react(&stage, 1, "🎉", false)).await;
    ben.ok("react", react(&stage, 1, "👍", false)).await;
    reactions_become(&mut ann, json!({"🎉": 1})).await;
}

#[tokio::test]
async fn many_reactions_to_one_message_are_few_frames() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "hello").await;
    for turn in 0..30 {
        ben.ok("react", react(&stage, 1, "👍", turn % 2 == 0)).await;
    }
    ben.ok("react", react(&stage, 1, "🎉", true)).await;
    reactions_become(&mut ann, json!({"🎉": 1})).await;
    let history = ann.ok("history", json!({"room": stage.room})).await;
    let rev = number(&history["messages"][0], "rev");
    // 31 changes within a second or two (this machine may be slow), told once a second.
    assert!(rev < 15, "{rev} frames for 31 reactions");
}

#[tokio::test]
async fn reactions_outlive_a_kill_and_are_told_afterwards() {
    let mut stage = Stage::set(launch()).await;
    let mut ben = stage.join(&stage.ben).await;
    stage.http.send(&stage.ann, &stage.room, "c1", "hello").await;
    ben.ok("react", react(&stage, 1, "👍", true)).await;
    reactions_become(&mut ben, json!({"👍": 1})).await;
    ben.ok("react", react(&stage, 1, "🎉", true)).await;
    stage.node.kill().await; // most likely before it was told
    stage.node.restart().await;
    let stored = the_message(&stage.http, &stage.ben, &stage).await;
    assert_eq!(stored["reactions"], json!({"👍": 1, "🎉": 1}));
    let mut ann = stage.join(&stage.ann).await;
    ann.ok("react", react(&stage, 1, "👍", true)).await;
    reactions_become(&mut ann, json!({"👍": 2, "🎉": 1})).await;
}

#[tokio::test]
async fn a_reply_says_what_it_answers() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "question").await;
    let reply =
        json!({"room": stage.room, "client_id": "c2", "body": "answer", "reply_to": 1});
    ben.ok("send", reply).await;
    ann.expect("message").await;
    assert_eq!(number(&ann.expect("message").await, "reply_to"), 1);
    let path = format!("/v1/rooms/{}/messages", stage.room);
    let body = json!({"client_id": "c3", "body": "again", "reply_to": 2});
    stage.http.post(&path, body).token(&stage.ann.token).send().await.expect(201);
    assert_eq!(number(&ann.expect("message").await, "reply_to"), 2);
}
