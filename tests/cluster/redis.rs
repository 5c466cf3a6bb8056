//! Redis that is silent or fails over, under load, as the clients of a cluster feel it.

use crate::{
    callers::Callers,
    ground, launch,
    trouble::{Run, Stage, redis_is},
};
use madang_testkit::{
    Account, Http, Launch, Socket,
    client::{PASSWORD, text},
    servers::{
        Proxy,
        proxy::Mode,
        redis::{self, Sentinels, command},
        wait,
    },
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The worst answer of a call, whatever becomes of Redis.
const WORST: Duration = Duration::from_secs(3);
/// What nobody waits longer for behind the breaker, and what of the calls may on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(50);
const LATE_PERCENT_MAX: usize = 3;
/// How long a silent Redis is watched: time for two attempts of each node to reach it.
const WATCHED: Duration = Duration::from_secs(4);
/// Presence is whole again a lease and a second after Redis is.
const WHOLE_WITHIN: Duration = Duration::from_secs(11);
/// Attempts of each node to reach it meanwhile: it is asked again after 1 s, 2 s, 4 s.
const ATTEMPTS_MAX: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_swallows_everything_is_asked_seldom_and_missed_by_nobody() {
    let redis = redis::alone().await;
    let proxy = Proxy::start(redis.address()).await;
    let stage = stage_on(format!("redis://{}", proxy.address())).await;
    let mut quiet = Quiet::begin(&stage).await;
    let room = stage.make_room().await;
    let run = Run::begin_in(&stage, &room).await;
    let callers = Callers::begin(&stage, &room).await;
    proxy.set(Mode::Blackhole);
    redis_is(&stage, "degraded").await;
    tokio::time::sleep(WATCHED).await; // how long it is silent, under load
    callers.end().await.is_good(WORST);
    // Nothing but these calls now, so that it is the node that they wait for.
    let judged = run.end(&stage).await;
    assert_eq!(judged.refusals(), 0);
    answers_at_once(&stage.cluster.http(0), &stage.ann).await;
    let (before, until) = (proxy.accepted(), Instant::now() + WATCHED);
    while Instant::now() < until {
        for node in &stage.cluster.nodes {
            node.http().get("/v1/me").token(&stage.ann.token).send().await.expect(200);
        }
    }
    let attempts = proxy.accepted() - before;
    let most = ATTEMPTS_MAX * stage.cluster.nodes.len();
    assert!(attempts <= most, "{attempts} attempts reached it");
    proxy.set(Mode::Forward);
    redis_is(&stage, "ok").await;
    // Leases have ended meanwhile, but nobody went.
    quiet.both_are_online().await;
    quiet.nobody_went();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_of_redis_is_missed_by_nobody() {
    let mut redis = Sentinels::start().await;
    let stage = stage_on(redis.url()).await;
    let room = stage.make_room().await;
    let run = Run::begin_in(&stage, &room).await;
    let callers = Callers::begin(&stage, &room).await;
    redis.master.kill().await;
    run.goes_on(100).await;
    is_master(redis.replica.address()).await;
    run.goes_on(100).await;
    redis_is(&stage, "ok").await;
    let kept = async || keys(redis.replica.address()).await.contains(":presence:").then_some(());
    wait::until("leases on the new master", wait::SOON, kept).await;
    callers.end().await.is_good(WORST);
    let judged = run.end(&stage).await;
    assert_eq!(judged.refusals(), 0);
}

/// Each login ends the sessions before it, on whichever nodes, and copies of those are believed
/// nowhere any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_logins_at_once_on_two_nodes_one_session_stays() {
    let redis = redis::alone().await;
    let launch = with_redis(redis::url(&redis)).with("single-session", true);
    let stage = Stage::of(ground::shared().await, &launch).await;
    let nodes = [0, 1, 2].map(|place| stage.cluster.http(place));
    let mut tokens = vec![stage.ann.token.clone()];
    for round in 0..5 {
        for token in &tokens {
            who(&nodes, token).await; // there are copies now
        }
        let (first, second) = (&nodes[round % 3], &nodes[(round + 1) % 3]);
        let (first, second) = tokio::join!(login(first), login(second));
        tokens.extend([first, second]);
        wait::until("one session is left, on all nodes", wait::SOON, async || {
            let mut valid = Vec::new();
            for token in &tokens {
                let answers = who(&nodes, token).await;
                if answers.windows(2).any(|pair| pair[0] != pair[1]) {
                    return None;
                }
                valid.extend((answers[0] == 200).then_some(token));
            }
            let [one] = valid[..] else { return None };
            tokens[tokens.len() - 2..].contains(one).then_some(())
        })
        .await;
    }
}

fn with_redis(url: String) -> Launch {
    launch().with("redis", url)
}

async fn stage_on(url: String) -> Stage {
    Stage::of(ground::shared().await, &with_redis(url)).await
}

/// What needs Redis where it is well is answered without it, and without waiting.
async fn answers_at_once(http: &Http, ann: &Account) {
    let mut late = 0;
    for _ in 0..300 {
        let began = Instant::now();
        http.get("/v1/me").token(&ann.token).send().await.expect(200);
        late += usize::from(began.elapsed() > AT_ONCE);
    }
    assert!(late * 100 <= 300 * LATE_PERCENT_MAX, "{late} of 300 calls waited");
}

/// Two users who stay connected, each to another node, and hear of each other.
pub(crate) struct Quiet {
    users: [String; 2],
    readers: [Socket; 2],
    room: String,
}

impl Quiet {
    pub(crate) async fn begin(stage: &Stage) -> Self {
        let http = stage.cluster.http(0);
        let (cleo, dora) = tokio::join!(http.signup("cleo"), http.signup("dora"));
        let room = http.make_group(&cleo, "quiet", &[&dora]).await;
        let address = |place: usize| stage.cluster.nodes[place].address();
        let (first, second) =
            tokio::join!(Socket::join(address(0), &cleo), Socket::join(address(1), &dora));
        let mut users = [cleo.user, dora.user];
        users.sort();
        let mut quiet = Self { users, readers: [first, second], room };
        quiet.both_are_online().await;
        quiet
    }

    /// Waits until each node says so of both; alone, a node knows of one.
    async fn both_are_online(&mut self) {
        let until = Instant::now() + WHOLE_WITHIN;
        for reader in &mut self.readers {
            loop {
                let online = reader.ok("presence", json!({"room": self.room})).await;
                if online["online"] == json!(self.users) {
                    break;
                }
                assert!(Instant::now() < until, "{online}");
                tokio::time::sleep(wait::LOOK_AGAIN).await;
            }
        }
    }

    pub(crate) fn nobody_went(&self) {
        for reader in &self.readers {
            let gone: Vec<_> =
                reader.presence().filter(|frame| is_any(&frame["offline"])).collect();
            assert_eq!(gone, [&Value::Null; 0]);
        }
    }
}

/// A list that is left out where there is nothing in it.
pub(crate) fn is_any(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

async fn is_master(server: SocketAddr) {
    wait::until("the replica is the master", wait::SOON, async || {
        let role = command(server, &["info", "replication"]).await;
        role.contains("role:master").then_some(())
    })
    .await;
}

async fn keys(server: SocketAddr) -> String {
    command(server, &["scan", "0", "count", "1000"]).await
}

async fn login(http: &Http) -> String {
    let body = json!({"username": "ann", "password": PASSWORD});
    text(&http.post("/v1/login", body).send().await.expect(200), "token").to_owned()
}

/// How each node answers to this token.
async fn who(nodes: &[Http], token: &str) -> Vec<u16> {
    let mut answers = Vec::new();
    for http in nodes {
        answers.push(http.get("/v1/me").token(token).send().await.status);
    }
    answers
}
