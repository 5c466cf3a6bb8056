//! The replica set of this binary, and databases on it.

use madang_servers::ReplicaSet;
use madang_store::{ClusterError, ClusterOptions, Store, open_cluster};
use mongodb::bson::{Document, doc};
use std::{
    future::Future,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::Mutex};

/// Where the driver's connections live: as long as the binary, unlike the runtime of a test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

static SET: LazyLock<ReplicaSet> = LazyLock::new(|| {
    wait_for(async {
        let set = ReplicaSet::steady().await;
        // So whatever a test here asks must find an index.
        set.refuse_scans().await;
        set
    })
});

/// The one that all tests share, each in a database of its own.
pub(crate) fn shared() -> &'static ReplicaSet {
    &SET
}

/// Options for a database that nobody else uses.
pub(crate) fn options() -> ClusterOptions {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let database = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    ClusterOptions { connections_warm: 1, ..ClusterOptions::at(shared().uri(), database) }
}

/// The same, while nobody's read position is written but by a receipt.
pub(crate) fn quiet() -> ClusterOptions {
    ClusterOptions { positions_interval: Duration::from_secs(3_600), ..options() }
}

/// Fail points are of the whole server, so one test at a time has one.
pub(crate) static FAIL_POINT: Mutex<()> = Mutex::const_new(());

/// So many `command`s to a collection come to grief. The caller holds [`FAIL_POINT`].
pub(crate) async fn fail(command: &str, collection: &str, times: i32, how: Document) {
    let mut fail = doc! { "failCommands": [command], "namespace": collection };
    fail.extend(how);
    shared().fail_commands(shared().primary().await, times, fail).await;
}

/// A store in that database.
pub(crate) fn open(options: &ClusterOptions) -> Store {
    try_open(options).expect("a store")
}

/// The same, or why not.
pub(crate) fn try_open(options: &ClusterOptions) -> Result<Store, ClusterError> {
    wait_for(open_cluster(options.clone()))
}

/// Waits where there may be a runtime already.
pub(crate) fn wait_for<T: Send + 'static>(body: impl Future<Output = T> + Send + 'static) -> T {
    thread::spawn(|| RUNTIME.block_on(body)).join().expect("no panic")
}
