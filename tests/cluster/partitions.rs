//! Networks that are cut between some and not between others.

use crate::{
    launch,
    trouble::{Run, Stage},
};
use madang_testkit::{
    Ground, Launch, Socket,
    servers::{
        Proxy,
        proxy::Mode::{self, Blackhole, Forward},
    },
    wait,
};
use reqwest::Method;
use serde_json::json;
use std::time::{Duration, Instant};

/// How long something is cut off: beyond the 3 s after which a node is out of the view, and the
/// 2 s after which a primary is replaced.
const CUT: Duration = Duration::from_secs(6);
/// What clients may notice beyond an election.
const BEYOND_ELECTION: Duration = Duration::from_secs(2);
/// Sessions and memberships are looked at so often, whatever is heard.
const RECHECK_MS: u64 = 2_000;
/// The code with which connections of a session that has ended are closed.
const SESSION_OVER: u16 = 4_001;

/// A cluster in which each way between a node and a server can be cut.
pub(crate) struct Parted {
    pub(crate) ground: Ground,
    /// What each node finds NATS behind.
    pub(crate) buses: Vec<Proxy>,
    pub(crate) stage: Stage,
}

impl Parted {
    pub(crate) async fn set(launch: &Launch) -> Self {
        let ground = Ground::behind_proxies().await;
        let nats = ground.nats.server(0).address();
        let mut buses = Vec::new();
        for _ in 0..3 {
            buses.push(Proxy::start(nats).await);
        }
        let each = |launch: Launch, place: usize| {
            let mongo = format!("{}&appName=n{}", ground.mongo.uri(), place + 1);
            let nats = format!("nats://{}", buses[place].address());
            launch.with("mongo", mongo).with("nats", nats)
        };
        let stage = Stage::of_each(&ground, launch, each).await;
        Self { ground, buses, stage }
    }

    /// What passes between a node and MongoDB from now on.
    pub(crate) fn store(&self, place: usize, mode: Mode) {
        self.ground.mongo.set_for(&format!("n{}", place + 1), mode);
    }
}

/// How long the way is cut, not a wait for something to happen.
async fn while_it_is_cut() {
    tokio::time::sleep(CUT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_is_cut_from_the_bus_and_not_from_the_store() {
    a_home_is_cut_off(|parted, home, mode| parted.buses[home].set(mode)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_home_that_is_cut_from_the_store_and_not_from_the_bus() {
    a_home_is_cut_off(Parted::store).await;
}

async fn a_home_is_cut_off(cut: impl Fn(&Parted, usize, Mode)) {
    let parted = Parted::set(&launch()).await;
    let room = parted.stage.make_room().await;
    let home = parted.stage.home_of(&room);
    let run = Run::begin_in(&parted.stage, &room).await;
    cut(&parted, home, Blackhole);
    while_it_is_cut().await;
    cut(&parted, home, Forward);
    run.goes_on(300).await;
    parted.stage.is_ready().await;
    let judged = run.end(&parted.stage).await;
    println!("longest silence {:?}, {} refusals", judged.longest_silence(), judged.refusals());
    assert_eq!(judged.refusals(), 0, "sends in doubt wait rather than being refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_cut_from_its_members_and_not_from_the_nodes() {
    let parted = Parted::set(&launch()).await;
    let run = Run::begin(&parted.stage).await;
    let primary = parted.ground.mongo.primary().await;
    let began = Instant::now();
    parted.ground.mongo.set_among(primary, Blackhole);
    parted.ground.mongo.takes_writes().await;
    let election = began.elapsed();
    run.goes_on(300).await;
    assert_ne!(parted.ground.mongo.primary().await, primary, "another was elected");
    parted.ground.mongo.set_among(primary, Forward);
    run.goes_on(300).await;
    let judged = run.end(&parted.stage).await;
    let silence = judged.longest_silence();
    println!("longest silence {silence:?}, {} refusals; {election:?}", judged.refusals());
    assert!(silence < election + BEYOND_ELECTION, "{silence:?}, the election took {election:?}");
    assert_eq!(judged.refusals(), 0, "sends in doubt wait rather than being refused");
}

/// Nobody tells the node: it finds out by looking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removals_that_a_node_does_not_hear_of_are_noticed() {
    let launch = launch().with("session-recheck-ms", RECHECK_MS);
    let parted = Parted::set(&launch).await;
    let stage = &parted.stage;
    let room = stage.make_room().await;
    let elsewhere = (stage.home_of(&room) + 1) % 3;
    let teller = (elsewhere + 1) % 3;
    let mut ben = Socket::join(stage.cluster.nodes[elsewhere].address(), &stage.ben).await;
    let mut ann = Socket::join(stage.cluster.nodes[elsewhere].address(), &stage.ann).await;
    parted.buses[elsewhere].set(Blackhole);
    let http = stage.cluster.http(teller);
    let place = format!("/v1/rooms/{room}/members/{}", stage.ben.user);
    http.call(Method::DELETE, &place).token(&stage.ann.token).send().await.expect(204);
    http.call(Method::POST, "/v1/logout").token(&stage.ann.token).send().await.expect(204);
    let began = Instant::now();
    let code = wait::within("the session ends", wait::SOON, ann.close_code()).await;
    assert_eq!(code, SESSION_OVER);
    println!("the session ended after {:?}", began.elapsed());
    parted.buses[elsewhere].set(Forward);
    let told = wait::within("the member is told", wait::SOON, ben.expect("member")).await;
    assert_eq!((&told["user"], &told["room"]), (&json!(stage.ben.user), &json!(room)), "{told}");
    assert_eq!(told["change"], json!("removed"), "{told}");
    println!("the member was told after {:?}", began.elapsed());
}
