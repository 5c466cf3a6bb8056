//! Batches in, commands out.

use super::logic::{Batch, Effect, Logic};
use crate::{
    fail_points,
    kernel::{Actor, Context, Reply},
};
use madang_protocol::Entry;
use madang_store::{MessageLog, log::Appended};
use std::sync::Arc;

/// What the store writer is told.
pub enum Append {
    /// A room's next entries.
    Batch(Vec<Entry>, Reply<Appended>),
    /// The command under way was answered.
    Written(Appended),
}

/// See the module.
pub struct StoreWriter {
    log: Arc<dyn MessageLog>,
    logic: Logic<Reply<Appended>>,
    effects: Vec<Effect<Reply<Appended>>>,
}

impl StoreWriter {
    /// Writes to `log`.
    pub fn new(log: Arc<dyn MessageLog>) -> Self {
        Self { log, logic: Logic::new(), effects: Vec::new() }
    }

    fn perform(&mut self, context: &mut Context<Append>) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Answer(reply, outcome) => reply.send(outcome),
                Effect::Write(entries) => {
                    let log = self.log.clone();
                    mutate!(TwoWritesInFlight, {
                        context.spawn(in_two(log, entries), Append::Written);
                        continue;
                    });
                    context.spawn(async move { log.append(entries).await }, Append::Written);
                }
            }
        }
    }
}

impl Actor for StoreWriter {
    type Message = Append;
    const KIND: &'static str = "store_writer";

    fn handle(&mut self, message: Append, _context: &mut Context<Append>) {
        match message {
            Append::Batch(entries, reply) => self.logic.submit(Batch { entries, reply }),
            Append::Written(outcome) => {
                fail_points::pass(Self::KIND, "written"); // committed, and no room knows yet
                self.logic.written(outcome, &mut self.effects);
            }
        }
    }

    fn turn_ended(&mut self, context: &mut Context<Append>) {
        self.logic.begin(&mut self.effects);
        self.perform(context);
    }
}

#[cfg(feature = "mutations")]
async fn in_two(log: Arc<dyn MessageLog>, mut entries: Vec<Entry>) -> Appended {
    let behind = entries.split_off(entries.len().div_ceil(2));
    let all = entries.len();
    let halves = futures_util::future::join(log.append(entries), log.append(behind));
    let (first, second) = halves.await;
    match first.stopped {
        None => Appended { committed: all + second.committed, ..second },
        Some(_) => first,
    }
}
