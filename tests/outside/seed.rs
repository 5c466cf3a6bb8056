//! The seed workload, by k6.

use crate::{alone, launch, suite};
use madang_testkit::wait;
use std::{path::Path, time::Duration};

/// Members of two rooms.
const USERS: &str = "USERS=100";
/// Each does something ten times.
const SECONDS: &str = "SECONDS=20";
const PERIOD: &str = "PERIOD_MS=2000";
/// A machine that runs other tests beside it; who measures sets the figure users notice, 200 ms.
const P99: &str = "P99_MS=2000";

#[tokio::test]
async fn a_scripted_crowd_is_served_without_an_error() {
    let _alone = alone().await;
    let node = launch().start().await;
    let address = format!("MADANG={}", node.address());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/seed.js");
    let script = script.to_str().expect("a path in UTF-8");
    let mut arguments = vec!["run", "--no-usage-report", "--quiet", "--no-color"];
    for variable in [address.as_str(), USERS, SECONDS, PERIOD, P99] {
        arguments.extend(["-e", variable]);
    }
    arguments.push(script);
    let output = suite("k6", &arguments, node.directory(), Duration::from_secs(150)).await;
    assert!(output.status.success(), "{}", output.text());
    wait::until("the crowd has left", wait::SOON, async || {
        (node.http().metrics().await.sum("madang_connections", &[]) == 0.0).then_some(())
    })
    .await;
}
