//! The kernel's inbox and shell against a bare tokio channel and task.

use crate::pairs::{Comparison, compare};
use madang_actors::kernel::{
    Actor, Address, Arbiter, Arbiters, Context, SendError, arbiter::run_system, start_unsupervised,
};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Messages waiting at most, the same for both.
const BOUND: usize = 1_024;

/// Where the receiver lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// On the sender's thread.
    SameThread,
    /// On another one.
    AcrossThreads,
}

/// Time per message, sender and receiver together.
pub fn messages(distance: Distance, pairs: usize, operations: u32) -> Comparison {
    compare(
        pairs,
        operations,
        |operations| run(distance, operations, to_actor),
        |operations| run(distance, operations, to_task),
    )
}

/// Counts down and says when it is done. A message is of the size of a small event.
struct Counter {
    left: u32,
    done: Option<oneshot::Sender<()>>,
}

type Message = [u64; 6];

impl Counter {
    fn count(&mut self, message: Message) {
        self.left -= std::hint::black_box(message)[0] as u32;
        if self.left == 0
            && let Some(done) = self.done.take()
        {
            let _ = done.send(());
        }
    }
}

impl Actor for Counter {
    type Message = Message;
    const KIND: &'static str = "room";

    fn handle(&mut self, message: Message, _context: &mut Context<Message>) {
        self.count(message);
    }
}

fn run(
    distance: Distance,
    operations: u32,
    send_all: impl AsyncFnOnce(Arbiter, Counter) -> Duration,
) -> Duration {
    run_system(async {
        let other = Arbiters::start(1).expect("a thread can be started");
        let arbiter = match distance {
            Distance::SameThread => Arbiter::current(),
            Distance::AcrossThreads => other.all().remove(0),
        };
        send_all(arbiter, Counter { left: operations, done: None }).await
    })
}

async fn to_actor(arbiter: Arbiter, mut counter: Counter) -> Duration {
    let (operations, (done, is_done)) = (counter.left, oneshot::channel());
    let (started, address) = oneshot::channel::<Address<Message>>();
    arbiter.run(move || {
        counter.done = Some(done);
        let _ = started.send(start_unsupervised(BOUND, |_| counter));
    });
    let address = address.await.expect("the actor starts");
    let began = Instant::now();
    for _ in 0..operations {
        while let Err(SendError::Full(_)) = address.try_send([1; 6]) {
            tokio::task::yield_now().await;
        }
    }
    let _ = is_done.await;
    address.stop();
    began.elapsed()
}

async fn to_task(arbiter: Arbiter, mut counter: Counter) -> Duration {
    let (operations, (done, is_done)) = (counter.left, oneshot::channel());
    let (sender, mut receiver) = mpsc::channel::<Message>(BOUND);
    arbiter.spawn(move || async move {
        counter.done = Some(done);
        while let Some(message) = receiver.recv().await {
            counter.count(message);
        }
    });
    let began = Instant::now();
    for _ in 0..operations {
        while let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send([1; 6]) {
            tokio::task::yield_now().await;
        }
    }
    let _ = is_done.await;
    began.elapsed()
}
