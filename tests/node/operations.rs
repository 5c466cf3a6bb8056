//! Running a node: health, drain, logs, a full disk.

use crate::launch;
use madang_testkit::{
    Http, Socket, Stage,
    client::{PASSWORD, number, text},
    launcher::Limits,
    wait::{SOON, until},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn health(http: &Http, path: &str) -> (u16, Value) {
    let answer = http.get(path).send().await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn health_and_metrics_are_told() {
    let stage = Stage::set(launch()).await;
    stage.http.send(&stage.ann, &stage.room, "c", "x").await;
    assert_eq!(health(&stage.http, "/healthz").await.0, 200);
    let (status, ready) = health(&stage.http, "/readyz").await;
    assert_eq!((status, ready["status"].is_string()), (200, true), "{ready}");
    let parts = ready["parts"].as_object().expect("parts");
    assert!(!parts.is_empty() && parts.values().all(|part| part["state"].is_string()), "{ready}");
    assert!(parts.values().all(|part| part["since"].is_u64()), "{ready}");
    let metrics = stage.http.metrics().await;
    assert!(metrics.sum("madang_store_commits_total", &[]) >= 1.0);
    assert!(metrics.has("madang_connections"), "{metrics:?}");
}

#[tokio::test]
async fn health_and_metrics_can_move_to_another_address() {
    let other = madang_testkit::launcher::free_address();
    let moved = launch().with("metrics-listen", other);
    // The launcher asks `listen` for readiness, so the moved address is asked here instead.
    let node = moved.start_ready_at(other).await;
    assert_eq!(health(&Http::plain(other), "/healthz").await.0, 200);
    for path in ["/healthz", "/readyz", "/metrics"] {
        node.http().get(path).send().await.refused(404, "not_found");
    }
    Http::plain(other).get("/v1/me").send().await.refused(404, "not_found");
}

#[tokio::test]
async fn a_first_signal_drains() {
    let mut stage = Stage::set(launch().with("drain-timeout-ms", 3_000)).await;
    let (mut ann, mut ben) = stage.both().await;
    let begin = Instant::now();
    stage.node.terminate();
    let goaway = ann.expect("goaway").await;
    assert!(number(&goaway, "reconnect_after_ms") <= 3_000, "{goaway}");
    assert!(!text(&goaway, "reason").is_empty());
    let sent = ann.request("send", send(&stage.room)).await;
    assert!(sent["op"] == "ok" || sent["code"] == "unavailable", "{sent}");
    assert_eq!((ann.close_code().await, ben.close_code().await), (1012, 1012));
    assert!(stage.node.wait_for_exit().await.success(), "{}", stage.node.printed());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

fn send(room: &str) -> Value {
    json!({"room": room, "client_id": "late", "body": "while draining"})
}

/// Whoever spreads clients over nodes sees that one leaves before its door is closed.
#[tokio::test]
async fn a_draining_node_is_not_ready_and_then_takes_no_new_connections() {
    let stage = Stage::set(launch().with("drain-timeout-ms", 60_000)).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.node.terminate();
    let not_ready = || async {
        let answer = stage.http.get("/readyz").try_send().await;
        let status = answer.expect("the door is still open").status;
        (status == 503).then_some(())
    };
    until("/readyz says 503", SOON, not_ready).await;
    ann.expect("goaway").await;
    let door = madang_testkit::client::Door::new(stage.address());
    let refused = || async { door.open().await.is_err().then_some(()) };
    until("new connections are refused", SOON, refused).await;
}

#[tokio::test]
async fn a_draining_node_tells_its_monitoring_until_the_end() {
    let other = madang_testkit::launcher::free_address();
    let moved = launch().with("metrics-listen", other).with("drain-timeout-ms", 60_000);
    let node = moved.start_ready_at(other).await;
    let door = madang_testkit::client::Door::new(node.address());
    let _held = door.open().await.expect("upgraded");
    node.terminate();
    let refused = || async { door.open().await.is_err().then_some(()) };
    until("new connections are refused", SOON, refused).await;
    assert_eq!(health(&Http::plain(other), "/readyz").await.0, 503);
}

#[tokio::test]
async fn an_idle_node_ends_at_once_when_asked() {
    let mut stage = Stage::set(launch()).await;
    let begin = Instant::now();
    stage.node.terminate();
    assert!(stage.node.wait_for_exit().await.success(), "{}", stage.node.printed());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let mut stage = Stage::set(launch().with("drain-timeout-ms", 60_000)).await;
    let mut ann = stage.join(&stage.ann).await;
    stage.node.terminate();
    ann.expect("goaway").await;
    let begin = Instant::now();
    stage.node.terminate();
    let status = stage.node.wait_for_exit().await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(!status.success(), "cut short is not a clean end: {status}");
}

#[tokio::test]
async fn logs_hold_no_secret_and_no_content() {
    let mut stage = Stage::set(launch().with("log", "trace")).await;
    let body = "the-body-of-a-message";
    let (mut ann, mut ben) = stage.both().await;
    ann.send(&stage.room, "client-id-1", body).await;
    ben.expect("message").await;
    let mut stranger = Socket::open(stage.address()).await;
    stranger.refused("hello", json!({"token": "a-wrong-token"}), "unauthenticated").await;
    let wrong = json!({"username": "ann", "password": "a-wrong-password"});
    stage.http.post("/v1/login", wrong).send().await.refused(401, "bad_credentials");
    stage.node.terminate();
    stage.node.wait_for_exit().await;
    let printed = stage.node.printed();
    assert!(printed.len() > 500, "trace says something: {printed}");
    for secret in [
        stage.ann.token.as_str(),
        &stage.ben.token,
        PASSWORD,
        body,
        "a-wrong-token",
        "a-wrong-password",
        "$argon2",
    ] {
        assert!(!printed.contains(secret), "{secret:?} is in the log");
    }
}

#[tokio::test]
async fn a_connection_is_worth_one_line_at_most() {
    let stage = Stage::set(launch()).await;
    let lines = |stage: &Stage| stage.node.printed().lines().count();
    let before = lines(&stage);
    for _ in 0..20 {
        let mut socket = stage.join(&stage.ann).await;
        socket.ok("ping", json!({})).await;
        socket.close().await;
    }
    assert!(lines(&stage) - before <= 20, "{}", stage.node.printed());
}

#[tokio::test]
async fn json_logs_are_json() {
    let mut stage = Stage::set(launch().with("log-format", "json")).await;
    stage.node.terminate();
    stage.node.wait_for_exit().await;
    let printed = stage.node.printed();
    let logged: Vec<&str> = printed.lines().filter(|line| line.starts_with('{')).collect();
    assert!(!logged.is_empty(), "a drain is worth a line: {printed}");
    for line in logged {
        serde_json::from_str::<Value>(line).expect(line);
    }
}

/// The limit on file sizes stands in for a full disk: writes that need more room fail.
#[tokio::test]
async fn a_full_disk_refuses_sends_and_heals_when_there_is_room() {
    let limits = Limits { file_kib: Some(4_096), ..Limits::default() };
    let stage = Stage::set(
        launch().with("send-wait-ms", 5_000).with("log", "debug,hyper=info").limits(limits),
    )
    .await;
    let mut ann = stage.join(&stage.ann).await;
    let (taken, refused) = send_until_refused(&mut ann, &stage.room).await;
    assert_eq!(refused["code"], "unavailable", "{refused}");
    assert!(refused["retry_after_ms"].is_u64(), "{refused}");
    let not_ready = || async { (!stage.http.is_ready().await).then_some(()) };
    until("a node that can take nothing is not ready", SOON, not_ready).await;

    stage.node.lift_file_limit();
    let ready = || async { stage.http.is_ready().await.then_some(()) };
    until("it heals by itself", SOON, ready).await;
    let answer = ann.request("send", large(&stage.room, taken)).await;
    assert_eq!((&answer["op"], &answer["seq"]), (&json!("ok"), &json!(taken + 1)), "{answer}");
    let log = stage.http.whole_log(&stage.ann, &stage.room).await;
    assert_eq!(log.len() as u64, taken + 1);
}

/// Fills the disk; how many messages were taken, and what the next one was told.
async fn send_until_refused(socket: &mut Socket, room: &str) -> (u64, Value) {
    for taken in 0..2_000 {
        let answer = socket.request("send", large(room, taken)).await;
        if answer["op"] != "ok" {
            return (taken, answer);
        }
    }
    panic!("4 MiB hold no 32 MB of messages");
}

fn large(room: &str, number: u64) -> Value {
    json!({"room": room, "client_id": format!("c{number}"), "body": "x".repeat(16_000)})
}
