//! What many do at once, and how little two people in a quiet room feel of it: always compared with a
//! quiet phase of the same run.

use crate::{alone, idle, launch, users};
use madang_testkit::{Account, Stage, client::PASSWORD, pulse::Pulse, wait::within};
use serde_json::json;
use std::time::Duration;

const QUIET: Duration = Duration::from_secs(2);
/// What users are promised beside logins and readers is 1.5 times and a millisecond. Here the clients
/// that do the disturbing have the same two cores as the node.
const FACTOR: f64 = 1.5;
const SLACK: Duration = Duration::from_millis(if cfg!(debug_assertions) { 200 } else { 100 });
const DONE_WITHIN: Duration = Duration::from_secs(60);

const CONNECTIONS: usize = 5_000;
const USERS: usize = 1_000;
const ROOM_USERS: usize = 200;
const READS: usize = 1_000;
const LOGINS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifth_of_the_connections_that_die_at_once_is_not_felt() {
    let _machine = alone().await;
    let (directory, accounts) = users(USERS).await;
    let node = launch().start_in(directory).await;
    for users in accounts.chunks(ROOM_USERS) {
        let members: Vec<&Account> = users[1..].iter().collect();
        node.http().make_group(&users[0], "yard", &members).await;
    }
    let dying = CONNECTIONS / 5;
    let mut doomed = idle::connect(&node, &accounts, dying).await;
    let _open = idle::connect(&node, &accounts, CONNECTIONS - dying).await;
    idle::connected(&node, CONNECTIONS).await;

    let pair = [&accounts[0], &accounts[1]];
    let room = node.http().make_group(pair[0], "quiet", &[pair[1]]).await;
    let mut pulse = Pulse::new(node.address(), pair, &room, true).await;
    let quiet = pulse.at_rest(QUIET).await;
    let http = node.http();
    let (felt, ()) = pulse
        .beside(QUIET, async move {
            doomed.abort_all();
            let left = (CONNECTIONS - dying + 2) as f64;
            let gone = async {
                while http.metrics().await.sum("madang_connections", &[]) > left {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            within("the dead are noticed", DONE_WITHIN, gone).await;
        })
        .await;
    println!("quiet: {quiet:?}\n{dying} die: {felt:?}");
    felt.is_like(&quiet, FACTOR, SLACK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_reads_are_not_felt() {
    let _machine = alone().await;
    let stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 300).await;
    let quiet_room = stage.http.make_group(&stage.ann, "quiet", &[&stage.ben]).await;
    let pair = [&stage.ann, &stage.ben];
    let mut pulse = Pulse::new(stage.address(), pair, &quiet_room, true).await;
    let quiet = pulse.at_rest(QUIET).await;
    let path = format!("/v1/rooms/{}/messages?before=200&limit=50", stage.room);
    let reads: Vec<_> = (0..READS).map(|_| stage.http.get(&path).token(&stage.ben.token)).collect();
    let (felt, ()) = pulse
        .beside(QUIET, async move {
            let reads: Vec<_> = reads.into_iter().map(|read| read.spawn()).collect();
            for read in reads {
                let page = read.await.expect("the task ends").expect(200);
                assert_eq!(page["messages"].as_array().map(Vec::len), Some(50));
            }
        })
        .await;
    println!("quiet: {quiet:?}\n{READS} reads: {felt:?}");
    felt.is_like(&quiet, FACTOR, SLACK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_logins_are_not_felt() {
    let _machine = alone().await;
    let stage = Stage::set(launch()).await;
    let pair = [&stage.ann, &stage.ben];
    let mut pulse = Pulse::new(stage.address(), pair, &stage.room, true).await;
    let quiet = pulse.at_rest(QUIET).await;
    let http = stage.http.clone();
    let (felt, ()) = pulse
        .beside(QUIET, async move {
            let login = |number: usize| {
                let body = json!({"username": format!("stranger{number}"), "password": PASSWORD});
                http.post("/v1/login", body).spawn()
            };
            for login in (0..LOGINS).map(login).collect::<Vec<_>>() {
                login.await.expect("the task ends").refused(401, "bad_credentials");
            }
        })
        .await;
    println!("quiet: {quiet:?}\n{LOGINS} logins: {felt:?}");
    felt.is_like(&quiet, FACTOR, SLACK);
}
