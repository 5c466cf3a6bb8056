//! Waiting for a condition, with a deadline and a name for what did not come.

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// Long enough for anything a healthy node does at once, on a machine that is busy with other
/// tests.
pub const SOON: Duration = Duration::from_secs(20);

/// Between two looks at a condition that cannot wake us.
pub const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Polls `condition` until it yields a value.
///
/// # Panics
/// When it did not within `limit`, naming `what`.
pub async fn until<T, F, Fut>(what: &str, limit: Duration, mut condition: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(LOOK_AGAIN).await;
    }
}

/// Awaits `future`.
///
/// # Panics
/// When it did not finish within `limit`, naming `what`.
pub async fn within<T>(what: &str, limit: Duration, future: impl Future<Output = T>) -> T {
    match timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}
