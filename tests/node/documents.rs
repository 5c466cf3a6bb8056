//! The document a node serves about itself.

use crate::launch;
use madang_testkit::Http;
use serde_json::Value;

/// The file clients are made from.
fn written() -> Value {
    serde_json::from_str(include_str!("../../docs/openapi.json")).expect("a JSON document")
}

#[tokio::test]
async fn a_node_describes_its_calls() {
    let node = launch().start().await;
    assert_eq!(node.http().get("/openapi.json").send().await.expect(200), written());
}

#[tokio::test]
async fn also_where_monitoring_has_moved_to() {
    let moved = madang_testkit::launcher::free_address();
    let node = launch().with("metrics-listen", moved).start_ready_at(moved).await;
    for http in [node.http(), Http::plain(moved)] {
        assert_eq!(http.get("/openapi.json").send().await.expect(200), written());
    }
}
