//! Commands of the command line that are about real servers.

use crate::{ground, launch};
use madang_testkit::{
    Launch, Stage,
    servers::{self, free_address},
};
use serde_json::json;
use std::path::Path;

/// `madang <words> --mongo ... --mongo-database ...`
async fn madang(words: &[&str], settings: &[(&str, &str)], directory: &Path) -> (i32, String) {
    let flags = settings.iter().map(|(name, value)| format!("--{name}={value}"));
    let flags: Vec<String> = flags.collect();
    let words: Vec<&str> = words.iter().copied().chain(flags.iter().map(String::as_str)).collect();
    let output = launch().command(&words, directory).await;
    (output.status.code().expect("it ended by itself"), output.text())
}

#[tokio::test]
async fn check_says_what_was_reached_and_what_is_missing() {
    let ground = ground::shared().await;
    let directory = tempfile::tempdir().expect("a directory");
    let (uri, nats) = (ground.mongo.uri(), ground.nats.urls().join(","));
    let mongo = [("mongo", uri.as_str()), ("mongo-database", "checked")];
    let all = [mongo[0], mongo[1], ("nats", nats.as_str()), ("node-name", "a")];
    let (code, text) = madang(&["check"], &all, directory.path()).await;
    assert_eq!(code, 0, "{text}");
    for words in ["MongoDB: reached, version 6.", "checked is empty", "NATS: reached, version 2."] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    // It changed nothing.
    assert_eq!(madang(&["check"], &mongo, directory.path()).await.1.lines().count(), 1);
    assert!(madang(&["check"], &mongo, directory.path()).await.1.contains("is empty"));
    let node = Launch::with(launch(), "mongo", &uri).with("mongo-database", "checked");
    drop(node.start().await);
    let (_, text) = madang(&["check"], &mongo, directory.path()).await;
    assert!(text.contains("holds data of madang") && !text.contains("indexes"), "{text}");
}

#[tokio::test]
async fn check_names_each_server_that_cannot_be_used() {
    let (alone, nowhere) = (servers::mongo::standalone().await, free_address());
    let directory = tempfile::tempdir().expect("a directory");
    let uri = format!("mongodb://{}/", alone.address());
    let nats = format!("nats://user:hidden@{nowhere}");
    let settings =
        [("mongo", &*uri), ("nats", &*nats), ("node-name", "a"), ("start-wait-ms", "300")];
    let (code, text) = madang(&["check"], &settings, directory.path()).await;
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("MongoDB: cannot be used") && text.contains("replica set"), "{text}");
    assert!(text.contains("NATS: cannot be used") && text.contains(&nowhere.to_string()), "{text}");
    assert!(!text.contains("hidden"), "{text}");
}

#[tokio::test]
async fn old_servers_are_named_with_what_is_needed() {
    let (ground, new_redis) = tokio::join!(ground::shared(), servers::redis::alone());
    let (mongo, nats, redis) =
        tokio::join!(servers::mongo::old(), servers::Nats::old(), servers::redis::old());
    let directory = tempfile::tempdir().expect("a directory");
    let new = [ground.mongo.uri(), ground.nats.urls().join(","), servers::redis::url(&new_redis)];
    let old = [mongo.uri(), nats.urls().join(","), servers::redis::url(&redis)];
    let told = [["5.0.4", "6.0 or newer"], ["2.9.", "at least 2.10"], ["5.0.6", "6.2 or newer"]];
    let run = async |command, [mongo, nats, redis]: [&str; 3]| {
        let database = ("mongo-database", "checked_old");
        let servers = [("mongo", mongo), ("nats", nats), ("redis", redis)];
        let settings = [&servers[..], &[database, ("node-name", "a")]].concat();
        let (code, text) = madang(&[command], &settings, directory.path()).await;
        assert_eq!(code, 1, "{text}");
        text
    };
    let text = run("check", [&old[0], &old[1], &old[2]]).await;
    for words in told.concat() {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    for (place, told) in told.iter().enumerate() {
        let mut servers = [&*new[0], &*new[1], &*new[2]];
        servers[place] = &old[place];
        let text = run("serve", servers).await;
        for words in told {
            assert!(text.contains(words), "no {words:?} in {text}");
        }
    }
}

#[tokio::test]
async fn an_embedded_node_moves_to_mongodb_and_back() {
    let ground = ground::shared().await;
    let mut stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 20).await;
    let log = stage.http.whole_log(&stage.ben, &stage.room).await;
    stage.node.terminate();
    stage.node.wait_for_exit().await;
    let at = stage.node.directory().to_owned();
    let (data, uri) = (at.join("data").display().to_string(), ground.mongo.uri());
    let mongo = [("mongo", uri.as_str()), ("mongo-database", "moved")];
    let embedded = [("data-dir", data.as_str())];
    assert_eq!(madang(&["export", "out.jsonl"], &embedded, &at).await.0, 0);
    let (code, text) = madang(&["import", "out.jsonl"], &mongo, &at).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = madang(&["export", "back.jsonl"], &mongo, &at).await;
    assert_eq!(code, 0, "{text}");
    let lines = |name: &str| {
        let text = std::fs::read_to_string(at.join(name)).expect("an export");
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines("out.jsonl"), lines("back.jsonl"));
    let moved = Launch::with(launch(), "mongo", &uri).with("mongo-database", "moved");
    stage.node.restart_as(moved).await;
    assert_eq!(stage.http.whole_log(&stage.ben, &stage.room).await, log);
    let (mut ann, _) = stage.both().await;
    assert_eq!(ann.send(&stage.room, "m3", "m3").await["seq"], json!(3), "a retry is recognised");
    assert_eq!(ann.send(&stage.room, "m21", "m21").await["seq"], json!(21));
}
