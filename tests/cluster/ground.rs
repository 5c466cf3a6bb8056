//! The servers of this binary, started once.

use madang_testkit::Ground;
use std::{sync::LazyLock, thread};
use tokio::runtime::Runtime;

/// Where the servers were started from: as long as the binary, unlike the runtime of a test.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

static GROUND: LazyLock<Ground> = LazyLock::new(|| {
    thread::spawn(|| RUNTIME.block_on(Ground::steady())).join().expect("the servers start")
});

/// What all tests share that leave the servers alone.
pub(crate) async fn shared() -> &'static Ground {
    tokio::task::spawn_blocking(|| &*GROUND).await.expect("the servers are there")
}
