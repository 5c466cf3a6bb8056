//! What an actor can do during a turn beside sending messages.

use super::{
    inbox::Address,
    reply::{Lost, Reply},
};
use futures_util::FutureExt;
use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// An actor's hold on its own shell.
pub struct Context<M> {
    address: Address<M>,
    /// Most actors (every connection) have none.
    timers: Option<Box<Timers<M>>>,
    pub(super) wants_turn: bool,
    pub(super) stopping: bool,
}

impl<M: Send + 'static> Context<M> {
    pub(super) fn new(address: Address<M>) -> Self {
        Self { address, timers: None, wants_turn: false, stopping: false }
    }

    /// The actor's own address.
    pub fn address(&self) -> &Address<M> {
        &self.address
    }

    /// Delivers `message` to this incarnation once `delay` has passed. There is no cancelling:
    /// an actor tells by its state whether a timer still means anything.
    pub fn after(&mut self, delay: Duration, message: M) {
        self.timers.get_or_insert_default().add(Instant::now() + delay, message);
    }

    /// Runs a future beside the actor, on its arbiter; its outcome becomes a message.
    pub fn spawn<F>(&mut self, future: F, into: impl FnOnce(F::Output) -> M + 'static)
    where
        F: Future + 'static,
    {
        let address = self.address.clone();
        let incarnation = address.incarnation();
        tokio::task::spawn_local(async move {
            match AssertUnwindSafe(future).catch_unwind().await {
                Ok(outcome) => address.answer(incarnation, into(outcome)),
                Err(panic) => address.crash(incarnation, panic_text(&*panic)),
            }
        });
    }

    /// A reply to this incarnation.
    pub fn reply<T: 'static>(
        &self,
        into: impl FnOnce(Result<T, Lost>) -> M + Send + 'static,
    ) -> Reply<T> {
        Reply::to_actor(self.address.clone(), into)
    }

    /// Asks for another turn soon, after others had theirs: there is work left.
    pub fn yield_turn(&mut self) {
        self.wants_turn = true;
    }

    /// Ends the actor after this turn.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Ends the actor unless messages wait. True: it ends, and later senders are told so.
    pub fn stop_if_idle(&mut self) -> bool {
        self.stopping |= self.address.close_if_idle();
        self.stopping
    }

    /// Ends the actor and gives what waits for it: nobody loses what was sent, and later senders
    /// are told that it ended. For the end of a turn, when nothing that was taken is unhandled.
    pub fn stop_taking(&mut self) -> Vec<M> {
        self.stopping = true;
        self.address.close_taking()
    }

    pub(super) fn reset(&mut self) {
        self.timers = None;
        self.wants_turn = false;
    }

    pub(super) fn next_due(&mut self) -> Option<M> {
        self.timers.as_mut()?.next_due(Instant::now())
    }

    /// Wakes the task when the next timer is due. Ready: one is due now.
    pub(super) fn poll_timers(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        match &mut self.timers {
            Some(timers) => timers.poll(task),
            None => Poll::Pending,
        }
    }
}

/// The words of a panic.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

struct Timers<M> {
    heap: BinaryHeap<Timer<M>>,
    added: u64,
    sleep: Option<Pin<Box<Sleep>>>,
}

struct Timer<M> {
    due: Instant,
    /// Timers due at one instant fire in the order they were set.
    number: u64,
    message: M,
}

impl<M> Timers<M> {
    fn add(&mut self, due: Instant, message: M) {
        self.added += 1;
        self.heap.push(Timer { due, number: self.added, message });
    }

    fn next_due(&mut self, now: Instant) -> Option<M> {
        if self.heap.peek()?.due > now {
            return None;
        }
        self.heap.pop().map(|timer| timer.message)
    }

    fn poll(&mut self, task: &mut task::Context<'_>) -> Poll<()> {
        let Some(next) = self.heap.peek() else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next.due)));
        if sleep.deadline() != next.due {
            sleep.as_mut().reset(next.due);
        }
        sleep.as_mut().poll(task)
    }
}

impl<M> Default for Timers<M> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), added: 0, sleep: None }
    }
}

impl<M> Ord for Timer<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number)) // the heap's greatest is first
    }
}

impl<M> PartialOrd for Timer<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> PartialEq for Timer<M> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl<M> Eq for Timer<M> {}
