//! What things cost, counted at the store: calls per request, commits per message.

use crate::launch;
use madang_testkit::{
    Account, Http, Socket, Stage,
    client::list,
};
use serde_json::json;

const CALLS: &str = "madang_store_calls_total";
const COMMITS: &str = "madang_store_commits_total";

async fn counted(http: &Http, name: &str) -> f64 {
    http.metrics().await.sum(name, &[])
}

/// Times a room looks where it stands after it began, at most.
const LOOKS: f64 = 3.0;

/// Store calls but those made in their time: of presence, which looks once a second at who came
/// and went, of the sessions in use, and of rooms that began.
async fn calls(http: &Http) -> f64 {
    let metrics = http.metrics().await;
    let periodic = ["rooms_of", "touch_sessions", "ended_sessions", "activate"]
        .map(|call| format!("call=\"{call}\""));
    metrics.sum(CALLS, &[]) - periodic.map(|call| metrics.sum(CALLS, &[&call])).iter().sum::<f64>()
}

/// Store calls one GET costs.
async fn cost_of(http: &Http, account: &Account, path: &str) -> f64 {
    // The first call of a session may look it up in the store; it is not what is counted here.
    http.get("/v1/me").token(&account.token).send().await.expect(200);
    let before = calls(http).await;
    http.get(path).token(&account.token).send().await.expect(200);
    calls(http).await - before
}

#[tokio::test]
async fn a_room_list_costs_the_same_with_one_room_and_with_two_hundred() {
    let stage = Stage::set(launch()).await;
    stage.http.send(&stage.ann, &stage.room, "c", "x").await;
    let path = "/v1/rooms?limit=200";
    let with_one = cost_of(&stage.http, &stage.ben, path).await;
    for number in 1..200 {
        let room = stage.http.make_group(&stage.ann, &format!("r{number}"), &[&stage.ben]).await;
        stage.http.send(&stage.ann, &room, "c", "x").await;
    }
    let listed = stage.http.get(path).token(&stage.ben.token).send().await.expect(200);
    assert_eq!(list(&listed, "rooms").len(), 200);
    let with_many = cost_of(&stage.http, &stage.ben, path).await;
    assert_eq!(with_one, with_many);
    assert!(with_many <= 3.0, "{with_many}");
}

#[tokio::test]
async fn profiles_cost_the_same_for_one_and_for_many() {
    let stage = Stage::set(launch()).await;
    let mut ids = vec![stage.ann.user.clone()];
    for number in 0..20 {
        ids.push(stage.http.signup(&format!("user{number}")).await.user);
    }
    let one = cost_of(&stage.http, &stage.ben, &format!("/v1/users?ids={}", ids[0])).await;
    let many = cost_of(&stage.http, &stage.ben, &format!("/v1/users?ids={}", ids.join(","))).await;
    assert_eq!(one, many);
    assert!(many <= 2.0, "{many}");
}

#[tokio::test]
async fn delivering_messages_reads_nothing() {
    let stage = Stage::set(launch()).await;
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "warm", "up").await;
    ben.expect("message").await;
    let before = calls(&stage.http).await;
    let appends = async || stage.http.metrics().await.sum(CALLS, &["call=\"append\""]);
    let looks = async || stage.http.metrics().await.sum(CALLS, &["call=\"activate\""]);
    let (appends_before, looks_before) = (appends().await, looks().await);
    for turn in 0..50 {
        ann.send(&stage.room, &format!("c{turn}"), "x").await;
        ben.expect("message").await;
    }
    let all = calls(&stage.http).await - before;
    let appended = appends().await - appends_before;
    assert_eq!(all, appended, "sends to a warm room cost one append each and no read");
    assert!((1.0..=50.0).contains(&appended), "{appended}");
    let looked = looks().await - looks_before;
    assert!(looked <= LOOKS, "{looked}");
}

#[tokio::test]
async fn one_sender_waits_for_one_commit_each_time() {
    let stage = Stage::set(launch()).await;
    let mut ann = stage.join(&stage.ann).await;
    ann.send(&stage.room, "warm", "up").await;
    let before = counted(&stage.http, COMMITS).await;
    for turn in 0..50 {
        ann.send(&stage.room, &format!("c{turn}"), "x").await;
    }
    let commits = counted(&stage.http, COMMITS).await - before;
    assert!((50.0..=52.0).contains(&commits), "{commits}");
}

/// All that a hundred senders may have unanswered is there before the node reads any of it: how many
/// share a commit is then the node's doing, however slowly the senders of a busy machine write.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_senders_share_commits() {
    const SENDERS: usize = 100;
    const EACH: usize = 30;
    let stage = Stage::set(launch()).await;
    let mut sockets = Vec::new();
    for _ in 0..SENDERS {
        let mut socket = Socket::open(stage.address()).await;
        socket.hello(&stage.ann.token, Some(json!([]))).await;
        sockets.push(socket);
    }
    let before = counted(&stage.http, COMMITS).await;
    stage.node.pause();
    let mut sent = Vec::new();
    for (sender, mut socket) in sockets.into_iter().enumerate() {
        let mut ids = Vec::new();
        for turn in 0..EACH {
            let client_id = format!("s{sender}-{turn}");
            let fields = json!({"room": stage.room, "client_id": client_id, "body": "x"});
            ids.push(socket.begin("send", fields).await);
        }
        sent.push((socket, ids));
    }
    stage.node.resume();
    for (mut socket, ids) in sent {
        for id in ids {
            let answer = socket.answer(id).await;
            assert_eq!(answer["op"], "ok", "{answer}");
        }
    }
    let commits = counted(&stage.http, COMMITS).await - before;
    let per_thousand = commits * 1_000.0 / (SENDERS * EACH) as f64;
    assert!(per_thousand < 20.0, "{per_thousand} commits per 1,000 messages");
}
