//! What nodes keep copies of in Redis: the database is asked once, and never for too little.

use crate::{
    ground, launch,
    trouble::{Stage, redis_is},
};
use futures_util::future::join_all;
use madang_testkit::{
    Account, Http,
    client::{PASSWORD, list, text},
    servers::{Proxy, ReplicaSet, proxy::Mode, redis, wait},
};
use serde_json::json;
use std::time::Duration;

/// Clients, and what they read one after the other: 1,000 reads in all.
const CLIENTS: usize = 50;
const READS: usize = 20;
/// What one of them costs: whose is the token, and what is that user called.
const ONCE: u64 = 2;
/// A node that did not commit a change itself hears of it over the bus.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_identical_reads_ask_the_database_once() {
    let (ground, redis) = (ground::shared().await, redis::alone().await);
    let proxy = Proxy::start(redis.address()).await;
    let launch = ground.single(&launch()).with("redis", format!("redis://{}", proxy.address()));
    let launch = launch.with("session-recheck-ms", 0); // it reads sessions, too
    let database = launch.setting("mongo-database").expect("one of its own").to_owned();
    let node = launch.start().await;
    let ann = node.http().signup("ann").await;
    let clients: Vec<Http> = (0..CLIENTS).map(|_| node.http()).collect();
    join_all(clients.iter().map(|http| http.is_ready())).await; // they are connected
    let ben = node.http().signup("ben").await;
    who_all_are(&clients[..1], &ben, 1).await; // and so is the node, to Redis
    let asked = reads(&ground.mongo, &database, who_all_are(&clients, &ann, READS)).await;
    assert_eq!(asked, ONCE);
    let asked = reads(&ground.mongo, &database, who_all_are(&clients, &ann, READS)).await;
    assert_eq!(asked, 0, "there are copies");
    let metrics = node.http().metrics().await;
    for cache in ["cache=\"sessions\"", "cache=\"profiles\""] {
        assert_eq!(metrics.sum("madang_cache_misses_total", &[cache]), 2.0, "{cache}, ben's too");
        let hits = metrics.sum("madang_cache_hits_total", &[cache]);
        assert_eq!(hits, (2 * CLIENTS * READS - 1) as f64, "{cache}");
    }
    proxy.set(Mode::Blackhole);
    // All clients come while the first read is under way.
    ground.mongo.slow_reads(&database, "users", Duration::from_secs(1)).await;
    let asked = reads(&ground.mongo, &database, who_all_are(&clients, &ann, 1)).await;
    assert_eq!(asked, ONCE, "those who come together ask once when Redis is silent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_on_one_node_is_read_from_copies_on_none() {
    let redis = redis::alone().await;
    let proxy = Proxy::start(redis.address()).await;
    let launch = launch().with("redis", format!("redis://{}", proxy.address()));
    let stage = Stage::of(ground::shared().await, &launch).await;
    let nodes = [0, 1, 2].map(|place| stage.cluster.http(place));
    let before = Scene::set(&nodes, "before").await;
    before.change(&nodes).await;
    before.is_changed(&nodes).await;
    // The copies stay in Redis, which cannot be told.
    let during = Scene::set(&nodes, "during").await;
    proxy.set(Mode::Blackhole);
    during.change(&nodes).await;
    during.is_changed(&nodes).await;
    proxy.set(Mode::Forward);
    redis_is(&stage, "ok").await;
    during.is_changed(&nodes).await;
    before.is_changed(&nodes).await;
}

/// How often the servers were asked for users meanwhile, whose documents hold their sessions.
async fn reads(mongo: &ReplicaSet, database: &str, doing: impl Future) -> u64 {
    let before = mongo.reads(database, "users").await;
    doing.await;
    mongo.reads(database, "users").await - before
}

/// Each client asks so often who the caller is.
async fn who_all_are(clients: &[Http], ann: &Account, reads: usize) {
    let ask = async |http: &Http| {
        for _ in 0..reads {
            let me = http.get("/v1/me").token(&ann.token).send().await.expect(200);
            assert_eq!(text(&me, "user"), ann.user);
        }
    };
    join_all(clients.iter().map(ask)).await;
}

/// Users of whom every node has used copies.
struct Scene {
    owner: Account,
    member: Account,
    /// A second session of the member, and one of the owner.
    other: Account,
    away: Account,
    room: String,
}

impl Scene {
    async fn set(nodes: &[Http; 3], name: &str) -> Self {
        let (owner, member) = (format!("{name}-o"), format!("{name}-m"));
        let (owner, member) = tokio::join!(nodes[0].signup(&owner), nodes[1].signup(&member));
        let room = nodes[0].make_group(&owner, "courtyard", &[&member]).await;
        let (other, away) =
            tokio::join!(nodes[2].login(&member.username), nodes[1].login(&owner.username));
        let scene = Self { owner, member, other, away, room };
        for _ in 0..2 {
            for http in nodes {
                assert_eq!(scene.seen(http).await, scene.at_first());
            }
        }
        scene
    }

    /// A name, a membership, a session that is logged out and one that ends with a password.
    async fn change(&self, nodes: &[Http; 3]) {
        let name = json!({"display_name": "changed"});
        nodes[0].patch("/v1/me", name).token(&self.owner.token).send().await.expect(200);
        let path = format!("/v1/rooms/{}/members/{}", self.room, self.member.user);
        let remove = nodes[0].call(reqwest::Method::DELETE, &path).token(&self.owner.token);
        remove.send().await.expect(204);
        nodes[0].post("/v1/logout", json!({})).token(&self.away.token).send().await.expect(204);
        let password = json!({"old": PASSWORD, "new": format!("{PASSWORD}!")});
        let change = nodes[0].post("/v1/password", password).token(&self.member.token);
        change.send().await.expect(204);
        assert_eq!(self.seen(&nodes[0]).await, self.at_last(), "where it was changed, at once");
    }

    async fn is_changed(&self, nodes: &[Http; 3]) {
        for http in nodes {
            wait::until("every node knows", HEARD_WITHIN, async || {
                (self.seen(http).await == self.at_last()).then_some(())
            })
            .await;
        }
    }

    /// The owner's name, whether the member may read the room, and which sessions are any.
    async fn seen(&self, http: &Http) -> (String, [u16; 3]) {
        let path = format!("/v1/users?ids={}", self.owner.user);
        let users = http.get(&path).token(&self.owner.token).send().await.expect(200);
        let name = text(&list(&users, "users")[0], "display_name").to_owned();
        let path = format!("/v1/rooms/{}/messages", self.room);
        let [room, other, away] = [
            http.get(&path).token(&self.member.token),
            http.get("/v1/me").token(&self.other.token),
            http.get("/v1/me").token(&self.away.token),
        ];
        let (room, other, away) = tokio::join!(room.send(), other.send(), away.send());
        (name, [room.status, other.status, away.status])
    }

    fn at_first(&self) -> (String, [u16; 3]) {
        (self.owner.username.clone(), [200, 200, 200])
    }

    fn at_last(&self) -> (String, [u16; 3]) {
        ("changed".to_owned(), [404, 401, 401])
    }
}
