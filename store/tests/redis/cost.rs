//! What calls cost, counted by the server.

use crate::rig;
use madang_servers::redis::{self, command};
use madang_store::{conformance::fixtures::user, presence::NodeLife};
use std::net::SocketAddr;

const HERE: [u8; 16] = [9; 16];
const NOW: u64 = 1_700_000_000_000;

/// Everything the server was asked for, this question and the look in the background apart.
async fn asked(server: SocketAddr) -> Vec<(String, u64)> {
    let said = command(server, &["info", "commandstats"]).await;
    let lines = said.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
    let calls = lines.filter_map(|line| {
        let (name, rest) = line.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    });
    let apart = ["info", "ping", "config|resetstat", "exists", "client|setinfo", "hello", "select"];
    calls.filter(|(name, _)| !apart.contains(&name.as_str())).collect()
}

async fn cost(server: SocketAddr, call: impl Future) -> Vec<(String, u64)> {
    command(server, &["config", "resetstat"]).await;
    call.await;
    let mut asked = asked(server).await;
    asked.sort();
    asked
}

/// What a script does at the server comes from no client.
fn from_clients(asked: &[(String, u64)]) -> u64 {
    let names = ["eval", "evalsha", "script|load", "hmget", "lindex", "del", "get", "set"];
    asked.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, calls)| calls).sum()
}

#[tokio::test]
async fn a_call_of_the_limits_is_one_command() {
    let server = redis::alone().await;
    let (address, parts) = (server.address(), rig::at(server.address()));
    let limits = &parts.limits;
    let eval = |asked: Vec<(String, u64)>| {
        asked.into_iter().find(|(name, _)| name == "eval").map(|(_, calls)| calls)
    };
    assert_eq!(eval(cost(address, limits.count_login(HERE, NOW)).await), Some(1));
    assert_eq!(eval(cost(address, limits.count_signup(HERE, NOW)).await), Some(1));
    assert_eq!(eval(cost(address, limits.count_wrong("alice", NOW)).await), Some(1));
    assert_eq!(from_clients(&cost(address, limits.is_blocked(HERE, NOW)).await), 1);
    assert_eq!(from_clients(&cost(address, limits.may_try("alice", NOW)).await), 1);
    assert_eq!(from_clients(&cost(address, limits.forget_wrong("alice")).await), 1);
}

#[tokio::test]
async fn a_flush_of_a_thousand_users_is_one_pipeline() {
    let server = redis::alone().await;
    let (address, parts) = (server.address(), rig::at(server.address()));
    let life = NodeLife { node: "here".to_owned(), incarnation: 1 };
    parts.presence.online(&[user(1)]).await.unwrap();
    let read_before = reads(address).await;
    let users: Vec<_> = (0..1_000).map(user).collect();
    let asked = cost(address, async {
        let came = parts.presence.renew(&life, users.clone(), 600_000).await.unwrap();
        assert_eq!(came.len(), 1_000);
    })
    .await;
    let calls = |name: &str| asked.iter().find(|(other, _)| other == name).map(|(_, calls)| *calls);
    assert_eq!(
        (calls("script|load"), calls("evalsha"), calls("eval")),
        (Some(1), Some(1_000), None)
    );
    // 90 kB of commands, which the server takes in at most 16 kB at once; one by one it would be
    // a thousand.
    let read = reads(address).await - read_before;
    assert!(read < 40, "{read} reads of its sockets");
}

/// How often the server read from a socket since it was started; not set back by `resetstat`.
async fn reads(server: SocketAddr) -> u64 {
    let said = command(server, &["info", "stats"]).await;
    let line = said.lines().find_map(|line| line.strip_prefix("total_reads_processed:"));
    line.and_then(|line| line.trim().parse().ok()).expect("Redis counts its reads")
}
