//! The Autobahn cases about framing, by kosoku, against the echo endpoint: the decoder, the
//! connection and the hub are those of the protocol.

use crate::{alone, launch, suite};
use serde_json::Value;
use std::{fs, path::Path, time::Duration};

/// The largest messages of the suite, bytes.
const MESSAGE_BYTES: usize = 16 << 20;
/// Compression (12, 13) is not implemented.
const WITHOUT: [&str; 4] = ["-x", "12.*", "-x", "13.*"];
/// Cases that are about framing, at least; a suite that ran fewer has not judged it.
const CASES_MIN: usize = 300;
/// Of each thing that is reported on a case that failed.
const REPORTED_CHARS_MAX: usize = 300;
/// What a case may end with.
const PASSED: [&str; 3] = ["OK", "NON-STRICT", "INFORMATIONAL"];

#[tokio::test]
async fn framing_is_as_the_standard_says() {
    let launch = launch()
        .with("websocket-echo", true)
        .with("frame-bytes-max", MESSAGE_BYTES)
        .with("outbox-bytes-max", 4 * MESSAGE_BYTES)
        .with("outbox-frames-max", 65_536)
        .with("heartbeat-ms", 3_600_000) // a ping is not what a case waits for
        .with("hello-timeout-ms", 600_000);
    let _alone = alone().await;
    let node = launch.start().await;
    let url = format!("ws://{}/v1/echo", node.address());
    let results = run(&url, node.directory()).await;
    assert!(results.len() >= CASES_MIN, "only {} cases ran", results.len());
    let failed: Vec<String> =
        results.iter().filter(|case| !case.passed()).map(Case::told).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test]
async fn the_echo_is_not_there_unless_asked_for() {
    let node = launch().start().await;
    assert_eq!(node.http().get("/v1/echo").send().await.expect(404)["code"], "not_found");
}

/// Runs the cases and reads what is reported on each. One after another: some of them give a node
/// half a second.
async fn run(url: &str, directory: &Path) -> Vec<Case> {
    let arguments = [&[url, "-o", "report"], &WITHOUT[..]].concat();
    let output = suite("kosoku", &arguments, directory, Duration::from_secs(240)).await;
    let report = directory.join("report");
    assert!(report.exists(), "{}", output.text());
    results(&report)
}

/// How a case went.
struct Case {
    behavior: String,
    on_close: String,
    /// All that is known about it.
    report: Value,
}

impl Case {
    fn passed(&self) -> bool {
        [&self.behavior, &self.on_close].iter().all(|how| PASSED.contains(&how.as_str()))
    }
}

impl Case {
    /// In a few lines, however much was sent to and fro.
    fn told(&self) -> String {
        let Self { behavior, on_close, report } = self;
        let short = |field: &str| -> String {
            report[field].to_string().chars().take(REPORTED_CHARS_MAX).collect()
        };
        let [id, result, expected, received] = ["id", "result", "expected", "received"].map(short);
        format!(
            "{id}: {behavior}, on close {on_close}: {result}\n  expected {expected}\n  received {received}"
        )
    }
}

/// Every report but the summary.
fn results(directory: &Path) -> Vec<Case> {
    let files = fs::read_dir(directory).expect("the suite wrote reports");
    let files = files.map(|file| file.expect("listed").path());
    let reports = files.filter(|path| path.to_string_lossy().ends_with(".json"));
    reports.filter_map(|path| case(&fs::read_to_string(path).expect("a report"))).collect()
}

/// `None`: it is about all of them.
fn case(report: &str) -> Option<Case> {
    let report: Value = serde_json::from_str(report).expect("a report is JSON");
    let text = |field: &str| report[field].as_str().map(str::to_owned);
    Some(Case { behavior: text("behavior")?, on_close: text("behaviorClose")?, report })
}
