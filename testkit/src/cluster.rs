//! Nodes of one cluster, as processes, on real servers.

use crate::{Http, Launch, Node};
use madang_servers::{Nats, ReplicaSet};
use std::sync::atomic::{AtomicU32, Ordering};

/// The servers that clusters stand on: a replica set of MongoDB and a NATS. Several clusters share
/// them, each with a database and subjects of its own.
#[derive(Debug)]
pub struct Ground {
    /// Three members.
    pub mongo: ReplicaSet,
    /// One server.
    pub nats: Nats,
}

impl Ground {
    /// Starts them, all at once.
    pub async fn start() -> Self {
        let (mongo, nats) = tokio::join!(ReplicaSet::start(), Nats::one());
        Self { mongo, nats }
    }

    /// The same for tests that leave MongoDB alone.
    pub async fn steady() -> Self {
        Self::with(Nats::one()).await
    }

    /// The same with another NATS.
    pub async fn with(nats: impl Future<Output = Nats>) -> Self {
        let (mongo, nats) = tokio::join!(ReplicaSet::steady(), nats);
        Self { mongo, nats }
    }

    /// The same with a proxy before each member of MongoDB, which knows nodes by their names.
    pub async fn behind_proxies() -> Self {
        let (mongo, nats) = tokio::join!(ReplicaSet::behind_proxies(), Nats::one());
        Self { mongo, nats }
    }

    /// `launch` for a single node on a database that nobody else uses.
    pub fn single(&self, launch: &Launch) -> Launch {
        let database = format!("cluster_{}", next());
        launch.clone().with("mongo", self.mongo.uri()).with("mongo-database", database)
    }

    /// `launch` for nodes of a new cluster; each still needs a name.
    pub fn cluster(&self, launch: &Launch) -> Launch {
        let launch = self.single(launch).with("nats", self.nats.urls().join(","));
        launch.with("cluster-name", format!("cluster_{}", next()))
    }
}

/// Tells clusters of one process apart.
fn next() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Running nodes of one cluster, `n1`, `n2` and so on.
#[derive(Debug)]
pub struct Cluster {
    launch: Launch,
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// Starts `count` nodes at once and waits until all are ready.
    pub async fn start(ground: &Ground, launch: &Launch, count: usize) -> Self {
        Self::start_each(ground, launch, count, |launch, _| launch).await
    }

    /// The same, each node started as `each` makes it of its launch and its place.
    pub async fn start_each(
        ground: &Ground,
        launch: &Launch,
        count: usize,
        each: impl Fn(Launch, usize) -> Launch,
    ) -> Self {
        let launch = ground.cluster(launch);
        let starting = (0..count).map(|place| each(named(&launch, place + 1), place).start());
        let nodes = futures_util::future::join_all(starting).await;
        Self { launch, nodes }
    }

    /// One more node, once it is ready.
    pub async fn join(&mut self) -> &mut Node {
        let node = named(&self.launch, self.nodes.len() + 1).start().await;
        self.nodes.push(node);
        self.nodes.last_mut().expect("just added")
    }

    /// How its nodes are started, but for the name.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// A client of the node with this place.
    pub fn http(&self, place: usize) -> Http {
        self.nodes[place].http()
    }
}

fn named(launch: &Launch, number: usize) -> Launch {
    launch.clone().with("node-name", format!("n{number}"))
}
