//! A replica set takes writes again after it lost its primary.

use madang_servers::ReplicaSet;

#[tokio::test(flavor = "multi_thread")]
async fn another_member_takes_over_and_the_first_comes_back() {
    let mut set = ReplicaSet::start().await;
    let first = set.primary().await;
    set.member(first).kill().await;
    set.takes_writes().await;
    assert_ne!(set.primary().await, first);
    set.member(first).restart().await;
    set.takes_writes().await;
}
