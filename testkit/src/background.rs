//! Threads that stand back, for the many who disturb.
//!
//! Clients of a test share the machine with the node. What they do at this priority takes the time
//! that is left, so that what others feel of them is what the node does for them.

use crate::priority::stand_back;
use std::future::Future;
use tokio::{runtime::Runtime, task::JoinHandle};

const THREADS: usize = 2;

/// A runtime of its own; what runs there ends when it is dropped.
#[derive(Debug)]
pub struct Background(Option<Runtime>);

impl Background {
    /// Starts its threads.
    pub fn start() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(THREADS).enable_all().on_thread_start(stand_back);
        Self(Some(builder.build().expect("threads can be started")))
    }

    /// Runs it there.
    pub fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.as_ref().expect("there until it is dropped").spawn(task)
    }

    /// Runs it there and waits for it.
    ///
    /// # Panics
    /// When it does.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.spawn(task).await.expect("what goes on beside does not panic")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background(); // it may be dropped where nothing may block
        }
    }
}
