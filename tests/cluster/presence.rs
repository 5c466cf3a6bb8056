//! Who is online, when a node goes without a word.

use crate::{ground, launch, redis::is_any, trouble::Stage};
use madang_testkit::{
    Account, Socket,
    servers::{redis, wait},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A lease of 10 s, the second after which somebody looks whether it ended, and what it takes to tell
/// on a busy machine.
const TOLD_WITHIN: Duration = Duration::from_millis(10_000 + 1_000 + 500);
/// Two looks more.
const NOTHING_MORE_FOR: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_of_a_killed_node_are_offline_a_second_after_their_leases() {
    let redis = redis::alone().await;
    let launch = launch().with("redis", redis::url(&redis));
    let mut stage = Stage::of(ground::shared().await, &launch).await;
    let http = stage.cluster.http(0);
    let (cleo, dora) = tokio::join!(http.signup("cleo"), http.signup("dora"));
    let room = http.make_group(&stage.ann, "five", &[&stage.ben, &cleo, &dora]).await;
    let mut readers = [join(&stage, 0, &stage.ann).await, join(&stage, 1, &stage.ben).await];
    // One is on the killed node alone, the other has a connection elsewhere as well.
    let (_cleo, _dora) = (join(&stage, 2, &cleo).await, join(&stage, 2, &dora).await);
    let _elsewhere = join(&stage, 1, &dora).await;
    for reader in &mut readers {
        is_online(reader, &room, &[&stage.ann, &stage.ben, &cleo, &dora]).await;
    }
    stage.cluster.nodes[2].kill().await;
    let killed = Instant::now();
    for reader in &mut readers {
        offline(reader, &room, &cleo).await;
        println!("told {:?} after the node was killed", killed.elapsed());
        assert!(killed.elapsed() < TOLD_WITHIN, "{:?}", killed.elapsed());
        is_online(reader, &room, &[&stage.ann, &stage.ben, &dora]).await;
    }
    tokio::time::sleep(NOTHING_MORE_FOR).await; // for what would be told once too often
    for reader in &mut readers {
        reader.ok("ping", json!({})).await;
        let more: Vec<_> = reader.presence().filter(|frame| frame["room"] == json!(room)).collect();
        let gone = more.iter().filter(|frame| is_any(&frame["offline"]));
        assert_eq!(gone.count(), 0, "each is told once, and who is there is not: {more:?}");
    }
    // Back on another node.
    let _cleo = join(&stage, 0, &cleo).await;
    for reader in &mut readers {
        is_online(reader, &room, &[&stage.ann, &stage.ben, &cleo, &dora]).await;
    }
}

async fn join(stage: &Stage, place: usize, account: &Account) -> Socket {
    Socket::join(stage.cluster.nodes[place].address(), account).await
}

/// Waits until these are online, and nobody else.
async fn is_online(reader: &mut Socket, room: &str, who: &[&Account]) {
    let mut expected: Vec<Value> = who.iter().map(|account| json!(account.user)).collect();
    expected.sort_by_key(|user| user.as_str().map(str::to_owned));
    let deadline = Instant::now() + wait::SOON;
    loop {
        let online = reader.ok("presence", json!({"room": room})).await;
        if online["online"] == json!(expected) {
            return;
        }
        assert!(Instant::now() < deadline, "{online}");
        tokio::time::sleep(wait::LOOK_AGAIN).await;
    }
}

/// Reads until this user is told to be offline.
async fn offline(reader: &mut Socket, room: &str, who: &Account) {
    let told = async {
        loop {
            let frame = reader.expect("presence").await;
            let gone =
                frame["offline"].as_array().is_some_and(|gone| gone.contains(&json!(who.user)));
            if frame["room"] == json!(room) && gone {
                return;
            }
        }
    };
    wait::within("a user is told to be offline", wait::SOON, told).await;
}
