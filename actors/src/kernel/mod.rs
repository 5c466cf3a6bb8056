//! The shell every actor lives in: inbox, turns, timers, restarts. The only code that names actix.
//!
//! actix gives threads ([`Arbiters`]), contexts and a place to be polled. What it leaves open is
//! decided here, because its own mailbox ignores its bound under `do_send`, runs without a budget
//! and forgets an actor that panics:
//!
//! - An [`Address`] is a bounded inbox. A full one gives the message back at once.
//! - A turn takes at most [`TURN_MESSAGES`] messages, then lets others run. Order within a turn:
//!   control, due timers, answers, messages in arrival order, the actor's own input
//!   ([`Actor::poll_input`]), [`Actor::turn_ended`].
//! - **Answers before requests**: what an actor asked for ([`Reply`], [`Context::spawn`],
//!   timers) never waits behind, and is never refused because of, what others ask of it. There
//!   are at most as many as it has questions out.
//! - **Panic**: the input being handled is dropped (its [`Reply`] says so), the actor is dropped,
//!   its inbox stays. Its supervisor builds a new one from the factory; answers to questions of
//!   the old one are not delivered to the new one.
//! - **Stop**: the inbox is closed, what waits in it is dropped, and whoever waits for a reply
//!   learns that.

pub mod arbiter;
pub mod clock;
pub mod context;
pub mod inbox;
mod meter;
pub mod reply;
mod shell;
pub mod supervisor;
#[cfg(test)]
mod tests;

pub use arbiter::{Arbiter, Arbiters};
pub use clock::Clock;
pub use context::Context;
pub use inbox::{Address, SendError};
pub use reply::{Lost, Reply};
pub use shell::{start_supervised, start_supervised_with, start_unsupervised};
pub use supervisor::{Exhausted, Strategy, Supervisor};

use std::task::{self, Poll};

/// Messages an actor handles before others on its arbiter get their turn. Large enough that a
/// batch is worth its wake-up, small enough that a hot actor adds well below a millisecond to its
/// neighbours' latency.
pub const TURN_MESSAGES: usize = 64;

/// What lives in a shell: turns messages into inputs of its logic and effects into sends.
pub trait Actor: Unpin + Sized + 'static {
    /// What others may tell it.
    type Message: Send + 'static;

    /// Its name in logs and metrics.
    const KIND: &'static str;

    /// Whether drained queues keep their memory for the next messages. Not where thousands of
    /// idle actors exist: it would be most of what they cost.
    const KEEPS_QUEUES: bool = true;

    /// Called in the first turn, and again in that of every restart.
    fn started(&mut self, _context: &mut Context<Self::Message>) {}

    /// One message.
    fn handle(&mut self, message: Self::Message, context: &mut Context<Self::Message>);

    /// False while it wants no requests (answers still come): they wait in the inbox.
    fn is_ready(&self) -> bool {
        true
    }

    /// Polls an input that is not an inbox. Registers the task's waker as any future does.
    fn poll_input(
        &mut self,
        _task: &mut task::Context<'_>,
        _context: &mut Context<Self::Message>,
    ) -> Poll<()> {
        Poll::Pending
    }

    /// Called once at the end of every turn: write out what the turn gathered.
    fn turn_ended(&mut self, _context: &mut Context<Self::Message>) {}
}
