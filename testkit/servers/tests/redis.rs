//! The sets of Redis servers start, fail and come back.

use madang_servers::{
    redis::{self, Cluster, SERVICE, Sentinels, command},
    wait,
};

#[tokio::test]
async fn one_alone_is_killed_and_comes_back_empty() {
    let mut server = redis::alone().await;
    assert_eq!(command(server.address(), &["set", "a", "1"]).await, "+OK\r\n");
    assert_eq!(redis::calls(server.address(), "set").await, 1);
    server.kill().await;
    assert!(command(server.address(), &["get", "a"]).await.starts_with('-'));
    server.restart().await;
    assert_eq!(command(server.address(), &["get", "a"]).await, "$-1\r\n");
}

#[tokio::test]
async fn sentinels_make_the_replica_master() {
    let mut set = Sentinels::start().await;
    set.master.kill().await;
    wait::until("another master", wait::SOON, || async {
        let asked = ["sentinel", "get-master-addr-by-name", SERVICE];
        let said = command(set.sentinels[0].address(), &asked).await;
        said.contains(&set.replica.address().port().to_string()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_serves_every_slot() {
    let cluster = Cluster::start().await;
    let mut served = 0;
    for master in &cluster.masters {
        for key in ["a", "b", "c", "d", "e", "f", "g"] {
            let said = command(master.address(), &["set", key, "1"]).await;
            served += u32::from(said.starts_with("+OK"));
            assert!(said.starts_with("+OK") || said.starts_with("-MOVED"), "{said}");
        }
    }
    assert_eq!(served, 7);
}
