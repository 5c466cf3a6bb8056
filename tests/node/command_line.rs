//! Starting, or refusing to; and the commands beside `serve`.

use crate::launch;
use madang_testkit::{
    Socket, Stage,
    client::{PASSWORD, text},
    launcher::{Output, free_address},
    tls,
    wait::{SOON, until},
};
use serde_json::json;
use std::net::TcpListener;

/// Exit codes, as `--help` gives them.
const FAILED: i32 = 1;
const REFUSED: i32 = 2;
const DAMAGED: i32 = 3;

fn assert_names(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{}", output.text());
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in: {}", output.text());
    }
}

#[tokio::test]
async fn an_occupied_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = launch().fail_in(directory.path(), address).await;
    assert_names(&output, FAILED, &[&address.to_string()]);
}

#[tokio::test]
async fn an_occupied_port_for_operators_is_named() {
    let take = || async { TcpListener::bind("127.0.0.1:8081").ok() };
    let _taken = until("the default port is ours", SOON, take).await;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let output = launch().without("admin-listen").fail_in(directory.path(), free_address()).await;
    assert_names(&output, FAILED, &["admin_listen", "127.0.0.1:8081"]);
}

#[tokio::test]
async fn a_data_directory_in_use_is_named_and_left_alone() {
    let stage = Stage::set(launch()).await;
    let output = launch().fail_in(stage.node.directory(), free_address()).await;
    assert_names(&output, FAILED, &[&stage.node.directory().join("data").display().to_string()]);
    stage.http.send(&stage.ann, &stage.room, "c", "still mine").await;
}

#[tokio::test]
async fn unusable_settings_are_refused_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let directory = tempfile::tempdir().expect("a temporary directory");
    // At an occupied port, so that an attempt to bind would be what is complained about.
    for (name, value, words) in [
        ("frames-per-second", "many", ["frames_per_second", "many"]),
        ("heartbeat-ms", "0", ["heartbeat_ms", "0"]),
        ("hash-threads", "100000", ["hash_threads", "100000"]),
        ("log-format", "xml", ["log_format", "xml"]),
        ("metrics-listen", "nowhere", ["metrics_listen", "nowhere"]),
    ] {
        let output = launch().with(name, value).fail_in(directory.path(), address).await;
        assert_names(&output, REFUSED, &words);
        assert!(!output.text().contains(&address.to_string()), "{}", output.text());
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_before_a_port_is_bound() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let files = tls::issue(address.ip(), directory.path());
    let (cert, key) = (files.cert.display().to_string(), files.key.display().to_string());
    std::fs::write(path("junk.pem"), "my holiday pictures").expect("written");
    let elsewhere = tempfile::tempdir().expect("a temporary directory");
    let other = tls::issue(address.ip(), elsewhere.path()).key.display().to_string();
    for (cert, key, words) in [
        (&path("none.pem"), &key, ["tls_cert", "none.pem"]),
        (&path("junk.pem"), &key, ["tls_cert", "holds no certificate"]),
        (&cert, &path("none.pem"), ["tls_key", "none.pem"]),
        (&cert, &path("junk.pem"), ["tls_key", "holds no private key"]),
        (&cert, &other, ["tls_cert", &other]),
    ] {
        let launch = launch().with("tls-cert", cert).with("tls-key", key);
        let output = launch.fail_in(directory.path(), address).await;
        assert_names(&output, FAILED, &words);
        assert!(!output.text().contains(&address.to_string()), "{}", output.text());
    }
    let output = launch().with("tls-key", &key).fail_in(directory.path(), address).await;
    assert_names(&output, REFUSED, &["tls_key", "tls_cert"]);
}

#[tokio::test]
async fn unknown_settings_are_refused_wherever_they_stand() {
    let output = launch().environment("MADANG_FRAMES_PER_SECNOD", "5").fail().await;
    assert_names(&output, REFUSED, &["MADANG_FRAMES_PER_SECNOD"]);

    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("madang.toml"), "heartbeat = 5").expect("written");
    let from_file = launch().with("config", "madang.toml");
    let output = from_file.fail_in(directory.path(), free_address()).await;
    assert_names(&output, REFUSED, &["heartbeat", "madang.toml"]);

    let output = launch().with("heartbeat", 5).fail().await;
    assert_names(&output, REFUSED, &["heartbeat"]);
}

#[tokio::test]
async fn flags_go_before_environment_before_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = "in_flight_sends = 1\nfrontier = 1";
    std::fs::write(directory.path().join("bad.toml"), file).expect("written");
    let file = "in_flight_sends = 1\nframes_burst = 11\nreplay_limit = 111\n";
    std::fs::write(directory.path().join("madang.toml"), file).expect("written");
    let launch = launch()
        .environment("MADANG_IN_FLIGHT_SENDS", "2")
        .environment("MADANG_FRAMES_BURST", "12");
    let command = ["config", "--config", "madang.toml", "--in-flight-sends", "3"];
    let shown = launch.command(&command, directory.path()).await.success();
    for line in ["in_flight_sends = 3", "frames_burst = 12", "replay_limit = 111"] {
        assert!(shown.lines().any(|shown| shown == line), "no {line:?} in\n{shown}");
    }
    let output = launch.command(&["config", "--config", "bad.toml"], directory.path()).await;
    assert_names(&output, REFUSED, &["frontier"]);
}

#[tokio::test]
async fn what_config_prints_can_be_read_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let shown =
        launch().command(&["config", "--replay-limit", "7"], directory.path()).await.success();
    std::fs::write(directory.path().join("shown.toml"), &shown).expect("written");
    let again = launch().command(&["config", "--config", "shown.toml"], directory.path()).await;
    assert_eq!(again.success(), shown);
}

#[tokio::test]
async fn a_secret_setting_is_printed_nowhere() {
    const SECRET: &str = "s3cret-s3cret-s3cret";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let with_key = launch().environment("MADANG_API_KEYS", SECRET);
    for command in ["config", "--help"] {
        let printed = with_key.command(&[command], directory.path()).await;
        assert!(!printed.text().contains("s3cret"), "{}", printed.text());
        printed.success();
    }
    let unusable = launch().environment("MADANG_API_KEYS", "s3cret").fail().await;
    assert_names(&unusable, REFUSED, &["api_keys", "16 characters"]);
    assert!(!unusable.text().contains("s3cret"), "{}", unusable.text());

    let mut node = with_key.with("log", "debug").start().await;
    let body = json!({"external_id": "1"});
    node.http().post("/v1/tokens", body).token(SECRET).send().await.expect(200);
    node.terminate();
    node.wait_for_exit().await;
    assert!(!node.printed().contains("s3cret"), "{}", node.printed());
}

#[tokio::test]
async fn help_names_the_commands() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let help = launch().command(&["--help"], directory.path()).await.success();
    for word in ["serve", "config", "check", "export", "import", "user"] {
        assert!(help.contains(word), "no {word:?} in\n{help}");
    }
    let help = launch().command(&["serve", "--help"], directory.path()).await.success();
    for word in ["--listen", "--data-dir", "--frames-per-second", "--config"] {
        assert!(help.contains(word), "no {word:?} in\n{help}");
    }
    let unknown = launch().command(&["dance"], directory.path()).await;
    assert_names(&unknown, REFUSED, &["dance"]);
}

#[tokio::test]
async fn a_started_node_says_where_and_what_next() {
    let stage = Stage::set(launch()).await;
    let printed = stage.node.printed();
    assert!(printed.contains(&stage.address().to_string()), "{printed}");
    assert!(printed.contains("/v1/signup"), "says what to try next: {printed}");
}

#[tokio::test]
async fn check_examines_the_data() {
    let mut stage = Stage::set(launch()).await;
    stage.fill(&stage.ann, 50).await;
    let check = ["check", "--data-dir", "data"];
    let directory = stage.node.directory().to_owned();
    let in_use = launch().command(&check, &directory).await;
    assert_names(&in_use, FAILED, &["data"]);

    stage.node.kill().await;
    let sound = launch().command(&check, &directory).await.success();
    assert!(sound.lines().any(|line| line == "messages: 50"), "{sound}");
    // A file that was closed is not looked through when it is opened: the records must tell.
    stage.node.restart().await;
    stage.node.terminate();
    stage.node.wait_for_exit().await;
    damage(&directory.join("data"));
    let damaged = launch().command(&check, &directory).await;
    assert_eq!(damaged.status.code(), Some(DAMAGED), "{}", damaged.text());
}

/// Flips one bit in each copy of a message's body.
fn damage(data: &std::path::Path) {
    let mut flipped = 0;
    for entry in std::fs::read_dir(data).expect("the data directory") {
        let path = entry.expect("readable").path();
        let mut bytes = std::fs::read(&path).expect("readable");
        let found: Vec<usize> =
            bytes.windows(3).enumerate().filter(|(_, w)| w == b"m42").map(|(at, _)| at).collect();
        for at in &found {
            bytes[*at] ^= 1;
        }
        flipped += found.len();
        std::fs::write(&path, bytes).expect("writable");
    }
    assert!(flipped > 0, "the body is somewhere in the data");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let stage = Stage::set(launch()).await;
    let names = std::fs::read_dir(stage.node.directory().join("data")).expect("the data directory");
    std::fs::create_dir(directory.path().join("data")).expect("made");
    for entry in names {
        let name = entry.expect("readable").file_name();
        std::fs::write(directory.path().join("data").join(name), b"my holiday pictures")
            .expect("written");
    }
    let output = launch().fail_in(directory.path(), free_address()).await;
    assert_names(&output, FAILED, &["data"]);
    for entry in std::fs::read_dir(directory.path().join("data")).expect("still there") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        assert_eq!(bytes, b"my holiday pictures");
    }
}

#[tokio::test]
async fn many_users_are_imported_and_can_talk() {
    let directory = std::sync::Arc::new(tempfile::tempdir().expect("a temporary directory"));
    let lines: Vec<String> = (1..=50)
        .map(|number| {
            json!({"username": format!("user{number}"), "password": PASSWORD}).to_string()
        })
        .collect();
    std::fs::write(directory.path().join("users.jsonl"), lines.join("\n")).expect("written");
    let import = ["user", "import", "users.jsonl", "--data-dir", "data"];
    let printed = launch().command(&import, directory.path()).await.success();
    let users: Vec<serde_json::Value> =
        printed.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(users.len(), 50);

    let node = launch().start_in(directory.clone()).await;
    for user in [&users[0], &users[49]] {
        let mut socket = Socket::open(node.address()).await;
        let hello = socket.hello(text(user, "token"), None).await;
        assert_eq!(hello["user"], user["user"]);
    }
    assert_eq!(node.http().login("user7").await.user, text(&users[6], "user"));
    drop(node);
}
