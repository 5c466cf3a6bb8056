//! Coming back: every change that was missed, once, before the messages that were missed.

use crate::launch;
use madang_testkit::{Socket, Stage, client::{list, number}};
use serde_json::{Value, json};

async fn edit(socket: &mut Socket, stage: &Stage, seq: u64, body: &str) -> u64 {
    let fields = json!({"room": stage.room, "seq": seq, "body": body});
    number(&socket.ok("edit", fields).await, "rev")
}

/// Ben's connection that has this much of the room, and what it was told about it.
async fn resume(stage: &Stage, after_seq: u64, after_rev: u64) -> (Socket, Value) {
    let mut socket = Socket::open(stage.address()).await;
    let wish = json!([{"room": stage.room, "after_seq": after_seq, "after_rev": after_rev}]);
    let hello = socket.hello(&stage.ben.token, Some(wish)).await;
    let room = list(&hello, "rooms")[0].clone();
    (socket, room)
}

/// What came up to the message of this place: (op, seq, rev).
async fn frames_up_to(socket: &mut Socket, last: u64) -> Vec<(String, u64, u64)> {
    let mut frames = Vec::new();
    loop {
        let frame = socket.frame().await.expect("open");
        let op = frame["op"].as_str().unwrap_or_default().to_owned();
        if op != "message" && op != "changed" {
            continue;
        }
        let seq = number(&frame, "seq");
        frames.push((op, seq, frame["rev"].as_u64().unwrap_or(0)));
        if frames.last().is_some_and(|(op, seq, _)| op == "message" && *seq == last) {
            return frames;
        }
    }
}

fn frame(op: &str, seq: u64, rev: u64) -> (String, u64, u64) {
    (op.to_owned(), seq, rev)
}

#[tokio::test]
async fn missed_changes_come_first_then_missed_messages_as_they_are_now() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.fill(&stage.ann, 6).await;
    for (seq, body) in [(1, "a"), (2, "b"), (1, "c"), (6, "d")] {
        edit(&mut ann, &stage, seq, body).await;
    }
    let (mut ben, room) = resume(&stage, 5, 1).await;
    assert_eq!((number(&room, "last_seq"), number(&room, "last_rev")), (6, 4));
    ann.send(&stage.room, "live", "live").await;
    let expected = [
        frame("changed", 2, 2),
        frame("changed", 1, 3),
        frame("message", 6, 4),
        frame("message", 7, 0),
    ];
    assert_eq!(frames_up_to(&mut ben, 7).await, expected);
    edit(&mut ann, &stage, 3, "e").await;
    assert_eq!(number(&ben.expect("changed").await, "rev"), 5);
}

#[tokio::test]
async fn one_that_missed_nothing_is_told_nothing() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.fill(&stage.ann, 2).await;
    edit(&mut ann, &stage, 1, "a").await;
    let (mut ben, _) = resume(&stage, 2, 1).await;
    ann.send(&stage.room, "live", "live").await;
    assert_eq!(frames_up_to(&mut ben, 3).await, [frame("message", 3, 0)]);
}

/// More than any memory keeps, and after a restart, so that the store is asked.
#[tokio::test]
async fn many_changes_are_replayed_from_the_store() {
    let mut stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 300).await;
    let mut ann = stage.join(&stage.ann).await;
    let mut ids = std::collections::VecDeque::new();
    for seq in 1..=300 {
        let fields = json!({"room": stage.room, "seq": seq, "body": format!("e{seq}")});
        ids.push_back(ann.begin("edit", fields).await);
        if ids.len() == 20 {
            let id = ids.pop_front().expect("just counted");
            assert_eq!(ann.answer(id).await["op"], "ok");
        }
    }
    for id in ids {
        assert_eq!(ann.answer(id).await["op"], "ok");
    }
    stage.node.kill().await;
    stage.node.restart().await;
    let (mut ben, room) = resume(&stage, 200, 50).await;
    assert_eq!(number(&room, "last_rev"), 300);
    let frames = frames_up_to(&mut ben, 300).await;
    let (changed, messages) = frames.split_at(150);
    let revs: Vec<u64> = changed.iter().map(|(_, _, rev)| *rev).collect();
    assert!(changed.iter().all(|(op, seq, _)| op == "changed" && *seq <= 200), "{changed:?}");
    assert!(revs.is_sorted() && revs[0] > 50, "{revs:?}");
    let places: Vec<u64> = messages.iter().map(|(_, seq, _)| *seq).collect();
    assert_eq!(places, (201..=300).collect::<Vec<u64>>());
}

#[tokio::test]
async fn more_changes_than_are_replayed_are_truncated_and_said_so() {
    let stage = Stage::set(launch().with("replay-limit", 5)).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.fill(&stage.ann, 10).await;
    for seq in 1..=10 {
        edit(&mut ann, &stage, seq, "e").await;
    }
    let (mut ben, room) = resume(&stage, 10, 0).await;
    assert_eq!((&room["truncated_changes"], &room["truncated"]), (&json!(true), &Value::Null));
    ann.send(&stage.room, "live", "live").await;
    let frames = frames_up_to(&mut ben, 11).await;
    let revs: Vec<u64> = frames[..frames.len() - 1].iter().map(|(_, _, rev)| *rev).collect();
    assert_eq!(revs, [6, 7, 8, 9, 10]);
}

#[tokio::test]
async fn a_rev_from_the_future_or_alone_is_invalid() {
    let stage = Stage::set(launch()).await;
    let mut ben = stage.join(&stage.ben).await;
    for fields in [
        json!({"room": stage.room, "after_seq": 0, "after_rev": 1}),
        json!({"room": stage.room, "after_rev": 0}),
    ] {
        ben.refused("subscribe", fields, "invalid").await;
    }
}

/// Readers that come and go while messages and changes are made: what each ends up with is what
/// the room is.
#[tokio::test]
async fn whoever_comes_back_has_the_room_as_it_is() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.fill(&stage.ann, 20).await;
    let (mut bodies, mut seen) = (std::collections::BTreeMap::new(), (0, 0));
    for turn in 0..12_u64 {
        let (mut ben, room) = resume(&stage, seen.0, seen.1).await;
        for step in 0..6 {
            edit(&mut ann, &stage, 1 + (turn * 7 + step) % 20, &format!("t{turn}s{step}")).await;
            ann.send(&stage.room, &format!("t{turn}s{step}"), "new").await;
        }
        // Leaves in the middle of what is live.
        let until = number(&room, "last_seq") + 3;
        let (mut last_seq, mut last_rev) = (seen.0, seen.1);
        while last_seq < until {
            let frame = ben.frame().await.expect("open");
            let (op, seq) = (frame["op"].as_str().unwrap_or_default(), frame["seq"].as_u64());
            let Some(seq) = seq else { continue };
            bodies.insert(seq, frame["body"].clone());
            let rev = frame["rev"].as_u64().unwrap_or(0);
            match op {
                "message" => {
                    assert_eq!(seq, last_seq + 1, "no hole, no repeat");
                    last_seq = seq;
                }
                _ => {
                    assert!(rev >= last_rev && seq <= last_seq, "{frame}");
                    last_rev = rev;
                }
            }
        }
        seen = (last_seq, last_rev);
    }
    let (mut ben, room) = resume(&stage, seen.0, seen.1).await;
    ann.send(&stage.room, "end", "end").await;
    let end = number(&room, "last_seq") + 1;
    while bodies.keys().last() != Some(&end) {
        let frame = ben.frame().await.expect("open");
        if let Some(seq) = frame["seq"].as_u64() {
            bodies.insert(seq, frame["body"].clone());
        }
    }
    for message in stage.http.whole_log(&stage.ann, &stage.room).await {
        assert_eq!(bodies[&number(&message, "seq")], message["body"], "{message}");
    }
}
