//! What the nodes of a cluster do together.

use crate::rig::{self, RULES};
use futures_util::future::join_all;
use madang_store::{conformance::fixtures::user, limits::Verdict, presence::NodeLife};

const HERE: [u8; 16] = [9; 16];
const NOW: u64 = 1_700_000_000_000;

#[tokio::test]
async fn three_nodes_count_logins_together() {
    for url in
        [madang_servers::redis::url(rig::alone()), rig::sentinels().url(), rig::cluster().url()]
    {
        let cluster = rig::fresh();
        let nodes = [(); 3].map(|()| rig::open(&url, &cluster, RULES));
        for login in 0..60 {
            let verdict = nodes[login % 3].limits.count_login(HERE, NOW + login as u64).await;
            assert_eq!(verdict, Verdict::Allowed, "login {login}");
        }
        let blocked = Verdict::Wait(RULES.login_block_ms);
        assert_eq!(nodes[0].limits.count_login(HERE, NOW + 60).await, blocked);
        for node in &nodes {
            assert_eq!(node.limits.is_blocked(HERE, NOW + 60).await, blocked);
        }
    }
}

#[tokio::test]
async fn logins_at_once_are_counted_each() {
    let cluster = rig::fresh();
    let url = madang_servers::redis::url(rig::alone());
    let nodes = [(); 3].map(|()| rig::open(&url, &cluster, RULES));
    let logins = (0..100).map(|login| nodes[login % 3].limits.count_login(HERE, NOW));
    let allowed = join_all(logins).await;
    assert_eq!(allowed.iter().filter(|verdict| **verdict == Verdict::Allowed).count(), 60);
}

#[tokio::test]
async fn clusters_on_one_redis_do_not_meet() {
    let url = madang_servers::redis::url(rig::alone());
    let nodes = [(); 2].map(|()| rig::open(&url, &rig::fresh(), RULES));
    let life = NodeLife { node: "here".to_owned(), incarnation: 1 };
    nodes[0].presence.renew(&life, vec![user(1)], 600_000).await.unwrap();
    assert_eq!(nodes[0].presence.online(&[user(1)]).await, Ok(vec![true]));
    assert_eq!(nodes[1].presence.online(&[user(1)]).await, Ok(vec![false]));
    for _ in 0..61 {
        nodes[0].limits.count_login(HERE, NOW).await;
    }
    assert_eq!(nodes[1].limits.is_blocked(HERE, NOW).await, Verdict::Allowed);
}

#[tokio::test]
async fn what_one_node_puts_in_another_finds() {
    let (url, cluster) = (rig::cluster().url(), rig::fresh());
    let nodes = [(); 2].map(|()| rig::open(&url, &cluster, RULES));
    let profile = madang_store::accounts::Profile {
        user: user(1),
        username: "u".to_owned(),
        display_name: "U".to_owned(),
    };
    let ttl = madang_store::cache::TTL;
    nodes[0].caches.profiles.put(vec![(user(1), profile.clone())], ttl).await.unwrap();
    assert_eq!(nodes[1].caches.profiles.get(&[user(1)]).await, Ok(vec![Some(profile)]));
    nodes[1].caches.profiles.forget(&[user(1)]).await.unwrap();
    assert_eq!(nodes[0].caches.profiles.get(&[user(1)]).await, Ok(vec![None]));
}

/// Nobody has such a name, so it does not matter whose count it is; it must not fill the memory.
#[tokio::test]
async fn names_that_are_too_long_share_a_count() {
    let node = rig::open(madang_servers::redis::url(rig::alone()), &rig::fresh(), RULES);
    let long = "é".repeat(128);
    for _ in 0..5 {
        node.limits.count_wrong(&format!("{long}a"), NOW).await;
    }
    let wait = Verdict::Wait(2_000);
    assert_eq!(node.limits.may_try(&format!("{long}b"), NOW).await, wait);
    assert_eq!(node.limits.may_try(&long[..254], NOW).await, Verdict::Allowed);
}
