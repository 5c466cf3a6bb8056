//! When sessions end: not while they are used, and their sockets with them.

use crate::launch;
use madang_testkit::{
    Account, Http, Launch, Node, Stage,
    client::{number, text},
    raw::RawSocket,
    wait::{self, SOON},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

const CALLS: &str = "madang_store_calls_total";
const WRITES: &[&str] = &["call=\"touch_sessions\""];
const LOOKS: &[&str] = &["call=\"ended_sessions\""];
const LIFETIME_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
const HOUR_MS: u64 = 60 * 60 * 1_000;

fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(elapsed.as_millis()).expect("a small number")
}

async fn run(directory: &Path, arguments: &[&str]) -> String {
    let arguments = [arguments, &["--data-dir", "data"]].concat();
    launch().command(&arguments, directory).await.success()
}

/// The sessions that a node left behind: when each ends, by its id.
async fn ends(directory: &Path) -> BTreeMap<String, u64> {
    let exported = run(directory, &["export"]).await;
    let lines = exported.lines().map(|line| serde_json::from_str(line).expect("a JSON object"));
    let sessions = lines.filter_map(|line: Value| line.get("session").cloned());
    sessions.map(|line| (text(&line, "session").to_owned(), number(&line, "expires_at"))).collect()
}

/// A directory with what a stopped node left, the sessions of `account` ending at `expires_at`.
async fn ending_at(expires_at: u64, account: &Account, left: &Path) -> Arc<TempDir> {
    let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let exported = run(left, &["export"]).await;
    let mut user = Value::Null;
    let lines = exported.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("a JSON object");
        if let Some(of) = line.get("user") {
            user = of["user"].clone(); // whose sessions follow
        } else if let Some(session) = line.get_mut("session") {
            if user == json!(account.user) {
                session["expires_at"] = json!(expires_at);
            }
        } else if let Some(end) = line.as_object_mut() {
            end.remove("xxh3"); // it is another file now
        }
        line.to_string()
    });
    let edited = lines.map(|line| line + "\n").collect::<String>();
    std::fs::write(directory.path().join("edited.jsonl"), edited).expect("written");
    run(directory.path(), &["import", "edited.jsonl"]).await;
    directory
}

async fn me(http: &Http, account: &Account) -> Value {
    http.get("/v1/me").token(&account.token).send().await.expect(200)
}

async fn session_of(http: &Http, account: &Account) -> String {
    text(&me(http, account).await, "session").to_owned()
}

async fn writes(http: &Http) -> f64 {
    http.metrics().await.sum(CALLS, WRITES)
}

async fn stop(node: &mut Node) {
    node.terminate();
    assert!(node.wait_for_exit().await.success(), "{}", node.printed());
}

fn flushing(every_ms: u64) -> Launch {
    launch().with("last-seen-flush-ms", every_ms).with("drain-timeout-ms", 1_000)
}

#[tokio::test]
async fn however_many_uses_cost_one_write_a_flush() {
    let stage = Stage::set(flushing(200)).await;
    let second = stage.http.login("ann").await;
    let _open = [stage.join(&stage.ann).await, stage.join(&second).await];
    let (before, since) = (writes(&stage.http).await, Instant::now());
    for _ in 0..100 {
        for account in [&stage.ann, &second, &stage.ben] {
            me(&stage.http, account).await;
        }
    }
    let (written, took) = (writes(&stage.http).await - before, since.elapsed());
    let flushes = took.as_secs_f64() / 0.2 + 1.0;
    assert!(written <= flushes, "{written} writes in {took:?}");
    let another = async || (writes(&stage.http).await > before + written).then_some(());
    wait::until("it is written, and goes on while connections are open", SOON, another).await;
}

#[tokio::test]
async fn what_is_not_used_costs_nothing() {
    let stage = Stage::set(flushing(20)).await;
    let socket = stage.join(&stage.ann).await;
    assert_eq!(socket.close().await, 1000);
    let last = async || {
        let before = writes(&stage.http).await;
        // Five flushes.
        tokio::time::sleep(Duration::from_millis(100)).await;
        (before > 0.0 && writes(&stage.http).await == before).then_some(())
    };
    wait::until("the last use is written", SOON, last).await;
}

#[tokio::test]
async fn an_orderly_stop_forgets_no_use_and_a_copy_keeps_it() {
    let mut stage = Stage::set(flushing(HOUR_MS)).await;
    let eve = stage.http.signup("eve").await;
    let ann = session_of(&stage.http, &stage.ann).await;
    let of_eve = session_of(&stage.http, &eve).await;
    let socket = stage.join(&eve).await;
    let used = now_ms();
    me(&stage.http, &stage.ann).await;
    let open = now_ms();
    stop(&mut stage.node).await;
    drop(socket);

    let ends_at = ends(stage.node.directory()).await;
    assert!((used + LIFETIME_MS..=open + LIFETIME_MS).contains(&ends_at[&ann]), "{ends_at:?}");
    assert!(ends_at[&of_eve] >= open + LIFETIME_MS, "open until the end");
    let copy = tempfile::tempdir().expect("a temporary directory");
    run(stage.node.directory(), &["export", "backup.jsonl"]).await;
    let backup = stage.node.directory().join("backup.jsonl").display().to_string();
    run(copy.path(), &["import", &backup]).await;
    assert_eq!(ends(copy.path()).await, ends_at);
}

/// One that is silent all the time.
#[tokio::test]
async fn a_kill_forgets_no_more_use_than_was_not_flushed() {
    let mut stage = Stage::set(flushing(50)).await;
    let session = session_of(&stage.http, &stage.ann).await;
    let _open = stage.join(&stage.ann).await;
    let (used, before) = (now_ms(), writes(&stage.http).await);
    let flushed = async || (writes(&stage.http).await >= before + 2.0).then_some(());
    wait::until("a flush that began since is written", SOON, flushed).await;
    stage.node.kill().await;
    let ends_at = ends(stage.node.directory()).await[&session];
    assert!(ends_at >= used + LIFETIME_MS, "{ends_at}");
}

#[tokio::test]
async fn a_session_that_comes_back_late_moves_at_once() {
    let mut stage = Stage::set(flushing(HOUR_MS)).await;
    let session = session_of(&stage.http, &stage.ann).await;
    stop(&mut stage.node).await;
    let directory = ending_at(now_ms() + HOUR_MS, &stage.ann, stage.node.directory()).await;
    let mut node = flushing(HOUR_MS).start_in(directory).await;
    let (http, used) = (node.http(), now_ms());
    me(&http, &stage.ann).await;
    let commits = async || http.metrics().await.sum("madang_store_commits_total", &[]);
    let written = async || (commits().await > 0.0).then_some(());
    wait::until("it is written", SOON, written).await;
    me(&http, &stage.ann).await;
    assert_eq!(writes(&http).await, 1.0, "and not again");
    node.kill().await;
    let left = ends(node.directory()).await;
    assert!(left[&session] >= used + LIFETIME_MS, "{left:?}");
}

#[tokio::test]
async fn a_session_that_was_not_used_for_its_lifetime_has_ended() {
    let mut stage = Stage::set(flushing(50)).await;
    stop(&mut stage.node).await;
    let directory = ending_at(now_ms() - 1, &stage.ann, stage.node.directory()).await;
    let node = flushing(50).start_in(directory).await;
    let call = node.http().get("/v1/me").token(&stage.ann.token);
    call.send().await.refused(401, "unauthenticated");
}

/// It expires, of which nobody has to tell.
#[tokio::test]
async fn the_sockets_of_a_session_that_ended_untold_are_closed() {
    let mut stage = Stage::set(launch().with("drain-timeout-ms", 1_000)).await;
    stop(&mut stage.node).await;
    // Time enough to start a node and to say hello, on a busy machine too.
    let expires_at = now_ms() + 8_000;
    let directory = ending_at(expires_at, &stage.ann, stage.node.directory()).await;
    let launch = launch().with("last-seen-flush-ms", 0).with("session-recheck-ms", 100);
    stage.node = launch.start_in(directory).await;
    let (mut ann, mut ben) = stage.both().await;
    let mut second_of_ann = stage.join(&stage.ann).await;
    assert_eq!((ann.close_code().await, second_of_ann.close_code().await), (4001, 4001));
    assert!(now_ms() >= expires_at);
    ben.ok("ping", json!({})).await;
}

#[tokio::test]
async fn sessions_are_looked_at_in_one_call_a_time_and_only_where_there_are_sockets() {
    let stage = Stage::set(launch().with("session-recheck-ms", 100)).await;
    let looks = async || stage.http.metrics().await.sum(CALLS, LOOKS);
    // Three times.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(looks().await, 0.0, "without sockets");
    let since = Instant::now();
    let mut sockets = Vec::new();
    for _ in 0..10 {
        let (ann, ben) = stage.both().await;
        sockets.extend([ann, ben]);
    }
    let some = async || (looks().await >= 5.0).then_some(());
    wait::until("five looks", SOON, some).await;
    let (looked, took) = (looks().await, since.elapsed());
    assert!(looked <= took.as_secs_f64() / 0.1 + 1.0, "{looked} in {took:?}");
    for socket in &mut sockets {
        socket.ok("ping", json!({})).await;
    }
}

/// Hung up on at any moment of the logout: before it is read, while it is committed, after.
#[tokio::test]
async fn who_hangs_up_on_a_logout_is_logged_out_everywhere() {
    let stage = Stage::set(launch().with("session-recheck-ms", 0)).await;
    let mut ended = 0;
    for turn in 0..30 {
        let account = stage.http.login("ann").await;
        let mut socket = stage.join(&account).await;
        let mut caller = RawSocket::connect(stage.address()).await;
        let request = format!(
            "POST /v1/logout HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n",
            stage.address(),
            account.token
        );
        caller.write(request.as_bytes()).await;
        tokio::time::sleep(Duration::from_micros(100 * turn)).await;
        drop(caller);
        // A commit of another comes after it, if there is one.
        stage.http.send(&stage.ben, &stage.room, &format!("c{turn}"), "x").await;
        if stage.http.get("/v1/me").token(&account.token).send().await.status == 401 {
            assert_eq!(socket.close_code().await, 4001);
            ended += 1;
        }
    }
    assert!(ended > 0, "some were read before their caller was gone");
}
