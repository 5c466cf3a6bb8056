//! An actor that panics and is built anew: processor time, without the wait before it. Beside it a panic
//! that is caught and a value made, and nobody told.

use crate::pairs::{Comparison, compare};
use madang_actors::{
    kernel::{
        Actor, Address, Arbiter, Context, Exhausted, Supervisor, arbiter::run_system,
        start_supervised,
    },
    metrics::Metrics,
};
use rustix::time::{ClockId, clock_gettime};
use std::{
    hint::black_box,
    panic::{catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// Time for one of so many that panic together, until it is there again.
pub fn restarts(actors: u32, pairs: usize) -> Comparison {
    compare(pairs, actors, |actors| run_system(restart_all(actors)), catch_all)
}

async fn restart_all(actors: u32) -> Duration {
    let root = Supervisor::root(Arc::new(Metrics::new()), |why| panic!("{why}"));
    let lives = Arc::new(Semaphore::new(0));
    let addresses: Vec<_> = (0..actors).map(|_| start(&root, &lives)).collect();
    all(&lives, actors).await;
    let begun = processor_time();
    addresses.iter().for_each(|address| assert!(address.try_send(()).is_ok(), "it is empty"));
    all(&lives, actors).await;
    let took = processor_time() - begun;
    addresses.iter().for_each(Address::stop);
    took
}

/// Waits until so many lives have begun.
async fn all(lives: &Semaphore, actors: u32) {
    lives.acquire_many(actors).await.expect("it is never closed").forget();
}

fn start(root: &Supervisor, lives: &Arc<Semaphore>) -> Address<()> {
    let lives = lives.clone();
    let build = move |_: &Address<()>| Mortal { lives: lives.clone() };
    start_supervised(&Arbiter::here(), 1, root, Exhausted::End, build)
}

fn catch_all(actors: u32) -> Duration {
    let lives = Arc::new(Semaphore::new(0));
    let begun = processor_time();
    for _ in 0..actors {
        assert!(catch_unwind(end).is_err());
        black_box(Box::new(Mortal { lives: lives.clone() }));
    }
    processor_time() - begun
}

/// Panics when it is told anything.
struct Mortal {
    /// Each begun adds one.
    lives: Arc<Semaphore>,
}

impl Actor for Mortal {
    type Message = ();
    const KIND: &'static str = "room";

    fn started(&mut self, _context: &mut Context<()>) {
        self.lives.add_permits(1);
    }

    fn handle(&mut self, (): (), _context: &mut Context<()>) {
        end();
    }
}

/// A panic of which nothing is printed.
fn end() {
    resume_unwind(Box::new("on purpose"));
}

/// Of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
