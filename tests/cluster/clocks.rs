//! Nodes whose clocks do not agree.

use crate::{
    ground, launch,
    trouble::{Run, Stage},
};
use madang_testkit::{Launch, Node, servers::tools};

/// What the clock of each node is off by.
const OFF_BY: [&str; 3] = ["+30s", "-30s", "+0s"];

fn off(launch: Launch, by: &str) -> Launch {
    let library = tools::find("libfaketime.so.1").canonicalize().expect("it is there");
    launch
        .environment("LD_PRELOAD", &library.display().to_string())
        .environment("FAKETIME", by)
        .environment("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

/// Its rooms go from node to node, and time in them goes on all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn time_in_a_room_never_runs_backwards() {
    let each = |launch: Launch, place: usize| off(launch, OFF_BY[place]);
    let mut stage = Stage::of_each(ground::shared().await, &launch(), each).await;
    let [first, second, third] = [0, 1, 2].map(|place| started_at(&stage.cluster.nodes[place]));
    assert!(second < third && third < first, "{first} {second} {third}: clocks agree");
    let room = stage.make_room().await;
    let run = Run::begin_in(&stage, &room).await;
    run.outlives_two_nodes(&mut stage, &room).await;
    run.end(&stage).await;
    let log = stage.cluster.http(0).whole_log(&stage.ann, &room).await;
    let times: Vec<u64> = log.iter().filter_map(|message| message["ts"].as_u64()).collect();
    assert!(times.len() == log.len() && times.is_sorted(), "time ran backwards");
}

/// As the first line in its log has it.
fn started_at(node: &Node) -> String {
    node.printed().chars().take("2000-01-01T00:00:00".len()).collect()
}
