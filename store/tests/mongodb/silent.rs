//! A set that takes connections and gives no answers.

use madang_servers::{ReplicaSet, wait};
use madang_store::{
    ClusterOptions, Store, StoreError, conformance::fixtures::make_group, open_cluster,
};
use std::time::{Duration, Instant};

/// Reads that fail before no more are asked.
const FAILURES: usize = 5;
/// How long one of them may take here.
const READ_TIMEOUT: Duration = Duration::from_millis(300);
/// What is refused without being asked takes less.
const AT_ONCE: Duration = Duration::from_millis(50);

async fn read(store: &Store) -> Result<(), StoreError> {
    store.accounts.credentials("user1".into()).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_set_that_is_silent() {
    let set = ReplicaSet::start().await;
    let options =
        ClusterOptions { read_timeout: READ_TIMEOUT, ..ClusterOptions::at(set.uri(), "chat") };
    let store = open_cluster(options).await.expect("a store");
    make_group(&store, 1).await;
    read(&store).await.expect("an answer");
    set.members().iter().for_each(|member| member.pause());
    for _ in 0..FAILURES {
        read(&store).await.expect_err("nobody answers");
    }
    let began = Instant::now();
    for _ in 0..100 {
        let refused = read(&store).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    // One of them may have been the one that tries.
    let each = began.elapsed().saturating_sub(READ_TIMEOUT) / 100;
    assert!(each < AT_ONCE, "{each:?}");
    set.members().iter().for_each(|member| member.resume());
    wait::until("it is asked again", wait::SOON, async || read(&store).await.ok()).await;
}
