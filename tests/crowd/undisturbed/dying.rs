//! A fifth of the connections dies at once.

use super::{IN_FLIGHT_SENDS, Step, in_memory, judge, plan, prefer};
use crate::{alone, idle, launch, users_in};
use madang_testkit::{Account, Background, Http, Node, pulse::Pulse, wait::within};
use std::time::Duration;
use tokio::task::JoinSet;

const CONNECTIONS: usize = 5_000;
const DYING: usize = CONNECTIONS / 5;
const USERS: usize = 1_000;
const ROOM_USERS: usize = 200;
const ROUNDS: usize = 3;
/// From the death on, so that what follows it is felt, too.
const LASTS: Duration = Duration::from_secs(1);
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifth_of_the_connections_that_die_at_once_is_not_felt() {
    let _machine = alone().await;
    let directory = in_memory();
    let mut accounts = users_in(&directory, USERS + 2).await;
    let node = launch().with("in-flight-sends", IN_FLIGHT_SENDS).start_in(directory).await;
    prefer(&node);
    let pair = [accounts.pop(), accounts.pop()].map(|one| one.expect("two more"));
    for users in accounts.chunks(ROOM_USERS) {
        let members: Vec<&Account> = users[1..].iter().collect();
        node.http().make_group(&users[0], "yard", &members).await;
    }
    let background = Background::start();
    let _open = connect(&background, &node, &accounts, CONNECTIONS - DYING).await;
    let pair = [&pair[0], &pair[1]];
    let room = node.http().make_group(pair[0], "quiet", &[pair[1]]).await;
    let pulse = Pulse::start(plan(&node, pair, &room, 0).await);
    idle::connected(&node, CONNECTIONS - DYING + 2).await;

    let mut doomed = None;
    let disturb = async |step| match step {
        Step::Prepare => {
            doomed = Some(connect(&background, &node, &accounts, DYING).await);
            idle::connected(&node, CONNECTIONS + 2).await;
        }
        Step::Disturb => {
            let doomed = doomed.take().expect("made before");
            let http = node.http();
            background.run(die(doomed, http)).await;
        }
        Step::Clear => {}
    };
    judge(&pulse, "1,000 of 5,000 connections die", ROUNDS, disturb).await;
}

async fn connect(
    background: &Background,
    node: &Node,
    accounts: &[Account],
    count: usize,
) -> JoinSet<()> {
    let (address, accounts) = (node.address(), accounts.to_vec());
    background.run(async move { idle::connect(address, &accounts, count).await }).await
}

async fn die(mut doomed: JoinSet<()>, http: Http) {
    doomed.abort_all();
    let left = (CONNECTIONS - DYING + 2) as f64;
    let gone = async {
        while http.metrics().await.sum("madang_connections", &[]) > left {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (_, ()) = tokio::join!(
        tokio::time::sleep(LASTS),
        within("the dead are noticed", NOTICED_WITHIN, gone)
    );
}
