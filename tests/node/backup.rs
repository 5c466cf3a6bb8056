//! A node's data taken along: `madang export`, `madang import`, and a second node on what came of
//! it.

use crate::launch;
use madang_testkit::{
    Account, Http, Socket, Stage,
    client::{list, number, text},
    launcher::Output,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap, ffi::OsString, os::unix::fs::PermissionsExt, path::Path, sync::Arc,
};

const FAILED: i32 = 1;

fn assert_failed(output: &Output, words: &[&str]) {
    assert_eq!(output.status.code(), Some(FAILED), "{}", output.text());
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.text());
    }
}

async fn run(directory: &Path, arguments: &[&str]) -> Output {
    launch().command(&[arguments, &["--data-dir", "data"]].concat(), directory).await
}

/// The files of a directory, with what is in them.
fn files(directory: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let files = entries.map(|entry| {
        let entry = entry.expect("readable");
        (entry.file_name(), std::fs::read(entry.path()).expect("readable"))
    });
    files.collect()
}

async fn stop(stage: &mut Stage) {
    stage.node.terminate();
    assert!(stage.node.wait_for_exit().await.success());
}

/// What a user sees of their rooms, with every message.
async fn seen_by(http: &Http, account: &Account) -> Vec<Value> {
    let rooms = http.get("/v1/rooms").token(&account.token).send().await.expect(200);
    let mut seen = vec![rooms.clone()];
    for room in list(&rooms, "rooms") {
        let room = text(room, "room");
        let path = format!("/v1/rooms/{room}/members");
        let mut members = http.get(&path).token(&account.token).send().await.expect(200);
        // Who has a connection is nothing that is kept.
        for member in members["members"].as_array_mut().expect("members") {
            member.as_object_mut().expect("a member").remove("online");
        }
        seen.push(members);
        seen.extend(http.whole_log(account, room).await);
    }
    seen
}

/// Rooms of each kind, with a reply, changes and reactions, and somebody who is kept out. Returns the channel, and
/// the one who is kept out of it.
async fn live(stage: &Stage) -> (String, Account) {
    let (http, ann, ben) = (&stage.http, &stage.ann, &stage.ben);
    let eve = http.signup("eve").await;
    let channel = json!({"kind": "channel", "name": "소식", "client_id": "my channel"});
    let channel = http.post("/v1/rooms", channel).token(&ann.token).send().await.expect(201);
    let channel = text(&channel, "room").to_owned();
    for account in [ben, &eve] {
        let path = format!("/v1/rooms/{channel}/join");
        http.call(Method::POST, &path).token(&account.token).send().await.expect(200);
    }
    let path = format!("/v1/rooms/{channel}/members/{}?ban=true", eve.user);
    http.call(Method::DELETE, &path).token(&ann.token).send().await.expect(204);
    let direct = json!({"kind": "direct", "members": [ben.user]});
    let direct = http.post("/v1/rooms", direct).token(&ann.token).send().await.expect(201);
    http.send(ben, text(&direct, "room"), "d1", "between \"us\"\u{2028}\u{0}").await;
    http.send(ann, &channel, "c1", "안녕 👍🏽").await;
    stage.fill(ann, 120).await;
    let mut socket = stage.join(ben).await;
    let reply = json!({"room": stage.room, "client_id": "r", "body": "yes", "reply_to": 3});
    assert_eq!(socket.ok("send", reply).await["seq"], 121);
    let mut of_ann = stage.join(ann).await;
    let edit = json!({"room": stage.room, "seq": 5, "body": "said otherwise"});
    assert_eq!(of_ann.ok("edit", edit).await["rev"], 1);
    let delete = json!({"room": stage.room, "seq": 6});
    assert_eq!(of_ann.ok("delete", delete).await["rev"], 2);
    let react = json!({"room": stage.room, "seq": 5, "emoji": "👍🏽", "on": true});
    socket.ok("react", react).await;
    for rev in 1..=3 {
        assert_eq!(number(&socket.expect("changed").await, "rev"), rev);
    }
    let read = json!({"room": stage.room, "seq": 121});
    assert_eq!(of_ann.ok("read", read).await["read_seq"], 121);
    (channel, eve)
}

#[tokio::test]
async fn a_second_node_goes_on_where_the_first_one_stopped() {
    let mut stage = Stage::set(launch()).await;
    let (channel, eve) = live(&stage).await;
    let seen = [seen_by(&stage.http, &stage.ann).await, seen_by(&stage.http, &stage.ben).await];
    stop(&mut stage).await;

    let directory = stage.node.directory().to_owned();
    run(&directory, &["export", "backup.jsonl"]).await.success();
    let other = Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let backup = directory.join("backup.jsonl").display().to_string();
    run(other.path(), &["import", &backup]).await.success();
    let checked = run(other.path(), &["check"]).await.success();
    assert!(checked.lines().any(|line| line == "problems: 0"), "{checked}");
    let again = run(other.path(), &["export"]).await.success();
    assert!(again == std::fs::read_to_string(&backup).expect("readable"));

    let node = launch().start_in(other).await;
    let http = node.http();
    // The tokens of before.
    assert_eq!(seen_by(&http, &stage.ann).await, seen[0]);
    assert_eq!(seen_by(&http, &stage.ben).await, seen[1]);
    // The password of before.
    assert_eq!(http.login("ann").await.user, stage.ann.user);
    let wrong = json!({"username": "ben", "password": "not the password"});
    http.post("/v1/login", wrong).send().await.refused(401, "bad_credentials");
    let taken = json!({"username": "ANN", "password": "another password"});
    http.post("/v1/signup", taken).send().await.refused(409, "username_taken");

    let mut ben = Socket::open(node.address()).await;
    let subscribe = json!([{"room": stage.room, "after_seq": 118, "after_rev": 0}]);
    let hello = ben.hello(&stage.ben.token, Some(subscribe)).await;
    assert_eq!(number(&hello["rooms"][0], "read_seq"), 121);
    let deleted = ben.expect("changed").await;
    assert_eq!((number(&deleted, "seq"), &deleted["deleted"]), (6, &json!(true)));
    let edited = ben.expect("changed").await;
    assert_eq!((number(&edited, "seq"), &edited["reactions"]), (5, &json!({"👍🏽": 1})));
    for seq in 119..=121 {
        assert_eq!(number(&ben.expect("message").await, "seq"), seq);
    }
    let sent_again = ben.send(&stage.room, "r", "whatever").await;
    assert_eq!((number(&sent_again, "seq"), &sent_again["duplicate"]), (121, &json!(true)));
    assert_eq!(ben.send(&stage.room, "new", "and on").await["seq"], 122);
    assert_eq!(number(&ben.expect("message").await, "seq"), 122);

    let path = format!("/v1/rooms/{channel}/join");
    let kept_out = http.call(Method::POST, &path).token(&eve.token).send().await;
    kept_out.refused(403, "forbidden");
    let body = json!({"kind": "channel", "name": "소식", "client_id": "my channel"});
    let known = http.post("/v1/rooms", body).token(&stage.ann.token).send().await.expect(200);
    assert_eq!(text(&known, "room"), channel);
    let body = json!({"kind": "direct", "members": [stage.ann.user]});
    http.post("/v1/rooms", body).token(&stage.ben.token).send().await.expect(200);
}

#[tokio::test]
async fn an_export_is_refused_before_it_overwrites_or_disturbs_anything() {
    let mut stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 20).await;
    let directory = stage.node.directory().to_owned();
    let backup = directory.join("backup.jsonl");
    let in_use = run(&directory, &["export", "backup.jsonl"]).await;
    assert_failed(&in_use, &["data", "in use"]);
    assert!(!backup.exists());
    // A node that was killed left a file that is to be repaired by the next one.
    stage.node.kill().await;
    let data = files(&directory.join("data"));
    run(&directory, &["export", "backup.jsonl"]).await.success();
    assert!(files(&directory.join("data")) == data);
    let mode = backup.metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let exported = std::fs::read_to_string(&backup).expect("readable");
    assert_eq!(exported.matches("{\"message\":").count(), 20);

    assert_failed(&run(&directory, &["export", "backup.jsonl"]).await, &["backup.jsonl"]);
    assert_eq!(run(&directory, &["export", "-"]).await.success(), exported);
    assert_eq!(std::fs::read_to_string(&backup).expect("readable"), exported);
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    assert_failed(&run(elsewhere.path(), &["export"]).await, &["data"]);
    assert!(!elsewhere.path().join("data").exists(), "nothing is made");
}

#[tokio::test]
async fn an_import_is_refused_where_something_is_kept_and_for_what_is_no_export() {
    let mut stage = Stage::set(launch()).await;
    let directory = stage.node.directory().to_owned();
    stop(&mut stage).await;
    run(&directory, &["export", "backup.jsonl"]).await.success();
    let not_empty = run(&directory, &["import", "backup.jsonl"]).await;
    assert_failed(&not_empty, &["data", "not empty"]);

    let other = tempfile::tempdir().expect("a temporary directory");
    let exported = std::fs::read_to_string(directory.join("backup.jsonl")).expect("readable");
    let lines = exported.lines().count();
    let cut = &exported[..exported.trim_end().rfind('\n').expect("many lines") + 1];
    let newer = exported.replacen("\"madang_export\":1", "\"madang_export\":99", 1);
    for (text, words) in [
        (cut, [format!("line {lines}"), "cut short".to_owned()]),
        (&newer, ["line 1".to_owned(), "version 99".to_owned()]),
    ] {
        std::fs::write(other.path().join("bad.jsonl"), text).expect("written");
        let refused = run(other.path(), &["import", "bad.jsonl"]).await;
        assert_failed(&refused, &["bad.jsonl", &words[0], &words[1]]);
        let left = files(&other.path().join("data"));
        assert!(left.values().all(Vec::is_empty), "{:?}", left.keys());
    }
    // Standard input, which is empty here.
    assert_failed(&run(other.path(), &["import", "-"]).await, &["line 1", "empty"]);
    assert_failed(&run(other.path(), &["import", "none.jsonl"]).await, &["none.jsonl"]);
    let backup = directory.join("backup.jsonl").display().to_string();
    run(other.path(), &["import", &backup]).await.success();
}
