//! Questions that wait for their answer.

use crate::bus::AskError;
use bytes::Bytes;
use dashmap::DashMap;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::oneshot;

type Answered = Result<Bytes, AskError>;

/// Those under way, by number: as many as callers wait. Cloning shares them.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Table>);

#[derive(Default)]
struct Table {
    answers: DashMap<u64, oneshot::Sender<Answered>>,
    next: AtomicU64,
}

/// One that waits; forgotten when dropped, so that an answer that comes late finds nobody.
pub(super) struct Ticket {
    /// Its number.
    pub(super) number: u64,
    answer: oneshot::Receiver<Answered>,
    table: Arc<Table>,
}

impl Waiting {
    /// A new question.
    pub(super) fn begin(&self) -> Ticket {
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.0.answers.insert(number, sender);
        Ticket { number, answer, table: self.0.clone() }
    }

    /// The answer to a question, if anybody waits for it still.
    pub(super) fn end(&self, number: u64, answered: Answered) {
        if let Some((_, sender)) = self.0.answers.remove(&number) {
            let _ = sender.send(answered); // the one that asked has just gone
        }
    }
}

impl Ticket {
    /// Waits for it, without a deadline.
    pub(super) async fn answered(mut self) -> Answered {
        (&mut self.answer).await.unwrap_or(Err(AskError::Unanswered))
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.table.answers.remove(&self.number);
    }
}
