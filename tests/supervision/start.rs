//! A panic in the first turn of an actor, and in its restart.

use crate::rig::{Rig, join};
use madang_testkit::Socket;
use serde_json::json;

/// What has a supervisor and begins with the node, or with the first word in a room.
const KINDS: [&str; 7] =
    ["hub", "store_writer", "store_reader", "batcher", "session_check", "room", "audience"];

/// What restarts with this one: the store's actors do so in turn.
fn takes_along(kind: &str) -> Option<&'static str> {
    (kind == "store_writer").then_some("store_reader")
}

#[tokio::test]
async fn an_actor_that_panics_on_its_first_start_is_built_again() {
    let points = KINDS.map(|kind| format!("{kind}.start=1*panic")).join(";");
    let rig = Rig::set(&points).await;
    rig.talk(&rig.stage.room, "first").await;
    for kind in KINDS {
        // The reader a second time, if it was there already when the writer panicked.
        let along = u64::from(KINDS.iter().any(|other| takes_along(other) == Some(kind)));
        rig.is_up_after(kind, 1..=1 + along).await;
        assert_eq!(rig.faults(kind).await.0, 1, "{kind}");
    }
    batches_are_told(&rig).await;
}

#[tokio::test]
async fn an_actor_that_panics_while_it_is_restarted_is_built_again() {
    let rig = Rig::set("").await;
    rig.talk(&rig.stage.room, "before").await;
    let mut restarts_before = 0;
    for kind in KINDS {
        rig.point(&format!("{kind}.build"), "2*panic").await;
        rig.point(&format!("{kind}.handle"), "1*panic").await;
        rig.talk(&rig.stage.room, kind).await;
        let along = if kind == "store_reader" { restarts_before } else { 0 };
        rig.faulted(kind, 3, 3 + along).await;
        restarts_before = takes_along(kind).map_or(restarts_before, |_| 3);
    }
    batches_are_told(&rig).await;
}

/// A connection has nobody who would build it anew: its client does, and the others notice nothing.
#[tokio::test]
async fn a_connection_that_panics_ends_alone() {
    let rig = Rig::set("").await;
    let room = &rig.stage.room;
    let mut ann = join(&rig, &rig.stage.ann, room).await;
    for place in ["build", "start", "input", "handle", "end_of_turn"] {
        let point = format!("connection.{place}");
        let mut met;
        if ["build", "start"].contains(&place) {
            rig.point(&point, "1*panic").await;
            met = Socket::open(rig.stage.address()).await;
        } else {
            met = join(&rig, &rig.stage.ben, room).await;
            rig.point(&point, "1*panic").await;
            // A frame, and an answer of the store.
            met.begin("history", json!({"room": room})).await;
        }
        let code = met.close_code().await;
        // One that was never built has nobody who says goodbye for it.
        assert_eq!(code, if place == "build" { 1006 } else { 1011 }, "{place}");
        ann.ok("ping", json!({})).await;
        ann.send(room, place, place).await;
    }
    rig.talk(room, "after").await;
}

/// What is gathered and told once in its time still is.
async fn batches_are_told(rig: &Rig) {
    let room = &rig.stage.room;
    let mut ann = join(rig, &rig.stage.ann, room).await;
    let mut ben = join(rig, &rig.stage.ben, room).await;
    let sent = ann.send(room, "read me", "read me").await;
    ben.ok("read", json!({"room": room, "seq": sent["seq"]})).await;
    loop {
        let told = ann.expect("read").await;
        let reads = told["reads"].as_array().expect("a list");
        if reads.contains(&json!({"user": rig.stage.ben.user, "seq": sent["seq"]})) {
            return;
        }
    }
}
