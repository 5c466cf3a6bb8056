//! MongoDB that loses its primary, or stands still.

use crate::trouble::{Run, Stage};
use madang_testkit::{Ground, Socket, wait};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long something stands still.
const PAUSE: Duration = Duration::from_secs(5);
/// The election of the test's replica set (2 s without a word of the primary, and the vote), and the
/// 2 s that clients may notice beyond it.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// What needs no store is answered at once, whatever the store does.
const AT_ONCE: Duration = Duration::from_millis(500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_killed_or_stands_still_loses_nothing() {
    let mut ground = Ground::start().await;
    let stage = Stage::set(&ground).await;
    let run = Run::begin(&stage).await;
    let primary = ground.mongo.primary().await;
    ground.mongo.member(primary).kill().await;
    run.goes_on(300).await;
    ground.mongo.member(primary).restart().await;
    run.goes_on(300).await;
    let primary = ground.mongo.primary().await;
    ground.mongo.members()[primary].pause();
    tokio::time::sleep(PAUSE).await; // how long it stands still
    ground.mongo.members()[primary].resume();
    run.goes_on(300).await;
    let judged = run.end(&stage).await;
    let silence = judged.longest_silence();
    println!("longest silence {silence:?}, {} refusals", judged.refusals());
    assert!(silence < SILENCE_MAX, "{silence:?}");
    assert_eq!(judged.refusals(), 0, "sends in doubt wait rather than being refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_no_store_goes_on_while_all_of_it_stands_still() {
    let ground = Ground::start().await;
    let stage = Stage::set(&ground).await;
    let run = Run::begin(&stage).await;
    let room = stage.make_room().await;
    let mut ann = Socket::join(stage.cluster.nodes[0].address(), &stage.ann).await;
    let mut ben = Socket::join(stage.cluster.nodes[1].address(), &stage.ben).await;
    // Who hears the other receives the room, and is asked for no more than that.
    hears(&mut ben, &mut ann, &room).await;
    hears(&mut ann, &mut ben, &room).await;
    let members = ground.mongo.members();
    members.iter().for_each(|member| member.pause());
    let until = Instant::now() + PAUSE;
    let mut count = 0;
    while Instant::now() < until {
        let asked = Instant::now();
        ann.ok("ping", json!({})).await;
        let data = count.to_string();
        ann.ok("signal", json!({"room": room, "data": data})).await;
        wait::within("a signal from another node", AT_ONCE, ben.expect("signal")).await;
        assert!(asked.elapsed() < AT_ONCE, "{:?}", asked.elapsed());
        count += 1;
    }
    members.iter().for_each(|member| member.resume());
    let judged = run.end(&stage).await;
    println!("longest silence {:?}, {} refusals", judged.longest_silence(), judged.refusals());
    assert_eq!(judged.refusals(), 0, "sends in doubt wait rather than being refused");
}

/// Rooms are received a moment after `hello` was answered; what is not heard until then is lost.
async fn hears(listener: &mut Socket, talker: &mut Socket, room: &str) {
    let is_heard = |listener: &Socket| listener.queued().any(|frame| frame["op"] == "signal");
    wait::within("a signal is heard", wait::SOON, async {
        while !is_heard(listener) {
            talker.ok("signal", json!({"room": room, "data": "are you there"})).await;
            listener.ok("ping", json!({})).await;
        }
    })
    .await;
    while is_heard(listener) {
        listener.expect("signal").await;
    }
}
