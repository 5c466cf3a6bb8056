//! Panics in the middle of what is under way, with everybody talking.

use crate::rig::{Rig, ask, join};
use madang_testkit::{
    Account, Stage,
    client::text,
    history::{ACKNOWLEDGED_MIN, Stored, check},
    load::{Load, WriterPlan},
    wait::{SOON, until},
};
use serde_json::json;
use std::collections::BTreeMap;

/// One after the other, a hundred messages apart. `handle` is met between two messages of a turn;
/// the others stand where a commit is done and nobody knows of it yet.
const FAULTS: &[(&str, &str)] = &[
    ("room.appended", "1*panic"),
    ("room.handle", "13*off->1*panic"),
    ("room.end_of_turn", "3*off->1*panic"),
    ("store_writer.written", "1*panic"),
    ("store_writer.handle", "5*off->1*panic"),
    ("store_writer.end_of_turn", "3*off->1*panic"),
    ("store_reader.handle", "1*panic"),
    ("audience.handle", "7*off->1*panic"),
    ("audience.end_of_turn", "1*panic"),
    ("hub.handle", "17*off->1*panic"),
    ("hub.end_of_turn", "5*off->1*panic"),
    ("connection.handle", "23*off->1*panic"),
    ("connection.input", "29*off->1*panic"),
    ("batcher.receipts_written", "1*panic"),
    ("batcher.handle", "1*panic"),
    ("session_check.handle", "1*panic"),
];
const BETWEEN: usize = 130;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_under_load_lose_nothing_and_repeat_nothing() {
    let rig = Rig::set("").await;
    let stage = &rig.stage;
    // Before there is a load: who joins has read everything so far.
    let carol = lurker(&rig).await;
    let mut load = Load::new(stage.address(), &stage.room);
    let plan = WriterPlan { outlives_faults: true, ..WriterPlan::default() };
    for account in [&stage.ann, &stage.ben, &stage.ann, &stage.ben] {
        load.write(account, plan);
    }
    load.read(&stage.ann);
    load.read(&stage.ben);
    for (number, (point, actions)) in FAULTS.iter().enumerate() {
        load.acknowledged(BETWEEN * (number + 1)).await;
        rig.point(point, actions).await;
        read(&rig, &carol, BETWEEN * (number + 1)).await; // something for the batcher to write
    }
    load.acknowledged(ACKNOWLEDGED_MIN.max(BETWEEN * (FAULTS.len() + 1))).await;
    // What was down until now meets its last fault in what goes on.
    for kind in ["room", "store_writer", "store_reader", "audience", "hub", "batcher"] {
        let is_meant = |(point, _): &&(&str, &str)| point.split('.').next() == Some(kind);
        let planned = FAULTS.iter().filter(is_meant).count();
        let are_met = || async { (rig.faults(kind).await.0 == planned as u64).then_some(()) };
        until(&format!("{planned} panics of {kind}"), SOON, are_met).await;
    }
    let journal = load.finish().await;

    let log = stage.http.whole_log(&stage.ben, &stage.room).await;
    let logs = BTreeMap::from([(stage.room.clone(), log.iter().map(Stored::of).collect())]);
    let judged = check(&journal.events(), &logs, ACKNOWLEDGED_MIN);
    let summary = judged.unwrap_or_else(|found| panic!("{found:?}"));
    assert_eq!(summary.acknowledged, summary.stored, "{summary:?}");
}

/// Reads up to `seq`, again where a fault is in the way. Heard to the end, for a socket that is
/// dropped with frames unread resets the connection, and takes what it just sent with it.
async fn read(rig: &Rig, reader: &Account, seq: usize) {
    let room = &rig.stage.room;
    let attempt = || async {
        let mut socket = join(rig, reader, room).await;
        let answer = ask(&mut socket, "read", json!({"room": room, "seq": seq})).await?;
        (answer["op"] == "ok").then_some(())
    };
    until("a read is noted", SOON, attempt).await;
}

/// A member who reads and says nothing.
async fn lurker(rig: &Rig) -> Account {
    let Stage { http, ann, room, .. } = &rig.stage;
    let carol = http.signup("carol").await;
    let members = format!("/v1/rooms/{room}/members");
    let added = http.post(&members, json!({"user": carol.user})).token(&ann.token).send().await;
    assert_eq!(text(&added.expect(200), "role"), "member");
    carol
}
