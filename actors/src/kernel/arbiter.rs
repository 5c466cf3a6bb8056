//! Threads that actors live on.

use super::meter;
use crate::metrics::{Metrics, arbiter_busy};
use metrics::Counter;
use std::{
    future::Future,
    io,
    sync::{Arc, OnceLock},
};
use tokio::runtime;

/// One thread with a runtime of its own. Cloning shares it.
#[derive(Clone)]
pub struct Arbiter(Place);

#[derive(Clone)]
enum Place {
    Thread(actix::ArbiterHandle),
    /// Whatever thread, and whatever `LocalSet` of it, asks.
    Here,
}

impl Arbiter {
    /// The thread of the caller, inside [`run_system`].
    pub fn current() -> Self {
        Self(Place::Thread(actix::Arbiter::current()))
    }

    /// Wherever its caller is: the thread, and the group of tasks there. For what never leaves
    /// one thread, like all arbiters of a node that is simulated.
    pub fn here() -> Self {
        Self(Place::Here)
    }

    /// Runs `task` on that thread. A stopped arbiter drops it.
    pub fn run(&self, task: impl FnOnce() + Send + 'static) {
        match &self.0 {
            Place::Thread(thread) => {
                thread.spawn_fn(task);
            }
            Place::Here => {
                tokio::task::spawn_local(async move { task() });
            }
        }
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

    /// Lets the threads measure for a node, as `name-0`, `name-1` and so on. Call it where handles
    /// of metrics may be resolved.
    pub fn measure(&self, name: &str, metrics: &Arc<Metrics>) -> BusyTimes {
        let measure = |(number, arbiter): (usize, Arbiter)| {
            let (metrics, runtime) = (metrics.clone(), Arc::new(OnceLock::new()));
            let busy = arbiter_busy(format!("{name}-{number}"));
            let time = BusyTime { busy, runtime: runtime.clone() };
            arbiter.run(move || {
                meter::measure_for(metrics);
                let _ = runtime.set(runtime::Handle::current()); // the only one who sets it
            });
            time
        };
        BusyTimes(self.all().into_iter().enumerate().map(measure).collect())
    }

    /// One handle per thread.
    pub fn all(&self) -> Vec<Arbiter> {
        self.threads.iter().map(|thread| Arbiter(Place::Thread(thread.handle()))).collect()
    }
}

impl Drop for Arbiters {
    fn drop(&mut self) {
        for thread in &self.threads {
            thread.stop();
        }
    }
}

/// How long some threads have been at work.
pub struct BusyTimes(Vec<BusyTime>);

struct BusyTime {
    busy: Counter,
    /// Known once its thread has begun.
    runtime: Arc<OnceLock<runtime::Handle>>,
}

impl BusyTimes {
    /// Brings the metrics up to date. The runtime of a thread knows how long it did anything but
    /// wait for the operating system; a thread that is held up counts once it is free again.
    pub fn collect(&self) {
        for BusyTime { busy, runtime } in &self.0 {
            if let Some(runtime) = runtime.get() {
                let time = runtime.metrics().worker_total_busy_duration(0);
                busy.absolute(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }
}

/// Runs `main` on this thread with a runtime in which actors can be started.
pub fn run_system<T>(main: impl Future<Output = T>) -> T {
    actix::System::new().block_on(main)
}

/// As [`run_system`], with a clock that stands still while something can be done and then jumps to
/// the next timer; all random numbers follow from `seed`. What `main` does is the same each time.
#[cfg(feature = "simulation")]
pub fn run_simulated<T>(seed: u64, main: impl Future<Output = T>) -> T {
    fastrand::seed(seed);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime without threads")
    };
    actix::System::with_tokio_rt(runtime).block_on(main)
}
