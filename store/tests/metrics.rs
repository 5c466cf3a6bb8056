//! What is counted, by whom, and that reading a room list is one call whatever its length.

use madang_store::{
    Options, Store,
    conformance::fixtures::{
        append, make_room, make_users, message, messages, new_group, room, user,
    },
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

struct Node {
    store: Store,
    metrics: PrometheusHandle,
    _directory: TempDir,
}

/// A store that counts for itself.
fn node() -> Node {
    let recorder = PrometheusBuilder::new().build_recorder();
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options::in_directory(directory.path());
    let store = metrics::with_local_recorder(&recorder, || madang_store::open(options));
    let store = store.expect("an empty store");
    Node { store, metrics: recorder.handle(), _directory: directory }
}

impl Node {
    /// The value of one line of the metrics page.
    fn value(&self, name: &str) -> u64 {
        let page = self.metrics.render();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().expect("a number"))
    }

    fn calls(&self, call: &str) -> u64 {
        self.value(&format!("madang_store_calls_total{{call=\"{call}\"}}"))
    }

    fn all_calls(&self) -> u64 {
        let page = self.metrics.render();
        let lines = page.lines().filter(|line| line.starts_with("madang_store_calls_total{"));
        let values = lines.filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<u64>().expect("a number")).sum()
    }
}

#[tokio::test]
async fn two_stores_of_one_process_count_apart() {
    let (busy, idle) = (node(), node());
    make_users(&busy.store, [1]).await;
    make_room(&busy.store, new_group(1, 1, &[])).await;
    append(&busy.store, messages(1, 1, 5)).await;
    append(&busy.store, messages(1, 6, 6)).await;
    assert_eq!((busy.calls("create_users"), busy.calls("create_room")), (1, 1));
    assert_eq!((busy.calls("append"), busy.value("madang_store_commits_total")), (2, 4));
    assert_eq!(busy.value("madang_store_commit_messages_sum"), 6);
    assert_eq!(busy.value("madang_store_commit_seconds_count"), 4);
    assert_eq!((idle.all_calls(), idle.value("madang_store_commits_total")), (0, 0));
}

#[tokio::test]
async fn errors_are_counted_by_kind() {
    let node = node();
    node.store.control.close().await;
    assert!(node.store.accounts.end_session([0; 32]).await.is_err());
    assert!(node.store.rooms.view(room(1), user(1)).await.is_err());
    for call in ["end_session", "view"] {
        let series = format!("{{call=\"{call}\",error=\"unavailable\"}}");
        assert_eq!(node.value(&format!("madang_store_errors_total{series}")), 1, "{call}");
    }
}

/// P8: constant store calls, p99 within 5 ms. The time is only printed where builds are slow.
#[tokio::test]
async fn a_list_of_200_rooms_is_one_call() {
    let node = node();
    make_users(&node.store, 1..=2).await;
    for number in 1..=200 {
        make_room(&node.store, new_group(number, 1, &[2])).await;
        append(&node.store, vec![Arc::new(message(number, 1, 2))]).await;
    }
    let before = node.all_calls();
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        let rooms = node.store.rooms.list(user(1), None, 200).await.expect("it answers");
        times.push(began.elapsed());
        assert_eq!(rooms.len(), 200);
    }
    let access = node.store.rooms.access_all(user(1), 1_000).await.expect("it answers");
    assert_eq!(access.len(), 200);
    assert_eq!(node.all_calls() - before, 101);
    times.sort_unstable();
    println!("room list of 200: p50 {:?}, p99 {:?}", times[50], times[98]);
    assert!(times[50] < Duration::from_millis(50), "{:?}", times[50]);
}
