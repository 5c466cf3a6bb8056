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
    said(&bench(arguments), code, words);
}

fn said(output: &Output, code: i32, words: &[&str]) {
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

/// With and without Node, but never with a registry that could be reached.
#[test]
fn a_peer_that_cannot_be_had_is_named_before_anything_starts() {
    let target = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let folder = target.path().join("release");
    std::fs::create_dir(&folder).expect("made");
    let program = folder.join("madang-bench");
    // Peers are looked for beside the program, and here is none.
    std::fs::hard_link(env!("CARGO_BIN_EXE_madang-bench"), &program).expect("the same disk");
    let (out, path) = (target.path().join("result.json"), target.path().join("bin"));
    let run = || {
        let mut command = Command::new(&program);
        command.args(["fanout", "--node", "/bin/true", "--connections", "5", "--peers", "ws"]);
        command.arg("--out").arg(&out).env("PATH", &path).output().expect("it can be started")
    };
    let words = ["a peer is missing", "leave --peers out", "INCOMPLETE"];
    said(&run(), 1, &[&words[..], &["Node"]].concat());
    std::fs::create_dir(&path).expect("made");
    std::os::unix::fs::symlink("/bin/true", path.join("node")).expect("made");
    said(&run(), 1, &[&words[..], &["npm on the path"]].concat());
    std::os::unix::fs::symlink("/bin/false", path.join("npm")).expect("made");
    said(&run(), 1, &[&words[..], &["npm could not install it"]].concat());
    assert!(!Outcome::read(&out).expect("a result, of nothing").complete);
}

/// The limit of the machine, not only one that nobody has.
#[test]
fn a_shell_that_allows_too_few_descriptors_is_told_so() {
    let script = "ulimit -n 300; exec \"$0\" idle --node /bin/true --connections 400 --out \"$1\"";
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_madang-bench")]);
    let output = shell.arg(directory.path().join("result.json")).output().expect("a shell");
    said(&output, 1, &["descriptors", "600 needed, 300 allowed", "ulimit"]);
}
