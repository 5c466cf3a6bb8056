//! Everything goes wrong, one thing after the other, in an order that one number gives.
//!
//! `RANDOM_SEED=7 RANDOM_SECONDS=60 cargo test --test cluster random -- --nocapture`

use crate::{launch, partitions::Parted, trouble::Run};
use fastrand::Rng;
use madang_testkit::servers::{
    Server,
    proxy::Mode::{self, Blackhole, Cut, Forward},
    redis,
};
use std::{
    env,
    str::FromStr,
    time::{Duration, Instant},
};

/// For how long, unless `RANDOM_SECONDS` says otherwise.
const SECONDS: u64 = 20;
/// Each trouble lasts so long, milliseconds.
const LASTS: std::ops::Range<u64> = 500..5_000;
/// And so long passes before the next one.
const BETWEEN: std::ops::Range<u64> = 200..2_000;

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    NodeKilled(usize),
    NodeStandsStill(usize),
    NodeWithoutBus(usize, Mode),
    NodeWithoutStore(usize, Mode),
    BusKilled,
    BusStandsStill,
    PrimaryKilled,
    PrimaryStandsStill,
    PrimaryCutOff,
    RedisKilled,
    RedisStandsStill,
}

impl Trouble {
    fn any(random: &mut Rng) -> Self {
        let node = random.usize(..3);
        let mode = if random.bool() { Blackhole } else { Cut };
        match random.u8(..11) {
            0 => Self::NodeKilled(node),
            1 => Self::NodeStandsStill(node),
            2 => Self::NodeWithoutBus(node, mode),
            3 => Self::NodeWithoutStore(node, mode),
            4 => Self::BusKilled,
            5 => Self::BusStandsStill,
            6 => Self::PrimaryKilled,
            7 => Self::PrimaryStandsStill,
            8 => Self::PrimaryCutOff,
            9 => Self::RedisKilled,
            _ => Self::RedisStandsStill,
        }
    }
}

/// What the machine gave, or what somebody wants to see again.
fn given<T: FromStr>(name: &str, otherwise: T) -> T {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_nothing_is_lost() {
    let seed = given("RANDOM_SEED", fastrand::u64(..));
    let lasts = Duration::from_secs(given("RANDOM_SECONDS", SECONDS));
    println!("RANDOM_SEED={seed} RANDOM_SECONDS={}", lasts.as_secs());
    let mut random = Rng::with_seed(seed);
    let mut shared = redis::alone().await;
    let launch = launch().with("redis", redis::url(&shared));
    let mut parted = Parted::set(&launch).await;
    let run = Run::begin(&parted.stage).await;
    let until = Instant::now() + lasts;
    while Instant::now() < until {
        let trouble = Trouble::any(&mut random);
        let lasts = Duration::from_millis(random.u64(LASTS));
        println!("{trouble:?} for {lasts:?}, {} acknowledged", run.acknowledged());
        happens(trouble, lasts, &mut parted, &mut shared).await;
        // How long all is well, not a wait for something to happen.
        tokio::time::sleep(Duration::from_millis(random.u64(BETWEEN))).await;
    }
    parted.stage.is_ready().await;
    let judged = run.end(&parted.stage).await;
    println!("longest silence {:?}, {} refusals", judged.longest_silence(), judged.refusals());
}

/// Does it, waits, and takes it back.
async fn happens(trouble: Trouble, lasts: Duration, parted: &mut Parted, shared: &mut Server) {
    let pause = || tokio::time::sleep(lasts); // how long it lasts
    let ground = &mut parted.ground;
    match trouble {
        Trouble::NodeKilled(place) => {
            parted.stage.cluster.nodes[place].kill().await;
            pause().await;
            parted.stage.cluster.nodes[place].restart().await;
        }
        Trouble::NodeStandsStill(place) => {
            parted.stage.cluster.nodes[place].pause();
            pause().await;
            parted.stage.cluster.nodes[place].resume();
        }
        Trouble::NodeWithoutBus(place, mode) => {
            parted.buses[place].set(mode);
            pause().await;
            parted.buses[place].set(Forward);
        }
        Trouble::NodeWithoutStore(place, mode) => {
            parted.store(place, mode);
            pause().await;
            parted.store(place, Forward);
        }
        Trouble::BusKilled => killed(ground.nats.server_mut(0), lasts).await,
        Trouble::BusStandsStill => stands_still(ground.nats.server(0), lasts).await,
        Trouble::PrimaryKilled => {
            let primary = ground.mongo.primary().await;
            killed(ground.mongo.member(primary), lasts).await;
        }
        Trouble::PrimaryStandsStill => {
            let primary = ground.mongo.primary().await;
            stands_still(&ground.mongo.members()[primary], lasts).await;
        }
        Trouble::PrimaryCutOff => {
            let primary = ground.mongo.primary().await;
            ground.mongo.set_among(primary, Blackhole);
            pause().await;
            ground.mongo.set_among(primary, Forward);
        }
        Trouble::RedisKilled => killed(shared, lasts).await,
        Trouble::RedisStandsStill => stands_still(shared, lasts).await,
    }
}

async fn killed(server: &mut Server, lasts: Duration) {
    server.kill().await;
    tokio::time::sleep(lasts).await; // how long it is away
    server.restart().await;
}

async fn stands_still(server: &Server, lasts: Duration) {
    server.pause();
    tokio::time::sleep(lasts).await; // how long it stands still
    server.resume();
}
