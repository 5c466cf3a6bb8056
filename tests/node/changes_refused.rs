//! Edits, deletions and reactions that are refused change nothing.

use crate::launch;
use madang_testkit::Stage;
use serde_json::{Value, json};

/// One of each, of this message.
fn each(stage: &Stage, seq: u64) -> [(&'static str, Value); 3] {
    let room = &stage.room;
    [
        ("edit", json!({"room": room, "seq": seq, "body": "changed"})),
        ("delete", json!({"room": room, "seq": seq})),
        ("react", json!({"room": room, "seq": seq, "emoji": "👍", "on": true})),
    ]
}

#[tokio::test]
async fn strangers_and_former_members() {
    let stage = Stage::set(launch()).await;
    stage.http.send(&stage.ann, &stage.room, "c1", "hello").await;
    let eve = stage.http.signup("eve").await;
    let mut eve = stage.join(&eve).await;
    for (op, fields) in each(&stage, 1) {
        eve.refused(op, fields, "not_found").await;
    }
    let mut ben = stage.join(&stage.ben).await;
    let leave = format!("/v1/rooms/{}/leave", stage.room);
    stage.http.post(&leave, json!({})).token(&stage.ben.token).send().await.expect(204);
    for (op, fields) in each(&stage, 1) {
        ben.refused(op, fields, "not_found").await;
    }
    assert_eq!(stage.http.whole_log(&stage.ann, &stage.room).await[0]["body"], "hello");
}

#[tokio::test]
async fn others_messages_and_missing_ones() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "c1", "ann's").await;
    ben.send(&stage.room, "c2", "ben's").await;
    let [edit, delete, _] = each(&stage, 1);
    ben.refused(edit.0, edit.1, "forbidden").await;
    ben.refused(delete.0, delete.1, "forbidden").await;
    let [edit, delete, _] = each(&stage, 2);
    ann.refused(edit.0, edit.1, "forbidden").await;
    ann.ok(delete.0, delete.1).await; // she owns the room
    for seq in [0, 3, (1 << 53) - 1] {
        for (op, fields) in each(&stage, seq) {
            ben.refused(op, fields, "not_found").await;
        }
    }
}

#[tokio::test]
async fn what_is_deleted_and_what_has_changed_since() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    ann.send(&stage.room, "c1", "one").await;
    let edit = |body: &str, if_rev: u64| {
        json!({"room": stage.room, "seq": 1, "body": body, "if_rev": if_rev})
    };
    ann.refused("edit", edit("two", 1), "conflict").await;
    ann.ok("edit", edit("two", 0)).await;
    ann.refused("edit", edit("three", 0), "conflict").await;
    ann.ok("edit", edit("two", 0)).await; // a retry: it is so already
    let [changed, delete, react] = each(&stage, 1);
    ann.ok(delete.0, delete.1).await;
    ann.refused(changed.0, changed.1, "conflict").await;
    ann.refused(react.0, react.1, "conflict").await;
}

#[tokio::test]
async fn junk_and_limits() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    ann.send(&stage.room, "c1", "one").await;
    let with = |op: usize, field: &str, value: Value| {
        let (op, mut fields) = each(&stage, 1)[op].clone();
        fields[field] = value;
        (op, fields)
    };
    for (op, fields) in [
        with(0, "body", json!("")),
        with(0, "body", json!(5)),
        with(0, "seq", json!("1")),
        with(0, "seq", json!(-1)),
        with(0, "if_rev", json!("0")),
        with(1, "seq", Value::Null),
        with(2, "emoji", json!("")),
        with(2, "emoji", json!("x".repeat(33))),
        with(2, "emoji", json!("a\u{7}b")),
        with(2, "on", json!("yes")),
        with(2, "on", Value::Null),
    ] {
        ann.refused(op, fields, "invalid").await;
    }
    let (op, long) = with(0, "body", json!("x".repeat(16_385)));
    ann.refused(op, long, "too_large").await;
    for (op, fields) in [with(0, "room", json!("nowhere")), with(2, "room", json!("nowhere"))] {
        ann.refused(op, fields, "not_found").await;
    }
    for kind in 0..20 {
        let (op, fields) = with(2, "emoji", json!(format!("e{kind}")));
        ann.ok(op, fields).await;
    }
    let (op, fields) = with(2, "emoji", json!("one more"));
    ann.refused(op, fields, "full").await;
    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    assert_eq!(log[0]["body"], "one");
}

#[tokio::test]
async fn replies_to_nothing() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    for reply_to in [0, 1, 99] {
        let fields =
            json!({"room": stage.room, "client_id": "c", "body": "b", "reply_to": reply_to});
        ann.refused("send", fields, "invalid").await;
    }
    assert!(stage.http.whole_log(&stage.ann, &stage.room).await.is_empty());
}
