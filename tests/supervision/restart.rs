//! What a restart looks like from outside.

use crate::rig::{Rig, insist, join};
use madang_testkit::{Socket, client::number};
use serde_json::json;

#[tokio::test]
async fn a_hub_that_panics_closes_with_1012_and_its_clients_resume() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    let mut ann = join(&rig, &stage.ann, room).await;
    let mut ben = join(&rig, &stage.ben, room).await;
    ann.send(room, "1", "before").await;
    assert_eq!(number(&ben.expect("message").await, "seq"), 1);
    rig.point("hub.handle", "1*panic").await;
    for socket in [&mut ann, &mut ben] {
        assert_eq!(socket.close_code().await, 1012);
    }
    rig.faulted("hub", 1, 1).await;
    stage.http.send(&stage.ann, room, "2", "meanwhile").await;
    let mut ben = Socket::open(stage.address()).await;
    let wish = json!([{"room": room, "after_seq": 1}]);
    ben.hello(&stage.ben.token, Some(wish)).await;
    assert_eq!(number(&ben.expect("message").await, "seq"), 2);
    let mut ann = join(&rig, &stage.ann, room).await;
    ann.send(room, "3", "after").await;
    assert_eq!(number(&ben.expect("message").await, "seq"), 3);
    // Only these: of the connections of the life before nothing is left.
    assert_eq!(stage.http.metrics().await.sum("madang_connections", &[]), 2.0);
}

/// Its readers stay where they are and get everything, once.
#[tokio::test]
async fn an_audience_that_panics_keeps_its_readers() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    let mut ann = join(&rig, &stage.ann, room).await;
    let mut ben = join(&rig, &stage.ben, room).await;
    for turn in 1..=5 {
        let point = if turn % 2 == 0 { "audience.handle" } else { "audience.end_of_turn" };
        rig.point(point, "1*panic").await;
        for number in 0..5 {
            ann.send(room, &format!("{turn}.{number}"), "x").await;
        }
        for seq in (turn - 1) * 5 + 1..=turn * 5 {
            assert_eq!(number(&ben.expect("message").await, "seq"), seq);
        }
    }
    rig.faulted("audience", 5, 5).await;
}

/// A supervisor begins its children anew, also one it has not heard of when it panicked.
#[tokio::test]
async fn a_supervisor_that_panics_knows_its_children_again() {
    let rig = Rig::set("").await;
    let stage = &rig.stage;
    rig.talk(&stage.room, "before").await;
    let other = stage.http.make_group(&stage.ann, "other", &[&stage.ben]).await;
    // The next it hears of is the room that begins with its first message.
    rig.point("supervisor.handle", "1*panic").await;
    rig.talk(&other, "begins").await;
    rig.is_up_after("rooms", 1..=1).await;
    rig.talk(&stage.room, "after").await;
    for point in ["room.handle", "audience.handle"] {
        rig.point(point, "1*panic").await;
        insist(&rig, &other, point).await;
        rig.talk(&other, &format!("after {point}")).await;
    }
}

/// The store's actors, and rooms that wait for them.
#[tokio::test]
async fn sends_under_way_survive_the_writer() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    let mut ann = join(&rig, &stage.ann, room).await;
    for point in ["store_writer.handle", "store_writer.written", "store_writer.end_of_turn"] {
        rig.point(point, "1*panic").await;
        let mut asked = Vec::new();
        for number in 0..20 {
            let name = format!("{point} {number}");
            let fields = json!({"room": room, "client_id": name, "body": name});
            asked.push(ann.begin("send", fields).await);
        }
        for id in asked {
            let answer = ann.answer(id).await;
            assert_eq!(answer["op"], "ok", "in doubt, so read back, never refused: {answer}");
        }
    }
    let log = stage.http.whole_log(&stage.ann, room).await;
    let names: Vec<&str> = log.iter().filter_map(|message| message["client_id"].as_str()).collect();
    let expected = |point| (0..20).map(move |number| format!("{point} {number}"));
    let expected: Vec<String> = ["store_writer.handle", "store_writer.written"]
        .into_iter()
        .chain(["store_writer.end_of_turn"])
        .flat_map(expected)
        .collect();
    assert_eq!(names, expected);
    rig.faulted("store_writer", 3, 3).await;
    assert_eq!(rig.faults("room").await, (0, 0), "siblings are left alone");
}
