//! The node's two clocks.

use madang_protocol::Millis;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::time::Instant;

/// Wall-clock time for what people and other nodes see; [`Instant`] for every deadline, so that a
/// test can stop both.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    /// The operating system's.
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
            millis(since_epoch.unwrap_or(Duration::ZERO))
        }))
    }

    /// Starts at `epoch` and follows the runtime's clock, which tests may pause. Call it inside
    /// the runtime.
    pub fn following_runtime(epoch: Millis) -> Self {
        let start = Instant::now();
        Self(Arc::new(move || epoch + millis(start.elapsed())))
    }

    /// Tells what `now` returns.
    #[cfg(test)]
    pub fn from_fn(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}

fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
