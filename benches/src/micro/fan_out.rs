//! One message to each of a thousand receivers on the same thread: actors beside tasks that wait on a
//! bare channel.

use crate::pairs::{Comparison, compare};
use bytes::Bytes;
use madang_actors::kernel::{Actor, Address, Context, arbiter::run_system, start_unsupervised};
use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// Messages waiting at most, the same for both.
const BOUND: usize = 16;
const MESSAGE: &[u8] = &[b'x'; 128];

/// Time for one message to one receiver. `operations` is rounded up to whole rounds of all.
pub fn to_each(receivers: usize, pairs: usize, operations: u32) -> Comparison {
    let rounds = operations.div_ceil(receivers as u32);
    let actors = |_| run_system(to_actors(receivers, rounds));
    let tasks = |_| run_system(to_tasks(receivers, rounds));
    compare(pairs, rounds * receivers as u32, actors, tasks)
}

struct Receiver(Rc<Cell<u64>>);

impl Actor for Receiver {
    type Message = Bytes;
    const KIND: &'static str = "connection";

    fn handle(&mut self, message: Bytes, _context: &mut Context<Bytes>) {
        self.0.set(self.0.get() + message.len() as u64);
    }
}

async fn to_actors(receivers: usize, rounds: u32) -> Duration {
    let count = Rc::new(Cell::new(0));
    let start = |_| start_unsupervised(BOUND, |_| Receiver(count.clone()));
    let addresses: Vec<Address<Bytes>> = (0..receivers).map(start).collect();
    let (message, begun) = (Bytes::from_static(MESSAGE), Instant::now());
    for round in 1..=rounds {
        for address in &addresses {
            let sent = address.try_send(message.clone());
            assert!(sent.is_ok(), "every inbox was emptied in the round before");
        }
        arrived(&count, u64::from(round) * receivers as u64).await;
    }
    let took = begun.elapsed();
    addresses.iter().for_each(Address::stop);
    took
}

async fn to_tasks(receivers: usize, rounds: u32) -> Duration {
    let count = Rc::new(Cell::new(0));
    let start = |_| {
        let (sender, mut receiver) = mpsc::channel::<Bytes>(BOUND);
        let count = count.clone();
        tokio::task::spawn_local(async move {
            while let Some(message) = receiver.recv().await {
                count.set(count.get() + message.len() as u64);
            }
        });
        sender
    };
    let senders: Vec<mpsc::Sender<Bytes>> = (0..receivers).map(start).collect();
    let (message, begun) = (Bytes::from_static(MESSAGE), Instant::now());
    for round in 1..=rounds {
        for sender in &senders {
            let sent = sender.try_send(message.clone());
            assert!(sent.is_ok(), "every channel was emptied in the round before");
        }
        arrived(&count, u64::from(round) * receivers as u64).await;
    }
    begun.elapsed()
}

/// Waits until everybody has it: the clock stops after the last queue is empty.
async fn arrived(count: &Rc<Cell<u64>>, messages: u64) {
    while count.get() < messages * MESSAGE.len() as u64 {
        tokio::task::yield_now().await;
    }
}
