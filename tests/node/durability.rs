//! kill -9 under load, again and again: what was acknowledged is there, once, in order, and every
//! reader got it.

use crate::launch;
use madang_testkit::{
    Account, Http, Launch, Stage,
    history::{ACKNOWLEDGED_MIN, Journal, Stored, Summary, Violation, check},
    load::{Load, WriterPlan},
};
use std::{collections::BTreeMap, time::Duration};

/// Messages acknowledged between two kills, so that each kill finds a node at full speed.
const BETWEEN_KILLS: usize = 500;
const KILLS: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);

/// As the benches measure it: what they show is not bought with a guarantee.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_acknowledged_with_one_edge_arbiter() {
    let launch = launch().with("edge-arbiters", 1).with("frames-per-second", 0);
    kills_under_load_lose_nothing_acknowledged(launch).await;
}

/// Readers of one room on several hubs, also where there are two cores and so one is the default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_acknowledged_with_three_edge_arbiters() {
    kills_under_load_lose_nothing_acknowledged(launch().with("edge-arbiters", 3)).await;
}

async fn kills_under_load_lose_nothing_acknowledged(launch: Launch) {
    let mut stage = Stage::set(launch).await;
    let mut load = Load::new(stage.address(), &stage.room);
    for account in [&stage.ann, &stage.ben, &stage.ann, &stage.ben] {
        load.write(account, WriterPlan::default());
    }
    load.read(&stage.ann);
    load.read(&stage.ben);
    for round in 1..=KILLS {
        load.acknowledged(round * BETWEEN_KILLS).await;
        stage.node.kill().await;
        stage.node.restart().await;
    }
    let journal = load.finish().await;
    let summary = judge(&stage.http, &stage.ann, &stage.room, &journal).await;
    assert!(summary.acknowledged >= KILLS * BETWEEN_KILLS, "{summary:?}");
    assert_eq!(summary.acknowledged, summary.stored);
}

/// A pause is not a crash: everybody waits, nobody loses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_goes_on_where_it_was() {
    let stage = Stage::set(launch()).await;
    let mut load = Load::new(stage.address(), &stage.room);
    for account in [&stage.ann, &stage.ben] {
        load.write(account, WriterPlan { in_flight: 16, body_bytes: 1_000, ..WriterPlan::default() });
    }
    load.read(&stage.ben);
    for round in 1..=3 {
        load.acknowledged(round * 700).await;
        stage.node.pause();
        // How long it stands still, not a wait for something to happen.
        tokio::time::sleep(PAUSE).await;
        stage.node.resume();
    }
    let journal = load.finish().await;
    judge(&stage.http, &stage.ann, &stage.room, &journal).await;
}

/// SIGTERM under load is a restart like any other, only politer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_polite_restart_under_load_loses_nothing() {
    let mut stage = Stage::set(launch().with("drain-timeout-ms", 1_000)).await;
    let mut load = Load::new(stage.address(), &stage.room);
    for account in [&stage.ann, &stage.ben] {
        load.write(account, WriterPlan { in_flight: 16, ..WriterPlan::default() });
    }
    load.read(&stage.ben);
    for round in 1..=3 {
        load.acknowledged(round * 700).await;
        stage.node.terminate();
        assert!(stage.node.wait_for_exit().await.success(), "{}", stage.node.printed());
        stage.node.restart().await;
    }
    let journal = load.finish().await;
    judge(&stage.http, &stage.ann, &stage.room, &journal).await;
}

/// Every disconnect and resume is a chance to miss or repeat a message at the seam.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_and_go_miss_nothing() {
    let stage = Stage::set(launch()).await;
    let mut load = Load::new(stage.address(), &stage.room);
    for account in [&stage.ann, &stage.ben] {
        load.write(account, WriterPlan { in_flight: 4, ..WriterPlan::default() });
    }
    for messages in [1, 7, 50, 99, 100, 101, 128, 300] {
        load.read_in_pieces(&stage.ben, messages);
    }
    load.acknowledged(3_000).await;
    let journal = load.finish().await;
    judge(&stage.http, &stage.ann, &stage.room, &journal).await;
}

/// Rooms share commits, so a kill hits many of them in the middle of one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rooms_that_share_commits_lose_nothing_by_a_kill() {
    let mut stage = Stage::set(launch()).await;
    let mut loads = Vec::new();
    for number in 0..20 {
        let name = format!("room {number}");
        let room = stage.http.make_group(&stage.ann, &name, &[&stage.ben]).await;
        let mut load = Load::new(stage.address(), &room);
        load.write(&stage.ann, WriterPlan { in_flight: 4, ..WriterPlan::default() });
        load.write(&stage.ben, WriterPlan { in_flight: 4, ..WriterPlan::default() });
        load.read(&stage.ben);
        loads.push((room, load));
    }
    for round in 1..=2 {
        for (_, load) in &loads {
            load.acknowledged(round * 70).await;
        }
        stage.node.kill().await;
        stage.node.restart().await;
    }
    let (mut events, mut logs) = (Vec::new(), BTreeMap::new());
    for (room, load) in loads {
        events.extend(load.finish().await.events());
        let log = stage.http.whole_log(&stage.ann, &room).await;
        logs.insert(room, log.iter().map(Stored::of).collect());
    }
    accept(check(&events, &logs, ACKNOWLEDGED_MIN));
}

/// Reads the log back and holds the run against it.
async fn judge(http: &Http, reader: &Account, room: &str, journal: &Journal) -> Summary {
    let log: Vec<Stored> = http.whole_log(reader, room).await.iter().map(Stored::of).collect();
    let logs = BTreeMap::from([(room.to_owned(), log)]);
    accept(check(&journal.events(), &logs, ACKNOWLEDGED_MIN))
}

fn accept(judged: Result<Summary, Vec<Violation>>) -> Summary {
    match judged {
        Ok(summary) => summary,
        Err(found) => {
            let shown: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
            panic!("{} violations:\n{}", found.len(), shown.join("\n"));
        }
    }
}
