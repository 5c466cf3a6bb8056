//! Threads that actors live on.

use std::{future::Future, io};

/// One thread with a runtime of its own. Cloning shares it.
#[derive(Clone)]
pub struct Arbiter(actix::ArbiterHandle);

impl Arbiter {
    /// The thread of the caller, inside [`run_system`].
    pub fn current() -> Self {
        Self(actix::Arbiter::current())
    }

    /// Runs `task` on that thread. A stopped arbiter drops it.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        self.0.spawn_fn(task);
    }

    /// Runs a future on that thread, made there.
    pub fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.run(move || {
            tokio::task::spawn_local(make());
        });
    }
}

/// A group of threads for one purpose. They end when it is dropped.
pub struct Arbiters {
    threads: Vec<actix::Arbiter>,
}

impl Arbiters {
    /// Starts `count` threads, at least one.
    pub fn start(count: usize) -> io::Result<Self> {
        let threads =
            (0..count.max(1)).map(|_| actix::Arbiter::try_new()).collect::<Result<_, _>>()?;
        Ok(Self { threads })
    }

    /// One handle per thread.
    pub fn all(&self) -> Vec<Arbiter> {
        self.threads.iter().map(|thread| Arbiter(thread.handle())).collect()
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.stop();
        }
    }
}

/// Runs `main` on this thread with a runtime in which actors can be started.
pub fn run_system<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}
