//! NATS that is killed, stands still, or loses one of its servers.

use crate::trouble::{Run, Stage};
use madang_testkit::{Ground, servers::Nats};
use std::time::Duration;

/// How long it is away.
const AWAY: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bus_that_goes_and_comes_back_loses_nothing() {
    let mut ground = Ground::steady().await;
    let stage = Stage::set(&ground).await;
    let run = Run::begin(&stage).await;
    ground.nats.server_mut(0).kill().await;
    tokio::time::sleep(AWAY).await; // how long it is away
    ground.nats.server_mut(0).restart().await;
    run.goes_on(300).await;
    ground.nats.server(0).pause();
    tokio::time::sleep(AWAY).await; // how long it stands still
    ground.nats.server(0).resume();
    run.goes_on(300).await;
    stage.is_ready().await;
    let judged = run.end(&stage).await;
    println!("longest silence {:?}, {} refusals", judged.longest_silence(), judged.refusals());
    assert_eq!(judged.refusals(), 0, "sends wait rather than being refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_servers_of_the_bus_is_not_missed() {
    let mut ground = Ground::with(Nats::cluster()).await;
    let stage = Stage::set(&ground).await;
    let run = Run::begin(&stage).await;
    ground.nats.server_mut(0).kill().await;
    run.goes_on(300).await;
    ground.nats.server_mut(0).restart().await;
    let judged = run.end(&stage).await;
    println!("longest silence {:?}", judged.longest_silence());
    assert_eq!(judged.refusals(), 0, "sends wait rather than being refused");
}
