//! What a node says that does not find what it needs, and how it ends.

use crate::{ground, launch};
use madang_testkit::{
    Launch,
    servers::{self, free_address},
};

/// Settings were refused.
const REFUSED: i32 = 2;
/// The node could not be started.
const FAILED: i32 = 1;

async fn ends(launch: Launch, code: i32, said: &[&str]) {
    let output = launch.fail().await;
    let text = output.text();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for words in said {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains("hidden"), "a secret: {text}");
}

#[tokio::test]
async fn combinations_that_make_no_sense() {
    let nats = launch().with("nats", "nats://user:hidden@127.0.0.1:1").with("node-name", "a");
    ends(nats, REFUSED, &["nats", "set mongo"]).await;
    let nameless = launch().with("nats", "nats://127.0.0.1:1").with("mongo", "mongodb://h/");
    ends(nameless, REFUSED, &["node_name"]).await;
    let odd = launch().with("mongo", "hidden://h").with("node-name", "a");
    ends(odd, REFUSED, &["mongo", "mongodb://"]).await;
}

#[tokio::test]
async fn nobody_is_there() {
    let ground = ground::shared().await;
    let nowhere = free_address();
    let mongo = launch().with("mongo", format!("mongodb://user:hidden@{nowhere}/?replicaSet=r"));
    let mongo = mongo.with("start-wait-ms", 500);
    ends(mongo, FAILED, &[&nowhere.to_string()]).await;
    let nats = ground.cluster(&launch()).with("node-name", "a").with("start-wait-ms", 1_000);
    let nats = nats.with("nats", format!("nats://user:hidden@{nowhere}"));
    ends(nats, FAILED, &["NATS", &nowhere.to_string(), "not reached yet"]).await;
}

#[tokio::test]
async fn a_server_that_is_in_no_replica_set() {
    let alone = servers::mongo::standalone().await;
    let mongo = launch().with("mongo", format!("mongodb://{}/", alone.address()));
    ends(mongo, FAILED, &["replica set"]).await;
}

#[tokio::test]
async fn nats_that_refuses() {
    let ground = ground::shared().await;
    let users = "authorization { users: [
        { user: \"node\", password: \"right\" }
        { user: \"mute\", password: \"right\", permissions: { publish: \"other.>\" } } ] }";
    let nats = servers::Nats::configured(users).await;
    let launch = ground.cluster(&launch()).with("nats", nats.urls().join(","));
    let launch = launch.with("node-name", "a");
    let as_user =
        |user, password| launch.clone().with("nats-user", user).with("nats-password", password);
    ends(as_user("node", "hidden"), FAILED, &["refuses the credentials"]).await;
    ends(as_user("mute", "right"), FAILED, &["Permissions Violation", ".v1.>"]).await;
    let node = as_user("node", "right").start().await;
    assert!(node.http().is_ready().await);
}

#[tokio::test]
async fn nats_that_knows_nodes_by_their_creds() {
    let (operator, another) = (servers::Operator::default(), servers::Operator::default());
    let settings = operator.settings();
    let (ground, nats) = tokio::join!(ground::shared(), servers::Nats::configured(&settings));
    let launch = ground.cluster(&launch()).with("nats", nats.urls().join(","));
    let launch = launch.with("node-name", "a");
    let directory = tempfile::tempdir().expect("a directory");
    let with_file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        launch.clone().with("nats-credentials", path.display())
    };
    ends(with_file("other", another.creds()), FAILED, &["refuses the credentials"]).await;
    let node = with_file("right", operator.creds()).start().await;
    assert!(node.http().is_ready().await);
}

#[tokio::test]
async fn nodes_that_do_not_agree_or_have_one_name() {
    let ground = ground::shared().await;
    let cluster = madang_testkit::Cluster::start(ground, &launch(), 1).await;
    let other = cluster.launch().clone().with("node-name", "other").with("send-wait-ms", 14_000);
    ends(other, FAILED, &["cannot join", "send_wait_ms"]).await;
}

#[tokio::test]
async fn nodes_on_one_database_that_do_not_hear_each_other() {
    let ground = ground::shared().await;
    let alone = ground.single(&launch());
    let mut first = alone.clone().start().await;
    let said = &["same database", "not heard", "common NATS"];
    ends(alone.clone(), FAILED, said).await;
    let other_bus = servers::Nats::one().await;
    let nats = alone.clone().with("nats", other_bus.urls().join(",")).with("node-name", "b");
    ends(nats.clone(), FAILED, said).await;
    assert!(first.http().is_ready().await, "the first is not disturbed");
    // One that was killed keeps nobody away.
    first.kill().await;
    let second = nats.clone().start().await;
    ends(
        nats.with("node-name", "c").with("nats", ground.nats.urls().join(",")),
        FAILED,
        &["node b"],
    )
    .await;
    assert!(second.http().is_ready().await);
}

#[tokio::test]
async fn of_two_nodes_with_one_name_the_later_stays() {
    let ground = ground::shared().await;
    let mut cluster = madang_testkit::Cluster::start(ground, &launch(), 1).await;
    let later = cluster.launch().clone().with("node-name", "n1").start().await;
    let earlier = &mut cluster.nodes[0];
    let status = earlier.wait_for_exit().await;
    assert!(!status.success(), "{status}");
    assert!(earlier.printed().contains("n1"), "{}", earlier.printed());
    assert!(later.http().is_ready().await);
}
