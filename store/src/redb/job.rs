//! What the writer is handed.

use super::transaction::Tables;
use crate::{StoreError, metrics::Call};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use tokio::sync::oneshot;

/// Something to be written. May be applied more than once, each time to a fresh transaction; is
/// answered once.
pub(super) trait Job: Send {
    /// Reads and writes; `false`: it failed, and what it wrote must not be committed.
    fn apply(&mut self, tables: &mut Tables<'_>) -> bool;

    /// What it is.
    fn call(&self) -> Call;

    /// Since when it waits.
    fn since(&self) -> Instant;

    /// Says what became of it.
    fn answer(self: Box<Self>, fate: &Fate);
}

/// What became of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Fate {
    /// It is durable.
    Committed,
    /// It never was, and never will be.
    Refused(StoreError),
    /// Nobody knows, because of this.
    Unknown(String),
}

/// A job made of a closure.
pub(super) struct Write<F, T> {
    call: Call,
    body: F,
    gathers: bool,
    since: Instant,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Write<F, T>
where
    F: FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    pub(super) fn new(call: Call, body: F, reply: oneshot::Sender<Result<T, StoreError>>) -> Self {
        Self { call, body, gathers: false, since: Instant::now(), result: None, reply }
    }

    /// One that leaves heads and read positions to [`Tables::settle`].
    pub(super) fn gathering(
        call: Call,
        body: F,
        reply: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { gathers: true, ..Self::new(call, body, reply) }
    }
}

impl<F, T> Job for Write<F, T>
where
    F: FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn apply(&mut self, tables: &mut Tables<'_>) -> bool {
        let body = &mut self.body;
        let gathers = self.gathers;
        let run = AssertUnwindSafe(|| {
            if !gathers {
                tables.settle()?;
            }
            body(tables)
        });
        // A job that panics takes nothing with it but itself.
        let result = catch_unwind(run).unwrap_or_else(|_| {
            Err(StoreError::Unavailable("it panicked, nothing was written".into()))
        });
        self.result.insert(result).is_ok()
    }

    fn call(&self) -> Call {
        self.call
    }

    fn since(&self) -> Instant {
        self.since
    }

    fn answer(self: Box<Self>, fate: &Fate) {
        let answer = match (self.result, fate) {
            (Some(Err(error)), _) => Err(error),
            (Some(result), Fate::Committed) => result,
            (_, Fate::Refused(error)) => Err(error.clone()),
            (_, Fate::Unknown(why)) => Err(StoreError::Unknown(why.clone())),
            (None, Fate::Committed) => Err(StoreError::Unknown("it was never applied".into())),
        };
        // One who no longer waits has lost interest in the answer, not in the write.
        let _ = self.reply.send(answer);
    }
}
