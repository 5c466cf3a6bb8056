//! The memory of a connection that is logged in, subscribed, and silent.

use crate::{alone, launch, users};
use madang_testkit::{
    Account, Node, Socket,
    client::Door,
    wait::{SOON, until},
};
use serde_json::json;
use std::net::IpAddr;

/// Many, because the allocator takes memory in pieces of megabytes: a piece more or less must not
/// decide. Few enough for 20,000 file descriptors.
const CONNECTIONS: usize = 16_000;
/// Opened at a time.
const ABREAST: usize = 50;
/// Connections that are there before the count begins, so that what a node needs once (threads'
/// buffers, a room's actors) is not divided among the others.
const WARM: usize = 1_000;

/// Without optimisation every future is larger, so only the release binary is held to the figure
/// users are promised.
const BYTES_EACH_MAX: u64 = if cfg!(debug_assertions) { 8_000 } else { 3_000 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_small() {
    let _machine = alone().await;
    let (directory, accounts) = users(50).await;
    let node = launch().start_in(directory).await;
    let members: Vec<&Account> = accounts[1..].iter().collect();
    node.http().make_group(&accounts[0], "all", &members).await;

    let mut open = connect(&node, &accounts, WARM).await;
    let before = node.usage().resident_bytes;
    open.extend(connect(&node, &accounts, CONNECTIONS).await);
    connected(&node, WARM + CONNECTIONS).await;
    let grown = node.usage().resident_bytes.saturating_sub(before);
    let each = grown / CONNECTIONS as u64;
    println!("{each} bytes for each of {CONNECTIONS} idle connections");
    assert!(each < BYTES_EACH_MAX, "{each} bytes each, {grown} in all");
}

async fn connected(node: &Node, count: usize) {
    let http = node.http();
    let all = || async {
        let connections = http.metrics().await.sum("madang_connections", &[]);
        (connections == count as f64).then_some(())
    };
    until(&format!("{count} connections"), SOON, all).await;
}

async fn connect(node: &Node, accounts: &[Account], count: usize) -> Vec<Socket> {
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let batch = ABREAST.min(count - open.len());
        let joining = (0..batch).map(|index| {
            let number = open.len() + index;
            let account = accounts[number % accounts.len()].clone();
            tokio::spawn(join(node.address(), account, number))
        });
        for socket in joining.collect::<Vec<_>>() {
            open.push(socket.await.expect("joined"));
        }
    }
    open
}

/// From one of several addresses, as the crowd of a real node would come.
async fn join(address: std::net::SocketAddr, account: Account, number: usize) -> Socket {
    let source: IpAddr = [127, 0, 1, 1 + u8::try_from(number % 8).expect("below 8")].into();
    let mut socket = Door::new(address).source(source).open().await.expect("upgraded");
    let hello = socket.ok("hello", json!({"token": account.token})).await;
    assert_eq!(hello["rooms"].as_array().map(Vec::len), Some(1), "{hello}");
    socket
}
