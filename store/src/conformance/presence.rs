//! Cases of [`PresenceStore`].

use super::fixtures::user;
use crate::presence::{Edges, Flush, NodeLife, PresenceStore};
use madang_protocol::UserId;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Makes the store to be examined.
pub type Make = fn() -> Arc<dyn PresenceStore>;

/// Longer than any case takes.
const LONG_MS: u64 = 600_000;

fn life(node: &str, incarnation: u64) -> NodeLife {
    NodeLife { node: node.to_owned(), incarnation }
}

fn users<const N: usize>(numbers: [u64; N]) -> Vec<UserId> {
    numbers.map(user).to_vec()
}

async fn online<const N: usize>(store: &dyn PresenceStore, numbers: [u64; N]) -> Vec<bool> {
    store.online(&users(numbers)).await.unwrap()
}

/// A lease makes online, ending it offline; both say for whom that changed.
pub async fn comes_and_goes(make: Make) {
    let (store, here) = (make(), life("here", 1));
    assert_eq!(online(&*store, [1, 2]).await, [false, false]);
    assert_eq!(store.renew(&here, users([2, 1]), LONG_MS).await, Ok(users([2, 1])));
    assert_eq!(online(&*store, [1, 3, 2]).await, [true, false, true]);
    assert_eq!(store.renew(&here, users([1, 3, 2]), LONG_MS).await, Ok(users([3])));
    assert_eq!(store.end(&here, users([3, 1, 4])).await, Ok(users([3, 1, 4])));
    assert_eq!(online(&*store, [1, 2, 3, 4]).await, [false, true, false, false]);
}

/// Online as long as one node holds a lease.
pub async fn one_of_two_nodes_is_enough(make: Make) {
    let (store, here, there) = (make(), life("here", 1), life("there", 1));
    store.renew(&here, users([1]), LONG_MS).await.unwrap();
    assert_eq!(store.renew(&there, users([1]), LONG_MS).await, Ok(vec![]));
    assert_eq!(store.end(&here, users([1])).await, Ok(vec![]));
    assert_eq!(online(&*store, [1]).await, [true]);
    assert_eq!(store.end(&there, users([1])).await, Ok(users([1])));
    assert_eq!(online(&*store, [1]).await, [false]);
}

/// An earlier life of a node ends nothing that a later one holds.
pub async fn lives_of_a_node_count_apart(make: Make) {
    let (store, before, after) = (make(), life("here", 7), life("here", 8));
    store.renew(&before, users([1]), LONG_MS).await.unwrap();
    store.renew(&after, users([1, 2]), LONG_MS).await.unwrap();
    assert_eq!(store.end(&before, users([1, 2])).await, Ok(vec![]));
    assert_eq!(online(&*store, [1, 2]).await, [true, true]);
}

/// A lease that is not renewed ends by itself; renewing prolongs it.
pub async fn leases_run_out(make: Make) {
    let (store, here) = (make(), life("here", 1));
    store.renew(&here, users([1, 2]), 100).await.unwrap();
    store.renew(&here, users([2]), LONG_MS).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while online(&*store, [1]).await == [true] {
        assert!(Instant::now() < deadline, "the lease of 100 ms holds on");
        tokio::task::yield_now().await;
    }
    assert_eq!(online(&*store, [1, 2]).await, [false, true]);
    assert_eq!(store.renew(&here, users([1, 2]), LONG_MS).await, Ok(users([1])));
}

/// Of those whose last lease ran out it is told once; of those who came again, or were ended, not.
pub async fn what_ran_out_is_told_once(make: Make) {
    let (store, dead, alive) = (make(), life("dead", 1), life("alive", 1));
    store.renew(&alive, users([2]), LONG_MS).await.unwrap();
    store.renew(&dead, users([1, 2, 3, 4]), 1).await.unwrap();
    have_run_out(&*store, [1, 3, 4]).await;
    assert_eq!(store.renew(&alive, users([3]), LONG_MS).await, Ok(users([3])));
    assert_eq!(store.end(&dead, users([4])).await, Ok(users([4])));
    assert_eq!(store.run_out(10).await, Ok(users([1])));
    assert_eq!(store.run_out(10).await, Ok(vec![]));
    assert_eq!(online(&*store, [1, 2, 3]).await, [false, true, true]);
}

/// Of any number that ran out each is told once, and not all at once.
pub async fn many_who_ran_out_are_told_some_at_a_time(make: Make) {
    const MANY: u64 = 2_000;
    let (store, dead) = (make(), life("dead", 1));
    let all: Vec<UserId> = (0..MANY).map(user).collect();
    store.renew(&dead, all.clone(), 1).await.unwrap();
    have_run_out(&*store, [0, MANY - 1]).await;
    let (mut told, mut calls) = (Vec::new(), 0);
    while told.len() < all.len() {
        let some = store.run_out(500).await.unwrap();
        assert!((1..600).contains(&some.len()), "{} at once", some.len());
        told.extend(some);
        calls += 1;
    }
    told.sort_unstable();
    assert!(told == all && calls < 20, "{} told in {calls} calls", told.len());
    assert_eq!(store.run_out(500).await, Ok(vec![]));
}

/// Leases taken, leases ended, and who ran out, in one call.
pub async fn a_flush_does_all_of_it(make: Make) {
    let (store, dead, here) = (make(), life("dead", 1), life("here", 1));
    store.renew(&dead, users([1, 2]), 1).await.unwrap();
    store.renew(&here, users([3, 4]), LONG_MS).await.unwrap();
    have_run_out(&*store, [1, 2]).await;
    let flush = Flush { renew: users([2, 3]), ttl_ms: LONG_MS, end: users([4]), run_out_max: 9 };
    let edges = Edges { came: users([2]), went: users([4, 1]), is_partial: false };
    assert_eq!(store.flush(&here, flush).await, Ok(edges));
    assert_eq!(online(&*store, [1, 2, 3, 4]).await, [false, true, true, false]);
    assert_eq!(store.flush(&here, Flush::default()).await, Ok(Edges::default()));
}

async fn have_run_out<const N: usize>(store: &dyn PresenceStore, numbers: [u64; N]) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while online(store, numbers).await != vec![false; N] {
        assert!(Instant::now() < deadline, "leases do not run out");
        tokio::task::yield_now().await;
    }
}

/// Nobody is fine.
pub async fn nobody_is_fine(make: Make) {
    let (store, here) = (make(), life("here", 1));
    assert_eq!(store.renew(&here, vec![], LONG_MS).await, Ok(vec![]));
    assert_eq!(store.end(&here, vec![]).await, Ok(vec![]));
    assert_eq!(store.online(&[]).await, Ok(vec![]));
}
