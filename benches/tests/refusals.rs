//! What cannot be run is said clearly, and what was measured before is kept.

use madang_bench::result::Outcome;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_madang-bench"))
        .args(arguments)
        .output()
        .expect("it can be started")
}

/// Must end with this code and say this.
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = bench(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{said}");
    words.iter().for_each(|words| assert!(said.contains(words), "no {words:?} in {said}"));
}

#[test]
fn unknown_words_are_refused() {
    refused(&["fan-out"], 2, &["unrecognized subcommand 'fan-out'", "fanout"]);
    refused(&["fanout", "--conections", "5"], 2, &["--conections", "--connections"]);
    refused(&["fanout", "--peers", "wss"], 2, &["wss", "socket-io"]);
    refused(&["growth", "--sizes", "10:5"], 2, &["10:5", "ROOMS:CONNECTIONS"]);
}

#[test]
fn a_node_that_is_not_there_is_named_with_how_to_get_it() {
    refused(
        &["idle", "--node", "/nowhere/madang"],
        1,
        &["/nowhere/madang", "cargo build --release"],
    );
}

#[test]
fn a_file_that_is_no_result_is_named() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("other.json");
    std::fs::write(&file, "{\"x\": 1}").expect("written");
    refused(&["report", &file.to_string_lossy()], 1, &["other.json", "not a result"]);
}

/// Any program is good enough for a node that is never started.
#[test]
fn more_connections_than_descriptors_are_refused_before_anything_starts() {
    let arguments = ["idle", "--node", "/bin/true", "--connections", "100000000"];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("result.json");
    let words = ["descriptors", "100000200 needed", "ulimit", "INCOMPLETE"];
    refused(&[&arguments[..], &["--out", &out.to_string_lossy()]].concat(), 1, &words);
    let outcome = Outcome::read(&out).expect("a result, of nothing");
    assert!(!outcome.complete && outcome.problem.is_some_and(|problem| problem.contains("needed")));
}
