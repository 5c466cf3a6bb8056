//! Actors that panic every time.

use crate::rig::{Rig, gave_up, insist, join, launch};
use madang_testkit::{
    Socket,
    client::number,
    history::{Stored, check},
    load::{Load, WriterPlan},
    wait::{SOON, until},
};
use serde_json::json;
use std::collections::BTreeMap;

/// Those the node cannot do without end it: the process is started again by whoever keeps it up.
#[tokio::test]
async fn a_part_that_cannot_be_kept_up_ends_the_node() {
    let parts = ["hub", "batcher", "session_check", "store_writer", "store_reader"];
    let ends = async |points: String, why: String| {
        let ended = launch(&points).fail().await;
        assert_eq!(ended.status.code(), Some(70), "{points}: {}", ended.text());
        assert!(ended.stderr.contains(&why), "{points}: {}", ended.text());
    };
    for part in parts {
        ends(format!("{part}.start=panic"), format!("{part} keeps failing")).await;
    }
    // All but the root, which is the first to start.
    let why = "keeps failing: failpoint supervisor.start panic";
    ends("supervisor.start=1*off->panic".to_owned(), why.to_owned()).await;
}

#[tokio::test]
async fn the_root_has_nobody_above_it() {
    let mut rig = Rig::set("").await;
    rig.point("supervisor.handle", "1*panic").await;
    rig.point("hub.handle", "1*panic").await; // of which the root is told
    gave_up(&mut rig.stage.node, "the root supervisor").await;
}

/// From full work: what was acknowledged is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_gives_up_under_load_loses_nothing() {
    const ACKNOWLEDGED: usize = 300;
    let mut rig = Rig::set("").await;
    let stage = &rig.stage;
    let mut load = Load::new(stage.address(), &stage.room);
    let plan = WriterPlan { outlives_faults: true, ..WriterPlan::default() };
    load.write(&stage.ann, plan);
    load.write(&stage.ben, plan);
    load.read(&stage.ben);
    load.acknowledged(ACKNOWLEDGED).await;
    rig.point("store_writer.written", "panic").await;
    rig.point("store_writer.start", "panic").await;
    gave_up(&mut rig.stage.node, "store_writer keeps failing").await;
    rig.stage.node.restart_as(launch("")).await;
    load.acknowledged(2 * ACKNOWLEDGED).await;
    let journal = load.finish().await;
    let stage = &rig.stage;
    let log = stage.http.whole_log(&stage.ben, &stage.room).await;
    let logs = BTreeMap::from([(stage.room.clone(), log.iter().map(Stored::of).collect())]);
    check(&journal.events(), &logs, ACKNOWLEDGED).unwrap_or_else(|found| panic!("{found:?}"));
}

/// A room nobody can keep up is given up, and begins anew when it is asked for.
#[tokio::test]
async fn a_room_that_panics_every_time_harms_nobody_else() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    rig.talk(room, "before").await;
    rig.point("room.start", "panic").await; // that of every room that begins now
    let sick = stage.http.make_group(&stage.ann, "sick", &[&stage.ben]).await;
    let mut ann = join(&rig, &stage.ann, &sick).await;
    let fields = json!({"room": sick, "client_id": "c", "body": "c"});
    for turn in 0..3 {
        ann.refused("send", fields.clone(), "unavailable").await;
        rig.talk(room, &format!("next door {turn}")).await;
    }
    rig.point("room.start", "off").await;
    assert_eq!(insist(&rig, &sick, "c").await, 1);
    assert_eq!(number(&ann.expect("message").await, "seq"), 1);
}

/// Readers of an audience that was given up get what they missed once there is one again.
#[tokio::test]
async fn readers_outlast_an_audience_that_is_given_up() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    let mut ann = join(&rig, &stage.ann, room).await;
    let mut ben = join(&rig, &stage.ben, room).await;
    ann.send(room, "1", "1").await;
    assert_eq!(number(&ben.expect("message").await, "seq"), 1);
    rig.point("audience.start", "panic").await;
    rig.point("audience.handle", "1*panic").await;
    ann.send(room, "2", "2").await;
    let is_gone = || async { (rig.faults("audience").await.0 >= 6).then_some(()) };
    until("six panics", SOON, is_gone).await;
    ann.send(room, "3", "3").await; // begins another one, to no avail
    ann.ok("ping", json!({})).await;
    rig.point("audience.start", "off").await;
    ann.send(room, "4", "4").await;
    for seq in 2..=4 {
        assert_eq!(number(&ben.expect("message").await, "seq"), seq);
    }
}

/// No connection can be kept, but the node lives, answers over HTTP, and recovers.
#[tokio::test]
async fn connections_that_panic_every_time_are_all_that_fails() {
    let rig = Rig::set("").await;
    let (stage, room) = (&rig.stage, &rig.stage.room);
    rig.point("connection.input", "panic").await;
    for _ in 0..50 {
        assert_eq!(Socket::open(stage.address()).await.close_code().await, 1011);
    }
    stage.http.send(&stage.ann, room, "over http", "over http").await;
    rig.point("connection.input", "off").await;
    rig.talk(room, "after").await;
    assert!(stage.http.is_ready().await);
}
