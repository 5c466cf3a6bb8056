//! A node that stands still: a process that is stopped, or a machine that is.
//!
//! What was about to happen when the gate closed happens first when it opens, with timers that are
//! long over behind it.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Lets a group of tasks go on, or not. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Gate(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_closed: bool,
    /// It closes with the next parcel that comes, which then waits behind it.
    closes_at_next: bool,
    waits: Option<Waker>,
}

impl Gate {
    /// Nothing goes on once the next message from another node has come.
    pub(super) fn close_at_next_parcel(&self) {
        self.state().closes_at_next = true;
    }

    /// A message from another node has come.
    pub(super) fn parcel_came(&self) {
        let mut state = self.state();
        if std::mem::take(&mut state.closes_at_next) {
            state.is_closed = true;
        }
    }

    /// Everything goes on.
    pub(super) fn open(&self) {
        let mut state = self.state();
        (state.is_closed, state.closes_at_next) = (false, false);
        state.waits.take().into_iter().for_each(Waker::wake);
    }

    /// Runs `tasks`, while it is open.
    pub(super) async fn let_through(self, tasks: impl Future<Output = ()>) {
        let mut tasks = pin!(tasks);
        std::future::poll_fn(|task| {
            let mut state = self.state();
            if state.is_closed {
                state.waits = Some(task.waker().clone());
                return Poll::Pending;
            }
            drop(state);
            tasks.as_mut().poll(task)
        })
        .await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
