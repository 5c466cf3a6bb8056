//! Clients that call every node all the time, while something goes wrong.

use crate::trouble::Stage;
use madang_testkit::{Account, Http, Socket, client::PASSWORD};
use serde_json::json;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// Between two rounds of a client: so many that nothing that lasts goes unnoticed, so few that the
/// machine has time for the nodes.
const ROUND_EVERY: Duration = Duration::from_millis(50);

/// One client over HTTP and one over a socket for each node.
pub(crate) struct Callers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Vec<Called>>,
}

/// One call, and what became of it.
#[derive(Debug)]
pub(crate) struct Called {
    what: &'static str,
    took: Duration,
    /// What was answered, if it was not what a healthy node says.
    refused: Option<String>,
}

/// All calls of a time.
pub(crate) struct Report(Vec<Called>);

impl Callers {
    /// Begins to call.
    pub(crate) async fn begin(stage: &Stage, room: &str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for node in &stage.cluster.nodes {
            let (ann, room) = (stage.ann.clone(), room.to_owned());
            tasks.spawn(over_http(node.http(), ann.clone(), stopped.clone()));
            tasks.spawn(over_a_socket(node.address(), ann, room, stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Ends, and tells how it was.
    pub(crate) async fn end(self) -> Report {
        self.stop.send_replace(true);
        Report(self.tasks.join_all().await.into_iter().flatten().collect())
    }
}

impl Report {
    /// Every call was answered as by a healthy node, and within `worst`.
    ///
    /// # Panics
    /// When one was not.
    pub(crate) fn is_good(&self, worst: Duration) {
        let refused: Vec<_> = self.0.iter().filter(|call| call.refused.is_some()).collect();
        assert!(refused.is_empty(), "{} refusals: {:?}", refused.len(), refused[0]);
        let slowest = self.0.iter().max_by_key(|call| call.took).expect("calls were made");
        println!("{} calls, the slowest {} {:?}", self.0.len(), slowest.what, slowest.took);
        assert!(slowest.took < worst, "{slowest:?}");
    }
}

/// A read that asks who the caller is, the list of rooms, a login.
async fn over_http(http: Http, ann: Account, stopped: watch::Receiver<bool>) -> Vec<Called> {
    let mut calls = Vec::new();
    while !*stopped.borrow() {
        for path in ["/v1/me", "/v1/rooms"] {
            let began = Instant::now();
            let answer = http.get(path).token(&ann.token).send().await;
            let refused = (answer.status != 200).then_some(answer.text);
            calls.push(Called { what: path, took: began.elapsed(), refused });
        }
        let (began, what) = (Instant::now(), "/v1/login");
        let body = json!({"username": ann.username, "password": PASSWORD});
        let answer = http.post(what, body).send().await;
        let refused = (answer.status != 200).then_some(answer.text);
        calls.push(Called { what, took: began.elapsed(), refused });
        tokio::time::sleep(ROUND_EVERY).await; // its pace
    }
    calls
}

/// Who is online, and what was said.
async fn over_a_socket(
    address: SocketAddr,
    ann: Account,
    room: String,
    stopped: watch::Receiver<bool>,
) -> Vec<Called> {
    let (mut calls, mut socket) = (Vec::new(), Socket::open(address).await);
    socket.hello(&ann.token, Some(json!([]))).await;
    while !*stopped.borrow() {
        for what in ["presence", "history"] {
            let began = Instant::now();
            let answer = socket.request(what, json!({"room": room})).await;
            let refused = (answer["op"] != "ok").then(|| answer.to_string());
            calls.push(Called { what, took: began.elapsed(), refused });
        }
        tokio::time::sleep(ROUND_EVERY).await; // its pace
    }
    calls
}
