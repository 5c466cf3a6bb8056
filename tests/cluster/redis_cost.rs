//! What Redis is asked for, as it sees it itself; the figures are in `docs/operations.md`.

use crate::{ground, launch};
use madang_testkit::{
    Account, Cluster, Http, Socket,
    servers::{Monitor, Server, redis, wait},
};
use serde_json::json;
use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

/// Round trips of a login: count it, forget wrong passwords; from an address that is new to the user
/// also whether the account may be tried now.
const LOGIN: [&str; 2] = ["eval", "del"];
const LOGIN_ELSEWHERE: [&str; 3] = ["eval", "hmget", "del"];
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Messages of one connection.
const FRAMES: usize = 200;
/// Users who are online, and how long their leases are watched: three renewals.
const USERS: usize = 40;
const WATCHED: Duration = Duration::from_secs(9);
/// A flush looks once in each of so many parts for those who ran out.
const BUCKETS: usize = 32;

/// A cluster of one node, so that it is the only one that asks; and what it asks.
struct Counted {
    cluster: Cluster,
    monitor: Monitor,
    _redis: Server,
}

impl Counted {
    async fn start() -> Self {
        let redis = redis::alone().await;
        let launch = launch().with("redis", redis::url(&redis)).with("logins-per-minute", 10_000);
        let launch = launch.with("signups-per-minute", 10_000);
        let cluster = Cluster::start(ground::shared().await, &launch, 1).await;
        let monitor = Monitor::start(redis.address()).await;
        Self { cluster, monitor, _redis: redis }
    }

    fn http(&self) -> Http {
        self.cluster.http(0)
    }

    async fn join(&self, account: &Account) -> Socket {
        Socket::join(self.cluster.nodes[0].address(), account).await
    }

    /// What is asked for this, by name, but for what is asked anyhow: leases, and how Redis is.
    async fn asked(&mut self, doing: impl Future) -> Vec<String> {
        self.monitor.seen().await;
        doing.await;
        let mut names: Vec<String> = Vec::new();
        for asked in self.monitor.seen().await {
            let is_new = ["client", "hello", "select"].contains(&asked.name().as_str());
            let is_about = |text: &str| asked.words.iter().any(|word| word.contains(text));
            let is_anyhow = is_about(":look:") || is_about(":ends:") || asked.name() == "script";
            if !is_new && !is_anyhow {
                names.push(asked.name());
            }
        }
        names
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_frames_cost_redis_what_the_documents_say() {
    let mut counted = Counted::start().await;
    let http = counted.http();
    let (ann, ben) = (http.signup("ann").await, http.signup("ben").await);
    assert_eq!(counted.asked(async { drop(http.signup("cleo").await) }).await, ["eval"]);
    let room = http.make_group(&ann, "courtyard", &[&ben]).await;
    assert_eq!(counted.asked(async { drop(http.login("ann").await) }).await, LOGIN);
    let elsewhere = Http::from_source(counted.cluster.nodes[0].address(), ELSEWHERE);
    let login = counted.asked(async { drop(elsewhere.login("ann").await) }).await;
    assert_eq!(login, LOGIN_ELSEWHERE);

    let hello = counted.join(&ann);
    let mut socket = hello.await;
    let told = counted.asked(settled(&http, &ann)).await;
    let told = told.into_iter().filter(|name| name == "set").count();
    assert!(told <= 2, "copies are put in once: {told}");
    let again = counted.cluster.nodes[0].address();
    let hello = counted.asked(async { drop(Socket::join(again, &ann).await) }).await;
    assert_eq!(hello, ["get"], "a hello with a copy of its session");

    let sent = async {
        for number in 0..FRAMES {
            socket.send(&room, &number.to_string(), "x").await;
        }
        socket.ok("ping", json!({})).await;
        socket.ok("signal", json!({"room": room, "data": "x"})).await;
        socket.ok("typing", json!({"room": room, "on": true})).await;
        socket.ok("read", json!({"room": room, "seq": 1})).await;
    };
    assert_eq!(counted.asked(sent).await, [""; 0], "frames cost nothing");
    let who = async { drop(socket.ok("presence", json!({"room": room})).await) };
    assert_eq!(counted.asked(who).await, ["exists", "exists"], "in one pipeline");
    let read = async { drop(socket.ok("history", json!({"room": room})).await) };
    let first = counted.asked(read).await;
    assert_eq!(first, ["get", "set"], "history asks for a copy of who may read, and puts it in");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_cost_redis_one_pipeline_a_second_however_many_there_are() {
    let mut counted = Counted::start().await;
    let http = counted.http();
    let mut sockets = Vec::new();
    for number in 0..USERS {
        let account = http.signup(&format!("user{number}")).await;
        sockets.push(counted.join(&account).await);
    }
    counted.monitor.seen().await;
    tokio::time::sleep(WATCHED).await; // how long is counted
    let asked = counted.monitor.seen().await;
    let count = |wanted: &dyn Fn(&[String]) -> bool| {
        asked.iter().filter(|asked| wanted(&asked.words)).count()
    };
    let flushes = count(&|words| words[0].eq_ignore_ascii_case("script"));
    let renewals = count(&|words| words.contains(&"renew".to_owned()));
    let looks = count(&|words| words.contains(&"over".to_owned()));
    println!("{flushes} pipelines, {renewals} renewals, {looks} looks in {WATCHED:?}");
    let seconds = WATCHED.as_secs() as usize;
    assert!((seconds - 2..=seconds + 1).contains(&flushes), "{flushes} pipelines");
    assert_eq!(looks, flushes * BUCKETS);
    assert!((2 * USERS..=4 * USERS).contains(&renewals), "{renewals} renewals");
    // Nothing of a pipeline is asked over another connection.
    let mut client = None;
    for asked in asked.iter().filter(|asked| ["script", "evalsha"].contains(&&*asked.name())) {
        if asked.name() == "script" {
            client = Some(&asked.client);
        }
        assert_eq!(client, Some(&asked.client));
    }
}

/// Until a second read of who the caller is finds copies.
async fn settled(http: &Http, ann: &Account) {
    for _ in 0..2 {
        http.get("/v1/me").token(&ann.token).send().await.expect(200);
        tokio::time::sleep(wait::LOOK_AGAIN).await;
    }
}
