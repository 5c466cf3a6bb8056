//! What a cluster asks of its servers, counted there.

use crate::trouble::{Run, Stage};
use madang_testkit::{
    Account, Ground, Http, Socket,
    client::{list, number},
    wait,
};
use serde_json::json;

/// Messages over which is counted, and receipts.
const COUNTED: usize = 1_000;
/// Room lists that are asked for.
const LISTS: u64 = 20;
/// What the servers are asked to do, as MongoDB counts it.
const WRITES: [&str; 2] = ["insert", "update"];
const READS: [&str; 2] = ["find", "aggregate"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_cost_the_servers_less_than_one_call_each() {
    let ground = Ground::steady().await;
    let stage = Stage::set(&ground).await;
    let run = Run::begin(&stage).await;
    let (before, began) = (ground.mongo.asked(WRITES).await, run.acknowledged());
    let (nats_before, reads_before) =
        (ground.nats.messages(0).await, ground.mongo.asked(READS).await);
    run.goes_on(COUNTED).await;
    let (after, nats_after) = (ground.mongo.asked(WRITES).await, ground.nats.messages(0).await);
    let reads_after = ground.mongo.asked(READS).await;
    let messages = (run.acknowledged() - began) as f64;
    let each_thousand = |before: u64, after: u64| (after - before) as f64 * 1_000.0 / messages;
    let inserts = each_thousand(before[0], after[0]);
    let updates = each_thousand(before[1], after[1]);
    let reads = each_thousand(reads_before.iter().sum(), reads_after.iter().sum());
    let said = each_thousand(nats_before.0, nats_after.0);
    println!(
        "for 1,000 messages: {inserts:.0} inserts, {updates:.0} updates, {reads:.0} reads, \
         {said:.0} messages to NATS"
    );
    run.end(&stage).await;
    assert!(inserts < 250.0, "{inserts} inserts");
    assert!(updates < 50.0, "{updates} updates");
    assert!(reads < 50.0, "{reads} reads");
    assert!(said < 1_000.0, "{said} messages to NATS");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receipts_are_written_in_bulk_and_a_room_list_takes_the_same_calls_however_long() {
    let ground = Ground::steady().await;
    let stage = Stage::set(&ground).await;
    let http = stage.cluster.http(0);
    let room = stage.make_room().await;
    for number in 0..COUNTED / 10 {
        http.send(&stage.ann, &room, &number.to_string(), "x").await;
    }
    let mut ben = Socket::join(stage.cluster.nodes[1].address(), &stage.ben).await;
    let before = ground.mongo.asked(WRITES).await;
    for _ in 0..10 {
        for seq in 1..=COUNTED / 10 {
            ben.begin("read", json!({"room": room, "seq": seq})).await;
        }
        ben.ok("ping", json!({})).await;
    }
    let updates = wait::until("receipts are written", wait::SOON, async || {
        let is_read = read_seqs(&stage.cluster.http(0), &stage.ben).await == [COUNTED as u64 / 10];
        let after = ground.mongo.asked(WRITES).await;
        is_read.then_some(after[1] - before[1])
    })
    .await;
    println!("for 1,000 receipts: {updates} updates");
    // Rooms that somebody receives look into the store by themselves; only lists are to be counted.
    ben.close().await;
    assert!((1..20).contains(&updates), "{updates} updates");
    let short = calls_of_a_list(&ground, &stage).await;
    for _ in 0..30 {
        stage.make_room().await;
    }
    let long = calls_of_a_list(&ground, &stage).await;
    println!("{short} calls for a list of 1 room, {long} for one of 31");
    assert!(long < short + 1.0, "{long} calls of the longer one");
    assert!(long < 6.0, "{long} calls");
}

async fn calls_of_a_list(ground: &Ground, stage: &Stage) -> f64 {
    let http = stage.cluster.http(0);
    let before: u64 = ground.mongo.asked(READS).await.iter().sum();
    for _ in 0..LISTS {
        http.get("/v1/rooms").token(&stage.ben.token).send().await.expect(200);
    }
    let after: u64 = ground.mongo.asked(READS).await.iter().sum();
    (after - before) as f64 / LISTS as f64
}

/// How far a user has read in each room.
async fn read_seqs(http: &Http, user: &Account) -> Vec<u64> {
    let rooms = http.get("/v1/rooms").token(&user.token).send().await.expect(200);
    list(&rooms, "rooms").iter().map(|room| number(room, "read_seq")).collect()
}
