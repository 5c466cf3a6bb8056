//! The right to answer one question, once.

use super::inbox::Address;
use std::fmt;
use tokio::sync::oneshot;

/// Answers one question. Dropped unused, it says so: whoever asked never waits for nothing.
pub struct Reply<T>(Option<Deliver<T>>);

type Deliver<T> = Box<dyn FnOnce(Result<T, Lost>) + Send>;

/// The question got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The actor panicked while handling it.
    Panicked,
    /// The actor stopped, or was restarted, before it answered.
    Dropped,
}

impl<T: 'static> Reply<T> {
    /// A reply that runs `deliver`, on the thread of whoever answers.
    pub fn new(deliver: impl FnOnce(Result<T, Lost>) + Send + 'static) -> Self {
        Self(Some(Box::new(deliver)))
    }

    /// A reply that becomes a message of the asking actor's present incarnation.
    pub(super) fn to_actor<M: Send + 'static>(
        address: Address<M>,
        into: impl FnOnce(Result<T, Lost>) -> M + Send + 'static,
    ) -> Self {
        let incarnation = address.incarnation();
        Self::new(move |answer| address.answer(incarnation, into(answer)))
    }

    /// A reply to code that is no actor.
    pub fn channel() -> (Self, oneshot::Receiver<Result<T, Lost>>)
    where
        T: Send,
    {
        let (sender, receiver) = oneshot::channel();
        let reply = Self::new(move |answer| {
            let _ = sender.send(answer); // nobody waits any more: nothing to tell
        });
        (reply, receiver)
    }

    /// Gives the answer.
    pub fn send(mut self, answer: T) {
        if let Some(deliver) = self.0.take() {
            deliver(Ok(answer));
        }
    }
}

impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(deliver) = self.0.take() {
            let lost = if std::thread::panicking() { Lost::Panicked } else { Lost::Dropped };
            deliver(Err(lost));
        }
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}
