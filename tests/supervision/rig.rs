//! A node with fail points, and what the tests ask of it.

use madang_testkit::{
    Account, Http, Launch, Node, Socket, Stage,
    client::{list, number},
    launcher::free_address,
    wait::{SOON, until, within},
};
use serde_json::{Value, json};
use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// Two users, their room, and the node's fail points.
pub(crate) struct Rig {
    pub(crate) stage: Stage,
    admin: Http,
    points: PathBuf,
    /// Where the socket of the fail points is.
    _directory: TempDir,
}

/// A node whose points are these at its start: `name=actions;name=actions`.
pub(crate) fn launch(points: &str) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_madang"))
        .environment("FAILPOINTS", points)
        .with("session-recheck-ms", 100)
        .with("receipt-flush-ms", 100)
}

impl Rig {
    /// A node that begins with these points.
    pub(crate) async fn set(points: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (socket, admin) = (directory.path().join("points"), free_address());
        let path = socket.to_str().expect("a path of ours").to_owned();
        let launch = launch(points).environment("FAILPOINTS_SOCKET", &path);
        let stage = Stage::set(launch.with("admin-listen", admin)).await;
        let admin = Http::plain(admin);
        Self { stage, admin, points: socket, _directory: directory }
    }

    /// Sets a point: it holds when this returns.
    pub(crate) async fn point(&self, name: &str, actions: &str) {
        set_point(&self.points, &format!("{name}={actions}\n")).await;
    }

    /// Panics and restarts of actors of this kind so far.
    pub(crate) async fn faults(&self, kind: &str) -> (u64, u64) {
        faults_at(&self.stage.http, kind).await
    }

    /// Waits until the tree shows so many restarts, and everything up.
    pub(crate) async fn is_up_after(&self, name: &str, restarts: RangeInclusive<u64>) {
        let what = format!("{name} up after {restarts:?} restarts");
        let is = || async {
            let (found, is_up) = self.in_tree(name).await;
            (restarts.contains(&found) && is_up).then_some(())
        };
        until(&what, SOON, is).await;
    }

    /// Waits until so many panics and restarts of this kind were counted.
    pub(crate) async fn faulted(&self, kind: &str, panics: u64, restarts: u64) {
        let what = format!("{panics} panics and {restarts} restarts of {kind}");
        let are = || async { (self.faults(kind).await == (panics, restarts)).then_some(()) };
        until(&what, SOON, are).await;
    }

    /// What `/admin/tree` shows of this kind or subtree: restarts, and whether all of it is up.
    async fn in_tree(&self, name: &str) -> (u64, bool) {
        let file = self.stage.node.directory().join("data/admin-token");
        let token = std::fs::read_to_string(file).expect("there is a token");
        let tree = self.admin.get("/admin/tree").token(token.trim()).send().await.expect(200);
        find(&tree, name).unwrap_or_else(|| panic!("no {name} in {tree}"))
    }

    /// Ann says something in a room and Ben hears it, whatever has to be repeated on the way; its seq.
    pub(crate) async fn talk(&self, room: &str, name: &str) -> u64 {
        let mut ben = Ear { at: self.last_seq(room).await, socket: None };
        let hears = async {
            loop {
                if ben.next(self, room).await.is_some_and(|message| message["body"] == name) {
                    return ben.at;
                }
            }
        };
        let hears = Box::pin(within("it is heard", SOON, hears));
        let (sent, heard) = tokio::join!(Box::pin(insist(self, room, name)), hears);
        assert_eq!(sent, heard);
        sent
    }

    async fn last_seq(&self, room: &str) -> u64 {
        let ask = || async {
            let path = format!("/v1/rooms/{room}");
            let answer = self.stage.http.get(&path).token(&self.stage.ann.token).send().await;
            (answer.status == 200).then(|| number(&answer.body, "last_seq"))
        };
        until("the room is looked at", SOON, ask).await
    }
}

/// A reader that resumes.
struct Ear {
    at: u64,
    socket: Option<Socket>,
}

impl Ear {
    /// The next message; `None` where a fault was in the way. Each comes once, in order.
    async fn next(&mut self, rig: &Rig, room: &str) -> Option<Value> {
        let Some(socket) = &mut self.socket else {
            let wish = json!({"room": room, "after_seq": self.at});
            self.socket = Some(enter(rig, &rig.stage.ben, wish).await);
            return None;
        };
        let Some(frame) = socket.frame().await else {
            self.socket = None;
            return None;
        };
        let is_message = frame["op"] == "message";
        if is_message {
            assert_eq!(number(&frame, "seq"), self.at + 1, "{frame}");
            self.at += 1;
        }
        is_message.then_some(frame)
    }
}

/// Panics and restarts of actors of this kind on a node so far.
pub(crate) async fn faults_at(node: &Http, kind: &str) -> (u64, u64) {
    let metrics = node.metrics().await;
    let label = format!("actor=\"{kind}\"");
    let count = |name| metrics.sum(name, &[&label]) as u64;
    (count("madang_actor_panics_total"), count("madang_actor_restarts_total"))
}

/// Sets a point of the node that listens here.
pub(crate) async fn set_point(path: &Path, line: &str) {
    let mut stream = UnixStream::connect(path).await.expect("the node listens");
    stream.write_all(line.as_bytes()).await.expect("the node reads");
    stream.shutdown().await.expect("the node reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the node answers");
    assert_eq!(answer, "ok\n", "{line}");
}

fn find(tree: &Value, name: &str) -> Option<(u64, bool)> {
    if tree["name"] == name {
        return Some((number(tree, "restarts"), tree["state"] == "up"));
    }
    let child = list(tree, "children").iter().find(|child| child["kind"] == name);
    let child = child.map(|it| (number(it, "restarts"), number(it, "restarting") == 0));
    child.or_else(|| list(tree, "subtrees").iter().find_map(|below| find(below, name)))
}

/// A connection that receives this room from now on; tried again where a fault is in the way.
pub(crate) async fn join(rig: &Rig, account: &Account, room: &str) -> Socket {
    enter(rig, account, json!({"room": room})).await
}

async fn enter(rig: &Rig, account: &Account, wish: Value) -> Socket {
    let attempt = || async {
        let mut socket = Socket::open(rig.stage.address()).await;
        let hello = json!({"token": account.token, "subscribe": [wish]});
        let answer = ask(&mut socket, "hello", hello).await?;
        let is_in = answer["op"] == "ok" && answer["rooms"][0]["error"].is_null();
        is_in.then_some(socket)
    };
    until("a connection", SOON, attempt).await
}

/// The answer to a request; `None` when the connection ends instead.
pub(crate) async fn ask(socket: &mut Socket, op: &str, fields: Value) -> Option<Value> {
    let id = socket.begin(op, fields).await;
    loop {
        let frame = socket.frame().await?;
        if frame["id"] == id {
            return Some(frame);
        }
    }
}

/// Ann sends a message until it is `ok`, always under the same name; its seq.
pub(crate) async fn insist(rig: &Rig, room: &str, name: &str) -> u64 {
    let fields = json!({"room": room, "client_id": name, "body": name});
    let attempts = async {
        loop {
            let mut socket = join(rig, &rig.stage.ann, room).await;
            let Some(answer) = ask(&mut socket, "send", fields.clone()).await else { continue };
            if answer["op"] == "ok" {
                return number(&answer, "seq");
            }
            let codes = ["internal", "unavailable"];
            assert!(codes.iter().any(|code| answer["code"] == *code), "{answer}");
        }
    };
    within("the message is taken", SOON, attempts).await
}

/// The node has ended by itself, as one does that gives up.
pub(crate) async fn gave_up(node: &mut Node, why: &str) {
    let status = node.wait_for_exit().await;
    let printed = node.printed();
    assert_eq!(status.code(), Some(70), "{printed}");
    assert!(printed.contains(why), "{printed}");
}
