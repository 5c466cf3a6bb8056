//! Every scenario, tiny, from the command line to the file: that it runs, not what it measures. The
//! node is the one the workspace's tests use.

use madang_bench::result::Outcome;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Runs take turns: each starts several processes, and a machine with two cores has no use for more.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The node beside this test's program, built if nobody has.
fn node() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_BIN_EXE_madang-bench"));
    let node = own.with_file_name("madang");
    if !node.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "--package", "madang", "--bin", "madang"]);
        if own.parent().is_some_and(|folder| folder.ends_with("release")) {
            cargo.arg("--release");
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(cargo.current_dir(root).status().is_ok_and(|status| status.success()));
    }
    node
}

fn bench(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang-bench"));
    command.args(arguments.split_whitespace()).output().expect("it can be started")
}

/// A run that must go to its end; what it left behind.
fn whole(arguments: &str) -> Outcome {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let out = directory.path().join("result.json");
    let node = node();
    let output = bench(&format!("{arguments} --node {} --out {}", node.display(), out.display()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {}\n{said}{complained}", output.status);
    let outcome = Outcome::read(&out).expect("a result");
    assert!(outcome.complete && !outcome.rows.is_empty(), "{said}");
    report_of(&out);
    outcome
}

/// Pages are made of every kind of result.
fn report_of(result: &Path) {
    let page = result.with_extension("html");
    let output = bench(&format!("report {} --out {}", result.display(), page.display()));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(page).expect("a page");
    assert!(page.contains("<table>") && page.ends_with("</html>\n"), "{page}");
}

/// The median of a number of a row.
fn figure(outcome: &Outcome, subject: &str, name: &str) -> f64 {
    let row = outcome.rows.iter().find(|row| row.subject == subject);
    let row = row.unwrap_or_else(|| panic!("no row {subject}: {outcome}"));
    let figure = row.figures.iter().find(|figure| figure.name == name);
    figure.unwrap_or_else(|| panic!("no {name} of {subject}: {outcome}")).median
}

#[test]
fn fanout() {
    let found = whole(
        "fanout --connections 20 --rooms 4 --pairs 1 --seconds 0.3 --warm-up 0.1 --workload w1,w2",
    );
    for subject in ["floor", "node, signal", "node, send"] {
        assert_eq!(figure(&found, subject, "missing"), 0.0, "{found}");
        assert!(figure(&found, subject, "deliveries") > 0.0, "{found}");
    }
    for subject in ["bare store", "floor beside the bare store"] {
        assert!(figure(&found, subject, "CPU per delivery") > 0.0);
    }
}

#[test]
fn fanout_in_message_pack_and_over_tls() {
    let found = whole(
        "fanout --connections 8 --rooms 2 --pairs 1 --seconds 0.3 --warm-up 0.1 --workload w1 \
         --also msgpack,tls",
    );
    for subject in ["node, MessagePack", "node, TLS"] {
        assert_eq!(figure(&found, subject, "missing"), 0.0, "{found}");
        assert!(figure(&found, subject, "deliveries") > 0.0, "{found}");
    }
}

/// A node that is killed in the middle: what was measured before is there, and marked.
#[test]
fn a_target_that_dies_leaves_a_part() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (out, node) = (directory.path().join("result.json"), node());
    let arguments = "fanout --connections 10 --rooms 2 --pairs 500 --seconds 0.2 --warm-up 0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang-bench"));
    command.args(arguments.split(' ')).arg("--node").arg(&node).arg("--out").arg(&out);
    let mut bench = command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("started");
    let mut progress = BufReader::new(bench.stderr.take().expect("a pipe")).lines();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !progress.next().expect("it goes on").expect("text").contains(" round ") {
        assert!(Instant::now() < deadline, "no round within a minute");
    }
    let victim = child_of(bench.id(), "serve").expect("a node");
    assert!(Command::new("kill").args(["-9", &victim]).status().is_ok_and(|kill| kill.success()));
    drop(progress);
    let output = bench.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(1));
    let outcome = Outcome::read(&out).expect("a result");
    assert!(!outcome.complete, "{outcome}");
    assert!(outcome.problem.as_ref().is_some_and(|what| what.contains("node")), "{outcome}");
    assert!(figure(&outcome, "node, signal", "deliveries") > 0.0, "{outcome}");
}

/// A bench that is killed leaves no server behind.
#[test]
fn a_bench_that_is_killed_takes_its_servers_along() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (out, node) = (directory.path().join("result.json"), node());
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang-bench"));
    command.args("idle --connections 5 --users 5 --silence 600".split(' '));
    let mut bench = command.arg("--node").arg(node).arg("--out").arg(out).spawn().expect("started");
    let floor = soon("a floor", || child_of(bench.id(), "floor-server"));
    bench.kill().and_then(|()| bench.wait()).expect("it ends");
    let status = PathBuf::from(format!("/proc/{floor}"));
    soon("the floor's end", || (!status.exists()).then_some(()));
}

/// Waits for something, a minute at most.
fn soon<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The process that `parent` started with this word on its command line.
fn child_of(parent: u32, word: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux");
    processes.flatten().find_map(|process| {
        let read = |file: &str| std::fs::read_to_string(process.path().join(file)).ok();
        let is_child = read("status")?.contains(&format!("PPid:\t{parent}\n"));
        let is_it = is_child && read("cmdline")?.split('\0').any(|part| part == word);
        is_it.then(|| process.file_name().to_string_lossy().into_owned())
    })
}

#[test]
fn idle() {
    let found = whole("idle --connections 50 --users 10 --silence 0.2");
    assert_eq!(figure(&found, "node", "connections"), 50.0);
    assert_eq!(figure(&found, "node, TLS", "connections"), 50.0);
}

#[test]
fn connect() {
    let found = whole("connect --connections 30 --rooms 3 --pairs 1");
    assert!(figure(&found, "node", "all ready") > 0.0);
}

#[test]
fn saturate() {
    whole("saturate --connections 10 --rooms 2 --from 200 --steps 2 --seconds 0.3 --p99-ms 5000");
}

#[test]
fn sends() {
    let found = whole(
        "sends --rooms 2 --senders 4 --in-flight 4 --bulk 50 --pairs 1 --seconds 0.3 --warm-up 0.1",
    );
    assert!(figure(&found, "node", "acknowledged") > 0.0);
}

#[test]
fn receipts() {
    let found = whole(
        "receipts --pairs-of-user-and-room 10 --rooms 2 --pairs 1 --seconds 1.2 --warm-up 0.1",
    );
    assert!(figure(&found, "receipt", "receipts of one write") > 1.0, "{found}");
    assert!(figure(&found, "receipt", "frames told for each") > 0.0, "{found}");
    assert_eq!(figure(&found, "receipt, untold", "frames told for each"), 0.0, "{found}");
}

#[test]
fn receipts_that_are_answered() {
    let found = whole(
        "receipts --answered --pairs-of-user-and-room 10 --rooms 2 --pairs 1 --seconds 1.2 --warm-up 0.1",
    );
    assert!(figure(&found, "ping", "CPU each") > 0.0, "{found}");
    assert!(figure(&found, "receipt", "frames told for each") > 0.0, "{found}");
}

#[test]
fn room_list() {
    let found = whole("room-list --rooms 20 --messages 1 --lists 20 --rate 200");
    let calls = |rooms: &str| figure(&found, rooms, "store calls of one");
    assert_eq!(calls("20 rooms"), calls("2 rooms"), "{found}");
}

#[test]
fn reconnect_storm() {
    let found = whole("reconnect-storm --connections 20 --rooms 2 --missed 3 --runs 1");
    assert!(figure(&found, "the node was killed", "all replayed") > 0.0);
}

#[test]
fn growth() {
    let found = whole(
        "growth --sizes 2:10,4:20 --deliveries 500 --stored 200,400 --requests 10 --pairs 1 \
         --seconds 0.3 --warm-up 0.1",
    );
    assert!(found.rows.iter().any(|row| row.group == "4 rooms, 20 connections"), "{found}");
    assert!(found.checks.iter().any(|check| check.target == "P14"), "{found}");
}

#[test]
fn seed() {
    let found = whole("seed --step 3 --from 3 --to 6 --seconds 2 --rooms 2 --p99-ms 5000");
    assert_eq!(figure(&found, "3 users", "errors"), 0.0);
    assert_eq!(figure(&found, "6 users", "errors"), 0.0, "the last step counts as well");
}

#[test]
fn stall() {
    whole("stall --connections 10 --rooms 2 --rate 60 --seconds 1 --pairs 1");
}

#[test]
fn cluster() {
    let found = whole(
        "cluster --connections 12 --rooms 2 --rate 10 --times 0 --pairs 1 --seconds 1 --warm-up 1",
    );
    assert_eq!(figure(&found, "3 nodes", "missing"), 0.0, "{found}");
}
