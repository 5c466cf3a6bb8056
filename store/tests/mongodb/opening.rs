//! What is refused when a store is opened, and by which error.

use crate::set;
use madang_servers::{
    free_address,
    mongo::{Guarded, PASSWORD, ROOT, ReplicaSet, standalone},
};
use madang_store::{
    ClusterError, ClusterOptions, StoreControl, check_cluster, open_cluster, presence::NodeLife,
};
use mongodb::{
    Client,
    bson::{Document, doc},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Opens and closes.
async fn try_open(options: ClusterOptions) -> Result<Arc<dyn StoreControl>, ClusterError> {
    let store = open_cluster(options).await?;
    store.control.close().await;
    Ok(store.control)
}

async fn refusal(options: ClusterOptions) -> ClusterError {
    match try_open(options).await {
        Err(error) => error,
        Ok(_) => panic!("it was opened"),
    }
}

fn quick(uri: String, database: &str) -> ClusterOptions {
    let reach_within = Duration::from_secs(1);
    ClusterOptions { connections_warm: 1, reach_within, ..ClusterOptions::at(uri, database) }
}

async fn client() -> Client {
    Client::with_uri_str(set::shared().uri()).await.expect("a URI")
}

#[tokio::test]
async fn a_store_keeps_its_identity_and_two_have_two() {
    let (one, other) = (set::options(), set::options());
    let mut identities = Vec::new();
    for options in [&one, &one, &other] {
        let control = try_open(options.clone()).await.expect("an own database");
        identities.push(control.identity().expect("it can be shared"));
    }
    assert_eq!(identities[0], identities[1]);
    assert_ne!(identities[0], identities[2]);
}

#[tokio::test]
async fn who_uses_the_database_is_told_those_that_came_before() {
    let store = set::open(&set::options());
    let life = |node: &str| NodeLife { node: node.to_owned(), incarnation: u64::MAX };
    let register = async |node: &str| {
        let neighbours = store.control.register(&life(node)).await.expect("a list");
        neighbours.into_iter().map(|neighbour| (neighbour.life, neighbour.until)).unzip()
    };
    let none: (Vec<NodeLife>, Vec<i64>) = (Vec::new(), Vec::new());
    assert_eq!(register("$a").await, none);
    let first: (Vec<NodeLife>, Vec<i64>) = register("b").await;
    assert_eq!(first.0, [life("$a")]);
    assert_eq!(register("$a").await, none, "it stays in its place");
    let second: (Vec<NodeLife>, Vec<i64>) = register("b").await;
    assert!(second.0 == first.0 && second.1 > first.1, "{second:?}: its lease was prolonged");
    store.control.unregister(&life("$a")).await.expect("a list");
    assert_eq!(register("b").await, none);
}

/// All of them make the database; they agree on whose it is.
#[tokio::test]
async fn nodes_that_start_together_share_one_store() {
    let options = set::options();
    let opened = (0..4).map(|_| try_open(options.clone()));
    let opened = futures_util::future::join_all(opened).await;
    let identity = |opened: &Result<Arc<dyn StoreControl>, ClusterError>| {
        opened.as_ref().expect("an own database").identity()
    };
    let first = identity(&opened[0]);
    assert!(first.is_some() && opened.iter().all(|opened| identity(opened) == first));
}

#[tokio::test]
async fn a_server_that_is_in_no_set_is_refused() {
    let server = standalone().await;
    let address = server.address();
    for uri in [format!("mongodb://{address}"), format!("mongodb://{address}/?replicaSet=madang")] {
        let refused = refusal(quick(uri, "chat")).await;
        assert_eq!(refused, ClusterError::NoReplicaSet { host: address.to_string() });
    }
}

#[tokio::test]
async fn a_set_that_nobody_answers_for_is_given_up_in_time() {
    let uri = format!("mongodb://{}/?replicaSet=madang", free_address());
    let began = Instant::now();
    let refused = refusal(quick(uri, "chat")).await;
    assert!(matches!(refused, ClusterError::Unreachable { .. }), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_is_no_uri_is_refused_and_not_repeated() {
    for uri in ["mongodb://me:geheim@", "mongo://me:geheim@host", "mongodb://me:geheim@host/?w=x&z"]
    {
        let refused = refusal(quick(uri.into(), "chat")).await;
        assert!(matches!(refused, ClusterError::Address(_)), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("geheim"), "{refused:?}");
    }
    let too_warm = ClusterOptions { connections_warm: 21, ..set::options() };
    assert!(matches!(refusal(too_warm).await, ClusterError::Address(_)));
}

#[tokio::test]
async fn a_database_of_somebody_else_is_left_alone() {
    let options = set::options();
    let theirs = client().await.database(&options.database);
    let one = doc! { "_id": 1 };
    theirs.collection::<Document>("stuff").insert_one(&one).await.expect("a write");
    let (database, collection) = (options.database.clone(), "stuff".to_owned());
    assert_eq!(refusal(options).await, ClusterError::Foreign { database, collection });
    assert_eq!(theirs.list_collection_names().await.expect("names"), ["stuff"]);
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let options = set::options();
    try_open(options.clone()).await.expect("an own database");
    let meta = client().await.database(&options.database).collection::<Document>("meta");
    let newer = doc! { "$set": { "format": 2_i64 } };
    meta.update_one(doc! { "_id": "store" }, newer).await.expect("a write");
    let database = options.database.clone();
    let refused = refusal(options).await;
    assert_eq!(refused, ClusterError::NewerFormat { database, found: 2, known: 1 });
}

#[tokio::test]
async fn credentials_and_permissions_are_told_apart() {
    let set = Guarded::start().await;
    set.add_user("reader", "read", "chat").await;
    set.add_user("writer", "readWrite", "chat").await;
    for uri in [set.uri(ROOT, "wrong"), set.uri("nobody", PASSWORD)] {
        assert_eq!(refusal(quick(uri, "chat")).await, ClusterError::Credentials);
    }
    let refused = refusal(quick(set.uri("reader", PASSWORD), "chat")).await;
    let database = "chat".to_owned();
    assert_eq!(refused, ClusterError::NotPermitted { what: "writing", database });
    let database = "chat".to_owned();
    let found = check_cluster(quick(set.uri("reader", PASSWORD), "chat")).await;
    assert_eq!(found, Err(ClusterError::NotPermitted { what: "writing", database }));
    let found = check_cluster(quick(set.uri("writer", PASSWORD), "chat")).await;
    assert!(!found.expect("readWrite is enough").is_ours, "nothing was made");
    try_open(quick(set.uri("writer", PASSWORD), "chat")).await.expect("readWrite is enough");
    let refused = refusal(quick(set.uri("writer", PASSWORD), "other")).await;
    assert!(matches!(refused, ClusterError::NotPermitted { .. }), "{refused}");
}

#[tokio::test]
async fn a_set_without_a_majority_is_told() {
    let mut set = ReplicaSet::start().await;
    let options = quick(set.uri(), "chat");
    check_cluster(options.clone()).await.expect("a set that is whole");
    let primary = set.primary().await;
    // A member that stands still is believed in for a while; its writes are not.
    for place in (0..3).filter(|place| *place != primary) {
        set.member(place).pause();
    }
    let found = check_cluster(options).await;
    let is_told =
        matches!(found, Err(ClusterError::NoMajority { .. } | ClusterError::Unreachable { .. }));
    assert!(is_told, "{found:?}");
}

/// After the end nothing is answered, and closing again is fine.
#[tokio::test]
async fn a_closed_store_answers_nothing() {
    let store = open_cluster(set::options()).await.expect("a store");
    store.control.close().await;
    store.control.close().await;
    assert_eq!(store.control.health().state, madang_resilience::State::Down);
    let page = store.log.marks(madang_protocol::RoomId([1; 15]), 0, 1).await;
    assert!(page.is_err(), "{page:?}");
}
