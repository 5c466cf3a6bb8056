//! Load on every node of a cluster while something goes wrong, and the judgement of it.

use crate::launch;
use madang_cluster::{NodeName, Peer, View};
use madang_testkit::{
    Account, Cluster, Ground, Launch, Node,
    history::{ACKNOWLEDGED_MIN, Event, Journal, Stored, check},
    load::{Load, WriterPlan},
    wait,
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Messages acknowledged before the trouble begins: the cluster is at full speed.
const BEFORE: usize = 400;
/// Messages acknowledged after it, at least.
const AFTER: usize = 200;

/// So many scenes are played at once: all wait most of the time, and some of this is about time.
const SCENES: usize = 2;

/// Three nodes and two users.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) ann: Account,
    pub(crate) ben: Account,
    _place: SemaphorePermit<'static>,
}

impl Stage {
    pub(crate) async fn set(ground: &Ground) -> Self {
        Self::of(ground, &launch()).await
    }

    pub(crate) async fn of(ground: &Ground, launch: &Launch) -> Self {
        Self::of_each(ground, launch, |launch, _| launch).await
    }

    /// The same, each node started as `each` makes it of its launch and its place.
    pub(crate) async fn of_each(
        ground: &Ground,
        launch: &Launch,
        each: impl Fn(Launch, usize) -> Launch,
    ) -> Self {
        static PLACES: Semaphore = Semaphore::const_new(SCENES);
        let place = PLACES.acquire().await.expect("never closed");
        let cluster = Cluster::start_each(ground, launch, 3, each).await;
        let http = cluster.http(0);
        let (ann, ben) = tokio::join!(http.signup("ann"), http.signup("ben"));
        Self { cluster, ann, ben, _place: place }
    }

    /// A private group of both.
    pub(crate) async fn make_room(&self) -> String {
        self.cluster.http(0).make_group(&self.ann, "courtyard", &[&self.ben]).await
    }

    /// Waits until every node says that it is ready.
    pub(crate) async fn is_ready(&self) {
        for node in &self.cluster.nodes {
            let http = node.http();
            let ready = async || http.is_ready().await.then_some(());
            wait::until("a node is ready", wait::SOON, ready).await;
        }
    }

    /// The place among the nodes of the one that is home of `room` while all of them are there.
    pub(crate) fn home_of(&self, room: &str) -> usize {
        let name = |number| NodeName::new(&format!("n{number}")).expect("a usable name");
        let names: Vec<NodeName> = (1..=self.cluster.nodes.len()).map(name).collect();
        let view = View::new(names.iter().map(|name| Peer { name: name.clone(), incarnation: 0 }));
        let home = view.home(room.parse().expect("an id of a room")).expect("nodes");
        names.iter().position(|name| *name == home.name).expect("one of them")
    }
}

/// Waits until every node says that Redis is so, and is ready all the same.
pub(crate) async fn redis_is(stage: &Stage, state: &str) {
    for node in &stage.cluster.nodes {
        let http = node.http();
        wait::until("a node says how Redis is", wait::SOON, async || {
            let ready = http.get("/readyz").send().await.expect(200);
            (ready["parts"]["redis"]["state"] == json!(state)).then_some(())
        })
        .await;
    }
}

/// A run that is under way.
pub(crate) struct Run {
    load: Load,
    room: String,
}

/// A finished run in which nothing was lost, doubled or out of order.
pub(crate) struct Judged {
    /// What happened.
    pub(crate) journal: Journal,
}

impl Judged {
    /// The longest time in which nothing was acknowledged.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.journal.longest_silence()
    }

    /// Answers `error` to sends.
    pub(crate) fn refusals(&self) -> usize {
        let events = self.journal.events();
        events.iter().filter(|event| matches!(event, Event::Refused { .. })).count()
    }
}

impl Run {
    /// A writer and a reader on each node, in a room of their own; returns at full speed.
    pub(crate) async fn begin(stage: &Stage) -> Self {
        let room = stage.make_room().await;
        Self::begin_in(stage, &room).await
    }

    /// The same in this room.
    pub(crate) async fn begin_in(stage: &Stage, room: &str) -> Self {
        let addresses: Vec<_> = stage.cluster.nodes.iter().map(Node::address).collect();
        let mut load = Load::across(&addresses, room);
        let plan = WriterPlan { in_flight: 16, ..WriterPlan::default() };
        for account in [&stage.ann, &stage.ben, &stage.ann] {
            load.write(account, plan);
        }
        for account in [&stage.ann, &stage.ben, &stage.ben] {
            load.read(account);
        }
        load.acknowledged(BEFORE).await;
        Self { load, room: room.to_owned() }
    }

    /// Messages acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.load.journal().acknowledged()
    }

    /// Waits until so many more messages were acknowledged.
    pub(crate) async fn goes_on(&self, count: usize) {
        self.load.acknowledged(self.acknowledged() + count).await;
    }

    /// Kills the home of `room` and then the node that comes next, and starts each again; the run goes
    /// on each time.
    pub(crate) async fn outlives_two_nodes(&self, stage: &mut Stage, room: &str) {
        let home = stage.home_of(room);
        for place in [home, (home + 1) % 3] {
            stage.cluster.nodes[place].kill().await;
            self.goes_on(200).await;
            stage.cluster.nodes[place].restart().await;
            self.goes_on(200).await;
        }
    }

    /// Ends it once the cluster has shown that it is well, and judges it.
    ///
    /// # Panics
    /// When anything acknowledged is lost, is there twice or elsewhere, when a reader missed
    /// something, or when the nodes disagree.
    pub(crate) async fn end(self, stage: &Stage) -> Judged {
        let wanted = (self.acknowledged() + AFTER).max(ACKNOWLEDGED_MIN);
        self.load.acknowledged(wanted).await;
        let journal = self.load.finish().await;
        judge(stage, &self.room, &journal).await;
        Judged { journal }
    }
}

/// Reads the log of `room` back from each node and holds the run against it.
async fn judge(stage: &Stage, room: &str, journal: &Journal) {
    let mut logs: Vec<Vec<Stored>> = Vec::new();
    for node in &stage.cluster.nodes {
        let log = node.http().whole_log(&stage.ann, room).await;
        logs.push(log.iter().map(Stored::of).collect());
    }
    assert!(logs.windows(2).all(|pair| pair[0] == pair[1]), "nodes read different logs");
    let logs = BTreeMap::from([(room.to_owned(), logs.swap_remove(0))]);
    if let Err(found) = check(&journal.events(), &logs, ACKNOWLEDGED_MIN) {
        let shown: Vec<String> = found.iter().take(20).map(ToString::to_string).collect();
        panic!("{} violations:\n{}", found.len(), shown.join("\n"));
    }
}
