//! What a connection costs that is logged in, receives one room, and is silent.

use crate::{alone, launch, undisturbed::strict, users};
use madang_testkit::{
    Account, Node, Socket,
    client::Door,
    wait::{SOON, until},
};
use serde_json::json;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::task::JoinSet;

const USERS: usize = 1_000;
/// Ten of each user; half of the 20,000 descriptors a process may have.
const CONNECTIONS: usize = 10_000;
/// Opened at a time. Clients come back together, and what their handshakes needed must not stay.
const ABREAST: usize = 200;
/// As many as may be named when a room is made, and its maker.
const ROOM_USERS: usize = 200;
/// How long they are silent: time for thousands of heartbeats, for the allocator to give back
/// what it does not need, and for the kernel to make huge pages if it may.
const SILENCE: Duration = Duration::from_secs(10);

/// What users are promised.
const BYTES_EACH_MAX: u64 = 3_072;
/// How often the node wakes for it in a second, at most: for a ping and for a pong every 25 s, if none of
/// them falls together with another, and for what the node does in its own time.
const WAKES_EACH_MAX: f64 = 0.08 + 0.01;
/// Processor time in a second. Users are promised a microsecond; a machine that others use too
/// takes half of that again by cold caches, and some take several times as much: held to where
/// the machine does nothing else.
const PROCESSOR_EACH_MAX: Duration = Duration::from_nanos(1_500);

/// From a node that has served nobody yet, so that what it needs once is counted in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_small() {
    let _machine = alone().await;
    let (directory, accounts) = users(USERS).await;
    let node = launch().start_in(directory).await;
    for users in accounts.chunks(ROOM_USERS) {
        let members: Vec<&Account> = users[1..].iter().collect();
        node.http().make_group(&users[0], "yard", &members).await;
    }

    let before = node.usage();
    let _open = connect(node.address(), &accounts, CONNECTIONS).await;
    connected(&node, CONNECTIONS).await;
    let opened = node.usage();
    tokio::time::sleep(SILENCE).await;
    let after = node.usage();
    connected(&node, CONNECTIONS).await;

    let grown = after.resident_bytes.saturating_sub(before.resident_bytes);
    let each = grown / CONNECTIONS as u64;
    let busy = (after.processor - opened.processor).div_f64(SILENCE.as_secs_f64());
    let busy_each = busy / u32::try_from(CONNECTIONS).expect("a small number");
    let woken = (after.sleeps - opened.sleeps) as f64 / SILENCE.as_secs_f64();
    let woken_each = woken / CONNECTIONS as f64;
    println!(
        "{each} bytes, {woken_each:.3} wakes and {busy_each:?} a second for each of {CONNECTIONS}"
    );
    assert!(each <= BYTES_EACH_MAX, "{each} bytes each, {grown} in all");
    assert!(woken_each <= WAKES_EACH_MAX, "{woken_each} wakes a second each, {woken} in all");
    let is_held_to = strict().is_none() || busy_each <= PROCESSOR_EACH_MAX;
    assert!(is_held_to, "{busy_each:?} a second each, {busy:?} in all");
}

/// Waits until the node has so many.
pub(crate) async fn connected(node: &Node, count: usize) {
    let http = node.http();
    let all = || async {
        let connections = http.metrics().await.sum("madang_connections", &[]);
        (connections == count as f64).then_some(())
    };
    until(&format!("{count} connections"), SOON, all).await;
}

/// Open for as long as the set is kept, each answering its pings.
pub(crate) async fn connect(
    address: SocketAddr,
    accounts: &[Account],
    count: usize,
) -> JoinSet<()> {
    let mut open = JoinSet::new();
    let numbers: Vec<usize> = (0..count).collect();
    for batch in numbers.chunks(ABREAST) {
        let mut joining = JoinSet::new();
        for number in batch {
            let account = accounts[number % accounts.len()].clone();
            joining.spawn(join(address, account, *number));
        }
        for mut socket in joining.join_all().await {
            open.spawn(async move { while socket.frame().await.is_some() {} });
        }
    }
    open
}

/// From one of several addresses, as the crowd of a real node would come.
async fn join(address: SocketAddr, account: Account, number: usize) -> Socket {
    let source: IpAddr = [127, 0, 1, 1 + u8::try_from(number % 8).expect("below 8")].into();
    let mut socket = Door::new(address).source(source).open().await.expect("upgraded");
    let hello = socket.ok("hello", json!({"token": account.token})).await;
    assert_eq!(hello["rooms"].as_array().map(Vec::len), Some(1), "{hello}");
    socket
}
