//! A cluster of Redis below the nodes, and one that loses a master.

use crate::{
    ground, launch,
    redis::Quiet,
    shared::everything_is_answered,
    trouble::{Run, Stage, redis_is},
};
use madang_testkit::{client::PASSWORD, servers::redis::Cluster};
use serde_json::json;

/// Logins of one address in a minute.
const LOGINS: usize = 60;
/// Those of them that the nodes answer while a master is away.
const LOGINS_MEANWHILE: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_redis_counts_for_all_nodes_and_may_lose_a_master() {
    let (ground, mut redis) = tokio::join!(ground::shared(), Cluster::start());
    let launch = launch().with("redis", redis.url()).with("logins-per-minute", LOGINS);
    let stage = Stage::of(ground, &launch).await;
    redis_is(&stage, "ok").await;
    let quiet = Quiet::begin(&stage).await;
    let run = Run::begin(&stage).await;
    // At once, while nobody knows yet, and when the others serve nothing either.
    redis.masters[0].kill().await;
    everything_is_answered(&stage, "killed").await;
    redis_is(&stage, "degraded").await;
    everything_is_answered(&stage, "away").await;
    redis.masters[0].restart().await;
    redis.is_whole().await;
    redis_is(&stage, "ok").await;
    let judged = run.end(&stage).await;
    assert_eq!(judged.refusals(), 0);
    quiet.nobody_went();
    logins_end_on_all_nodes_together(&stage).await;
}

/// One after the other at each node. Of the logins before each node may have counted some alone.
async fn logins_end_on_all_nodes_together(stage: &Stage) {
    let body = json!({"username": "ann", "password": PASSWORD});
    let login = async |place: usize| {
        let http = stage.cluster.http(place % stage.cluster.nodes.len());
        let answer = http.post("/v1/login", body.clone()).send().await;
        assert!(answer.status == 200 || answer.body["code"] == json!("blocked"), "{answer:?}");
        answer.status == 200
    };
    let mut allowed = 0;
    while login(allowed).await {
        allowed += 1;
    }
    let expected = LOGINS - LOGINS_MEANWHILE..=LOGINS;
    assert!(expected.contains(&allowed), "{allowed} logins");
    for place in 0..stage.cluster.nodes.len() {
        assert!(!login(place).await, "node {place} goes on alone");
    }
}
