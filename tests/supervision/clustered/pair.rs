//! Two nodes of one cluster, and what the tests ask of them.

use crate::rig::{faults_at, launch, set_point};
use madang_cluster::{NodeName, Peer, View};
use madang_testkit::{
    Account, Cluster, Ground, Http, Socket,
    client::number,
    wait::{SOON, until, within},
};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::LazyLock, thread};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The place of the node whose users speak in the room.
pub(super) const HERE: usize = 0;
/// The place of the room's home.
pub(super) const HOME: usize = 1;

/// Two nodes, two users, and a room of both.
pub(super) struct Pair {
    pub(super) cluster: Cluster,
    pub(super) ann: Account,
    pub(super) ben: Account,
    /// Its home is the node at `HOME` while that is there.
    pub(super) room: String,
    /// Where the fail points of each node are set.
    points: Vec<PathBuf>,
    _directory: TempDir,
}

/// The servers of this binary, started once, from a runtime that lasts as long as it.
async fn ground() -> &'static Ground {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));
    static GROUND: LazyLock<Ground> = LazyLock::new(|| {
        thread::spawn(|| RUNTIME.block_on(Ground::start())).join().expect("the servers start")
    });
    tokio::task::spawn_blocking(|| &*GROUND).await.expect("the servers are there")
}

impl Pair {
    /// Nodes of which the one at `HERE` begins with these points.
    pub(super) async fn set(at_start: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let points: Vec<PathBuf> =
            (0..2).map(|place| directory.path().join(format!("points{place}"))).collect();
        let launch = launch("");
        let cluster = Cluster::start_each(ground().await, &launch, 2, |launch, place| {
            let socket = points[place].to_str().expect("a path of ours");
            let launch = launch.environment("FAILPOINTS_SOCKET", socket);
            launch.environment("FAILPOINTS", if place == HERE { at_start } else { "" })
        });
        let cluster = cluster.await;
        let http = cluster.http(HOME);
        let (ann, ben) = tokio::join!(http.signup("ann"), http.signup("ben"));
        let room = room_of(&http, &ann, &ben, HOME).await;
        Self { cluster, ann, ben, room, points, _directory: directory }
    }

    /// Another room of both, at home at this place.
    pub(super) async fn make_room(&self, home: usize) -> String {
        room_of(&self.cluster.http(HOME), &self.ann, &self.ben, home).await
    }

    /// Sets a point of one node: it holds when this returns.
    pub(super) async fn point(&self, place: usize, name: &str, actions: &str) {
        set_point(&self.points[place], &format!("{name}={actions}\n")).await;
    }

    /// Panics and restarts of actors of this kind on one node so far.
    pub(super) async fn faults(&self, place: usize, kind: &str) -> (u64, u64) {
        faults_at(&self.cluster.http(place), kind).await
    }

    /// Waits until so many panics and restarts of this kind were counted.
    pub(super) async fn faulted(&self, place: usize, kind: &str, expected: (u64, u64)) {
        let are = || async { (self.faults(place, kind).await == expected).then_some(()) };
        until(&format!("{expected:?} panics and restarts of {kind}"), SOON, are).await;
    }

    /// What a number of one node is now.
    pub(super) async fn metric(&self, place: usize, name: &str) -> f64 {
        self.cluster.http(place).metrics().await.sum(name, &[])
    }

    /// Waits until one node sees so many.
    pub(super) async fn sees(&self, place: usize, nodes: usize) {
        let sees = || async {
            let seen = self.metric(place, "madang_cluster_nodes").await;
            (seen as usize == nodes).then_some(())
        };
        until(&format!("node {place} sees {nodes}"), SOON, sees).await;
    }

    /// A connection of one of the two to this node.
    pub(super) async fn join(&self, place: usize, account: &Account) -> Socket {
        Socket::join(self.cluster.nodes[place].address(), account).await
    }

    /// Ann, on the node that is not home, and Ben, at its home.
    pub(super) async fn both(&self) -> (Socket, Socket) {
        tokio::join!(self.join(HERE, &self.ann), self.join(HOME, &self.ben))
    }
}

/// Makes rooms until one is at home there.
async fn room_of(http: &Http, ann: &Account, ben: &Account, home: usize) -> String {
    loop {
        let room = http.make_group(ann, "courtyard", &[ben]).await;
        if home_of(&room) == home {
            return room;
        }
    }
}

fn home_of(room: &str) -> usize {
    let peer = |name: &str| {
        let name = NodeName::new(name).expect("a usable name");
        Peer { name, incarnation: 0 }
    };
    let view = View::new(["n1", "n2"].map(peer));
    let home = view.home(room.parse().expect("an id of a room")).expect("two nodes");
    usize::from(home.name.as_str() == "n2")
}

/// The fields of a message that says its own name.
pub(super) fn saying(room: &str, name: &str) -> Value {
    json!({"room": room, "client_id": name, "body": name})
}

/// Sends a message until it is `ok`, always under the same name; its seq.
pub(super) async fn insist(socket: &mut Socket, room: &str, name: &str) -> u64 {
    let attempts = async {
        loop {
            let answer = socket.request("send", saying(room, name)).await;
            if answer["op"] == "ok" {
                return number(&answer, "seq");
            }
            let codes = ["internal", "unavailable"];
            assert!(codes.iter().any(|code| answer["code"] == *code), "{answer}");
        }
    };
    within("the message is taken", SOON, attempts).await
}

/// The message of this place is the next one that this connection is told.
pub(super) async fn hears(socket: &mut Socket, seq: u64) {
    let message = within("a message", SOON, socket.expect("message")).await;
    assert_eq!(number(&message, "seq"), seq, "{message}");
}
