//! Panics in the middle of what is under way between two nodes, with everybody talking.

use super::pair::{HERE, HOME, Pair};
use madang_testkit::{
    Node,
    history::{Stored, check},
    load::{Load, WriterPlan},
};
use std::collections::BTreeMap;

/// One after the other, some messages apart.
const FAULTS: &[(usize, &str, &str)] = &[
    (HERE, "lane.handle", "13*off->1*panic"),
    (HERE, "lane.end_of_turn", "5*off->1*panic"),
    (HOME, "remote.handle", "7*off->1*panic"),
    (HERE, "membership.handle", "1*panic"),
    (HERE, "noticing.handle", "1*panic"),
    (HOME, "membership.handle", "1*panic"),
    (HOME, "noticing.handle", "1*panic"),
    (HOME, "remote.end_of_turn", "3*off->1*panic"),
    (HERE, "lane.handle", "29*off->1*panic"),
    (HERE, "session_check.handle", "1*panic"),
];
const BETWEEN: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn panics_between_two_nodes_lose_nothing_and_repeat_nothing() {
    let pair = Pair::set("").await;
    let addresses: Vec<_> = pair.cluster.nodes.iter().map(Node::address).collect();
    let mut load = Load::across(&addresses, &pair.room);
    let plan = WriterPlan { outlives_faults: true, ..WriterPlan::default() };
    for account in [&pair.ann, &pair.ben, &pair.ann] {
        load.write(account, plan);
    }
    load.read(&pair.ann);
    load.read(&pair.ben);
    for (number, (place, point, actions)) in FAULTS.iter().enumerate() {
        load.acknowledged(BETWEEN * (number + 1)).await;
        pair.point(*place, point, actions).await;
    }
    let acknowledged_min = BETWEEN * (FAULTS.len() + 2);
    load.acknowledged(acknowledged_min).await;
    let journal = load.finish().await;

    let mut logs = Vec::new();
    for place in [HERE, HOME] {
        let log = pair.cluster.http(place).whole_log(&pair.ben, &pair.room).await;
        logs.push(log.iter().map(Stored::of).collect::<Vec<_>>());
    }
    assert_eq!(logs[HERE], logs[HOME]);
    let logs = BTreeMap::from([(pair.room.clone(), logs.swap_remove(HERE))]);
    let judged = check(&journal.events(), &logs, acknowledged_min);
    let summary = judged.unwrap_or_else(|found| panic!("{found:?}"));
    assert_eq!(summary.acknowledged, summary.stored, "{summary:?}");
    for (place, point, _) in FAULTS {
        let kind = point.split('.').next().expect("a kind");
        let is_meant = |(other, point, _): &&(usize, &str, &str)| {
            other == place && point.split('.').next() == Some(kind)
        };
        let planned = FAULTS.iter().filter(is_meant).count() as u64;
        assert_eq!(pair.faults(*place, kind).await, (planned, planned), "{kind} at {place}");
    }
    for kind in ["room", "audience", "hub", "store_writer"] {
        for place in [HERE, HOME] {
            assert_eq!(pair.faults(place, kind).await, (0, 0), "siblings are left alone");
        }
    }
}
