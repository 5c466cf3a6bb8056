//! Nodes that are killed, stand still, or are replaced one after the other.

use crate::{
    ground, launch,
    trouble::{Run, Stage},
};
use madang_testkit::{Socket, wait};
use serde_json::json;
use std::time::Duration;

/// The longest silence after a node was killed: 3 s until it is out of the view, and the rest.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long a home stands still: beyond the 3 s after which it is out of the view.
const PAUSE: Duration = Duration::from_secs(5);
/// Sends that wait for an answer while it does: as many as a connection may have.
const UNANSWERED: u64 = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_are_killed_lose_nothing_acknowledged() {
    let mut stage = Stage::set(ground::shared().await).await;
    let room = stage.make_room().await;
    let run = Run::begin_in(&stage, &room).await;
    run.outlives_two_nodes(&mut stage, &room).await;
    let judged = run.end(&stage).await;
    let silence = judged.longest_silence();
    println!("longest silence {silence:?}, {} refusals", judged.refusals());
    assert!(silence < SILENCE_MAX, "{silence:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_to_a_home_that_stands_still_are_committed_by_the_next() {
    let stage = Stage::set(ground::shared().await).await;
    let room = stage.make_room().await;
    let home = stage.home_of(&room);
    let elsewhere = (home + 1) % 3;
    let mut of_home = Socket::join(stage.cluster.nodes[home].address(), &stage.ben).await;
    let mut socket = Socket::join(stage.cluster.nodes[elsewhere].address(), &stage.ann).await;
    socket.send(&room, "first", "before").await;
    of_home.send(&room, "second", "before").await;
    stage.cluster.nodes[home].pause();
    let (ids, others) =
        (begin(&mut socket, &room, "e").await, begin(&mut of_home, &room, "h").await);
    let seqs = answered(&mut socket, ids).await;
    assert_eq!(seqs, (3..3 + UNANSWERED).collect::<Vec<_>>(), "in order, through the next home");
    // How long it stands still, not a wait for something to happen.
    tokio::time::sleep(PAUSE).await;
    stage.cluster.nodes[home].resume();
    let seqs = answered(&mut of_home, others).await;
    assert!(seqs.is_sorted(), "{seqs:?}");
    stage.is_ready().await;
    let last = *seqs.last().expect("answers");
    for http in (0..3).map(|place| stage.cluster.http(place)) {
        let log = http.whole_log(&stage.ann, &room).await;
        let seqs: Vec<u64> = log.iter().filter_map(|message| message["seq"].as_u64()).collect();
        assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_is_noticed_by_nobody() {
    let launch = launch().with("drain-timeout-ms", 3_000);
    let mut stage = Stage::of(ground::shared().await, &launch).await;
    let run = Run::begin(&stage).await;
    for node in &mut stage.cluster.nodes {
        node.terminate();
        assert!(node.wait_for_exit().await.success(), "{}", node.printed());
        node.restart().await;
        run.goes_on(100).await;
    }
    let judged = run.end(&stage).await;
    println!("longest silence {:?}", judged.longest_silence());
    assert_eq!(judged.refusals(), 0, "well-behaved clients see no error");
}

async fn begin(socket: &mut Socket, room: &str, name: &str) -> Vec<u64> {
    let mut ids = Vec::new();
    for number in 0..UNANSWERED {
        let fields = json!({"room": room, "client_id": format!("{name}{number}"), "body": "x"});
        ids.push(socket.begin("send", fields).await);
    }
    ids
}

async fn answered(socket: &mut Socket, ids: Vec<u64>) -> Vec<u64> {
    let mut seqs = Vec::new();
    for id in ids {
        let answer = wait::within("an answer", wait::SOON, socket.answer(id)).await;
        assert_eq!(answer["op"], "ok", "{answer}");
        seqs.push(answer["seq"].as_u64().expect("a number"));
    }
    seqs
}
