//! A single node whose data is in MongoDB.

use crate::{ground, launch};
use madang_testkit::{Stage, client::text};
use serde_json::json;

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_a_kill() {
    let ground = ground::shared().await;
    let mut stage = Stage::set(ground.single(&launch())).await;
    stage.fill(&stage.ann, 50).await;
    stage.node.kill().await;
    stage.node.restart().await;
    let log = stage.http.whole_log(&stage.ben, &stage.room).await;
    let bodies: Vec<&str> = log.iter().map(|message| text(message, "body")).collect();
    let expected: Vec<String> = (1..=50).map(|number| format!("m{number}")).collect();
    assert_eq!(bodies, expected);
    // A retry of what was acknowledged before is recognised.
    let (mut ann, mut ben) = stage.both().await;
    assert_eq!(ann.send(&stage.room, "m7", "m7").await["seq"], json!(7));
    assert_eq!(ann.send(&stage.room, "m51", "after").await["seq"], json!(51));
    assert_eq!(ben.expect("message").await["body"], json!("after"));
}

#[tokio::test]
async fn it_says_how_it_is() {
    let ground = ground::shared().await;
    let node = ground.single(&launch()).start().await;
    let ready = node.http().get("/readyz").send().await.expect(200);
    assert_eq!(ready["parts"]["store"]["state"], json!("ok"), "{ready}");
    assert_eq!(ready["parts"].get("nats"), None, "{ready}");
}
