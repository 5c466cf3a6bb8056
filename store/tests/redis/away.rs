//! Redis killed, frozen, swallowed and back: what a node answers, and how fast.

use crate::rig::{self, ANSWERED_WITHIN, REFUSED_WITHIN, RULES, timed};
use futures_util::future::join_all;
use madang_resilience::State;
use madang_servers::{
    proxy::{Mode, Proxy},
    redis, wait,
};
use madang_store::{
    StoreError,
    accounts::Profile,
    conformance::fixtures::user,
    limits::Verdict::{Allowed, Wait},
    presence::NodeLife,
    redis::{Options, Parts},
};
use std::time::Duration;

const HERE: [u8; 16] = [9; 16];
const NOW: u64 = 1_700_000_000_000;
const LONG_MS: u64 = 600_000;

fn life() -> NodeLife {
    NodeLife { node: "here".to_owned(), incarnation: 1 }
}

async fn is(parts: &Parts, state: State) {
    wait::until("the state is known", wait::SOON, || async {
        (parts.control.health().state == state).then_some(())
    })
    .await;
}

/// All calls are answered in time, whatever Redis does.
async fn answered_alone(parts: &Parts) {
    let (mut verdicts, mut worst) = (Vec::new(), Duration::ZERO);
    for _ in 0..61 {
        let (verdict, took) = timed(parts.limits.count_login(HERE, NOW)).await;
        verdicts.push(verdict);
        worst = worst.max(took);
    }
    assert_eq!(verdicts[..60], [Allowed; 60], "this node allows its own sixty");
    assert_eq!(verdicts[60], Wait(RULES.login_block_ms));
    assert!(worst < ANSWERED_WITHIN, "{worst:?}");
    is(parts, State::Degraded).await;

    let (online, took) = timed(parts.presence.online(&[user(1), user(2)])).await;
    assert_eq!(online, Ok(vec![true, false]), "presence of this node");
    let (renewed, took_too) =
        timed(parts.presence.renew(&life(), vec![user(1), user(2)], LONG_MS)).await;
    assert_eq!(renewed, Ok(vec![user(2)]));
    assert!(took.max(took_too) < ANSWERED_WITHIN);
    let (copies, took) = timed(parts.caches.profiles.get(&[user(1)])).await;
    assert!(copies.is_err() && took < ANSWERED_WITHIN, "a cache has no copies: {copies:?}");
}

/// Behind the breaker nobody waits. Some of these may be the probe, which is one of many.
async fn refused_at_once(parts: &Parts) {
    let users = [user(1)];
    let calls = (0..200).map(|_| timed(parts.caches.profiles.get(&users)));
    let slow = join_all(calls).await.into_iter().filter(|(_, took)| *took > REFUSED_WITHIN).count();
    assert!(slow <= 1, "{slow} calls waited");
}

async fn answered_together(parts: &Parts) {
    is(parts, State::Ok).await;
    assert_eq!(parts.limits.count_login([8; 16], NOW).await, Allowed);
    assert_eq!(parts.control.health().state, State::Ok);
    parts.presence.renew(&life(), vec![user(1), user(2)], LONG_MS).await.unwrap();
    assert_eq!(parts.presence.online(&[user(1), user(2)]).await, Ok(vec![true, true]));
    let profile = Profile { user: user(7), username: String::new(), display_name: String::new() };
    let put = parts.caches.profiles.put(vec![(user(7), profile)], Duration::from_secs(9));
    assert_eq!(put.await, Ok(()));
}

async fn works(parts: &Parts) {
    parts.presence.renew(&life(), vec![user(1)], LONG_MS).await.unwrap();
    assert_eq!(parts.control.health().state, State::Ok);
}

#[tokio::test]
async fn killed_and_started_again() {
    let mut server = redis::alone().await;
    let parts = rig::at(server.address());
    works(&parts).await;
    server.kill().await;
    answered_alone(&parts).await;
    refused_at_once(&parts).await;
    server.restart().await;
    answered_together(&parts).await;
}

#[tokio::test]
async fn frozen_and_thawed() {
    let server = redis::alone().await;
    let parts = rig::at(server.address());
    works(&parts).await;
    server.pause();
    answered_alone(&parts).await;
    refused_at_once(&parts).await;
    server.resume();
    answered_together(&parts).await;
}

#[tokio::test]
async fn swallowed_by_the_network_and_back() {
    let server = redis::alone().await;
    let proxy = Proxy::start(server.address()).await;
    let parts = rig::at(proxy.address());
    works(&parts).await;
    proxy.set(Mode::Blackhole);
    answered_alone(&parts).await;
    refused_at_once(&parts).await;
    one_probe_at_a_time(&parts, &proxy).await;
    proxy.set(Mode::Forward);
    answered_together(&parts).await;
    proxy.set(Mode::Cut);
    is(&parts, State::Degraded).await;
    proxy.set(Mode::Forward);
    answered_together(&parts).await;
}

/// A probe needs a connection, since the last one was thrown away: the proxy counts them. In 4 s
/// there is time for two, the waits being seconds by now; with many callers all the while.
async fn one_probe_at_a_time(parts: &Parts, proxy: &Proxy) {
    let (before, began) = (proxy.accepted(), tokio::time::Instant::now());
    let (users, mut calls) = ([user(1)], 0);
    while began.elapsed() < Duration::from_secs(4) {
        join_all((0..50).map(|_| parts.caches.profiles.get(&users))).await;
        calls += 50;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let probes = proxy.accepted() - before;
    assert!(probes <= 3 && calls > 1_000, "{probes} of {calls} calls reached the server");
}

#[tokio::test]
async fn not_there_at_the_start() {
    let mut server = redis::alone().await;
    server.kill().await;
    let parts = rig::at(server.address());
    is(&parts, State::Degraded).await;
    assert_eq!(parts.limits.count_login(HERE, NOW).await, Allowed);
    server.restart().await;
    answered_together(&parts).await;
}

#[tokio::test]
async fn calls_are_bounded_and_none_waits_beyond() {
    let server = redis::alone().await;
    let mut options = Options::new(redis::url(&server), rig::fresh());
    options.calls_max = 20;
    let parts = madang_store::redis::open(&options, RULES).unwrap();
    works(&parts).await;
    server.pause();
    let users = [user(1)];
    let calls = (0..100).map(|_| timed(parts.caches.profiles.get(&users)));
    let answers = join_all(calls).await;
    let refused = answers.iter().filter(|(answer, _)| *answer == Err(StoreError::Overloaded));
    let slow = refused.clone().filter(|(_, took)| *took > REFUSED_WITHIN).count();
    assert_eq!((refused.count(), slow), (80, 0));
    server.resume();
}
