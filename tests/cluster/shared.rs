//! What nodes share in Redis, and that nothing lives there alone.

use crate::{
    ground, launch,
    trouble::{Run, Stage, redis_is},
};
use madang_testkit::{Account, Socket, client::PASSWORD, servers};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Logins of one address in a minute.
const LOGINS: u32 = 60;
/// The worst answer of a call while Redis is away.
const WORST: Duration = Duration::from_secs(3);
/// How long it stands still.
const PAUSE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_count_logins_and_connections_together() {
    let (ground, redis) = tokio::join!(ground::shared(), servers::redis::alone());
    let launch = launch().with("redis", servers::redis::url(&redis));
    let launch = launch.with("logins-per-minute", LOGINS);
    let stage = Stage::of(ground, &launch).await;
    presence_is_that_of_all_nodes(&stage).await;
    logins_are_counted_together(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_away_is_missed_by_nobody() {
    let (ground, mut redis) = tokio::join!(ground::shared(), servers::redis::alone());
    let launch = launch().with("redis", servers::redis::url(&redis));
    let stage = Stage::of(ground, &launch).await;
    let run = Run::begin(&stage).await;
    redis.kill().await;
    everything_is_answered(&stage, "killed").await;
    redis_is(&stage, "degraded").await;
    nobody_goes_who_is_there(&stage).await;
    redis.restart().await;
    redis_is(&stage, "ok").await;
    redis.pause();
    everything_is_answered(&stage, "frozen").await;
    tokio::time::sleep(PAUSE).await; // how long it stands still
    redis.resume();
    redis_is(&stage, "ok").await;
    let judged = run.end(&stage).await;
    assert_eq!(judged.refusals(), 0);
}

/// One after the other at each node: the limit is that of the address, wherever it asks.
async fn logins_are_counted_together(stage: &Stage) {
    let body = json!({"username": "ann", "password": PASSWORD});
    let mut refused = 0;
    for number in 0..=LOGINS {
        let http = stage.cluster.http(number as usize % stage.cluster.nodes.len());
        let answer = http.post("/v1/login", body.clone()).send().await;
        if answer.status != 200 {
            assert_eq!(answer.body["code"], json!("blocked"), "{answer:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 1, "the {}th is blocked", LOGINS + 1);
}

/// Whoever has a connection on two nodes is offline when the last one ends.
async fn presence_is_that_of_all_nodes(stage: &Stage) {
    let Shown { room, dora, mut ann, second } = nobody_goes_who_is_there(stage).await;
    let answer = ann.ok("presence", json!({"room": room})).await;
    assert!(names(&answer["online"], &dora), "{answer}");
    second.close().await;
    until_told(&mut ann, "offline", &room, &dora, &mut Vec::new()).await;
}

/// A room, who is told of it, and a user who has one connection left.
struct Shown {
    room: String,
    ann: Socket,
    dora: Account,
    second: Socket,
}

/// Of Dora's connections on two nodes the first ends, and nobody is told that she is offline; another
/// user, who goes together with it, shows when that would have been told.
async fn nobody_goes_who_is_there(stage: &Stage) -> Shown {
    let http = stage.cluster.http(0);
    let (cleo, dora) = tokio::join!(http.signup("cleo"), http.signup("dora"));
    let room = http.make_group(&stage.ann, "three", &[&dora, &cleo]).await;
    let mut ann = join(stage, 0, &stage.ann).await;
    let (first, second) = (join(stage, 1, &dora).await, join(stage, 2, &dora).await);
    let third = join(stage, 1, &cleo).await;
    let mut told = Vec::new();
    until_told(&mut ann, "online", &room, &dora, &mut told).await;
    until_told(&mut ann, "online", &room, &cleo, &mut told).await;
    first.close().await;
    third.close().await;
    until_told(&mut ann, "offline", &room, &cleo, &mut told).await;
    let is_dora = |frame: &&Value| is_about(frame, "offline", &room, &dora);
    assert_eq!(told.iter().find(is_dora), None, "there is a connection on another node");
    Shown { room, ann, dora, second }
}

/// Reads until a `presence` of the room names a user there, or one before did.
async fn until_told(
    socket: &mut Socket,
    list: &str,
    room: &str,
    who: &Account,
    told: &mut Vec<Value>,
) {
    while !told.iter().any(|frame| is_about(frame, list, room, who)) {
        told.push(socket.expect("presence").await);
    }
}

fn is_about(frame: &Value, list: &str, room: &str, who: &Account) -> bool {
    frame["room"] == json!(room) && names(&frame[list], who)
}

fn names(users: &Value, who: &Account) -> bool {
    users.as_array().is_some_and(|users| users.contains(&json!(who.user)))
}

async fn join(stage: &Stage, place: usize, account: &Account) -> Socket {
    Socket::join(stage.cluster.nodes[place].address(), account).await
}

/// Signups, logins and reads at every node: none fails, none takes long.
pub(crate) async fn everything_is_answered(stage: &Stage, name: &str) {
    for (place, node) in stage.cluster.nodes.iter().enumerate() {
        let (http, began) = (node.http(), Instant::now());
        let account = http.signup(&format!("{name}{place}")).await;
        http.login(&account.username).await;
        http.get("/v1/rooms").token(&stage.ann.token).send().await.expect(200);
        assert!(began.elapsed() < WORST, "three calls took {:?}", began.elapsed());
    }
}
