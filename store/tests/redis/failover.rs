//! The Sentinels make another master while a node goes on.

use crate::rig::{self, ANSWERED_WITHIN, RULES, timed};
use madang_resilience::State;
use madang_servers::redis::Sentinels;
use madang_store::{conformance::fixtures::user, limits::Verdict::Allowed, presence::NodeLife};
use std::time::{Duration, Instant};

const NOW: u64 = 1_700_000_000_000;

/// Under a steady stream of calls: each is answered in its time, by the new master when there is
/// one, and nothing has to be started anew.
async fn fails_over(break_master: impl AsyncFnOnce(&mut Sentinels)) {
    let mut set = Sentinels::start().await;
    let parts = rig::open(set.url(), &rig::fresh(), RULES);
    let life = NodeLife { node: "here".to_owned(), incarnation: 1 };
    parts.presence.renew(&life, vec![user(1)], 600_000).await.unwrap();
    break_master(&mut set).await;

    let (began, mut worst, mut calls) = (Instant::now(), Duration::ZERO, 0_u64);
    let (mut was_away, mut is_away) = (false, false);
    while is_away || !was_away {
        let address = u128::from(calls).to_be_bytes();
        let (verdict, took) = timed(parts.limits.count_login(address, NOW)).await;
        assert_eq!(verdict, Allowed);
        let (online, took_too) = timed(parts.presence.online(&[user(1)])).await;
        assert!(online.is_ok());
        worst = worst.max(took).max(took_too);
        calls += 2;
        is_away = parts.control.health().state == State::Degraded;
        was_away |= is_away;
        assert!(began.elapsed() < Duration::from_secs(60), "no other master is used");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("{calls} calls, worst {worst:?}, whole after {:?}", began.elapsed());
    assert!(worst < ANSWERED_WITHIN, "{worst:?}");
    parts.presence.renew(&life, vec![user(1)], 600_000).await.unwrap();
    assert_eq!(parts.control.health().state, State::Ok);
}

#[tokio::test]
async fn the_master_is_killed() {
    fails_over(async |set: &mut Sentinels| set.master.kill().await).await;
}

#[tokio::test]
async fn the_master_is_frozen() {
    fails_over(async |set: &mut Sentinels| set.master.pause()).await;
}
