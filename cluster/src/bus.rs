//! The bus: what happens in a room, to every node with readers; what a node says to all, or asks
//! of one.

use crate::{NodeName, Peer};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use madang_protocol::{Publication, RoomId};
use std::time::Duration;

/// Carries publications to the subscribers of their room, notices to every node, questions to one.
///
/// Those of one publisher and room that arrive, arrive in order; any may be missing, and any may come
/// twice. Nothing was heard because it could be handed over.
pub trait Bus: Send + Sync + 'static {
    /// Hands it to whoever subscribes to its room now; those of this node get it even where the others
    /// cannot be reached. Never waits.
    fn publish(&self, publication: &Publication);

    /// Calls `deliver` for every publication of `room` published from now on, until the subscription
    /// is dropped. `deliver` must not wait: it runs on the bus's own thread, or the publisher's.
    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription;

    /// This node, as the others hear of it.
    fn me(&self) -> &Peer;

    /// Says something to every node. The one that says it hears itself by the way all hear it, which is
    /// how it knows that it is heard. Never waits.
    fn announce(&self, topic: Topic, body: Bytes);

    /// Calls `hear` for every announcement from now on, until the subscription is dropped. It must not
    /// wait.
    fn hear(&self, hear: Hear) -> Subscription;

    /// Asks a node; the answer, or why there is none, comes within `within`.
    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>>;

    /// Calls `serve` for every question asked of this node from now on, until the subscription is
    /// dropped. It must not wait; it answers when it can. One subscription at a time.
    fn serve(&self, serve: Serve) -> Subscription;
}

/// Takes one publication; what does not fit is dropped by whoever cannot take it.
pub type Deliver = Box<dyn Fn(&Publication) + Send + Sync>;
/// Takes one announcement.
pub type Hear = Box<dyn Fn(Heard) + Send + Sync>;
/// Takes one question, and a way to answer it. A dropped way is no answer.
pub type Serve = Box<dyn Fn(Asked, Answer) + Send + Sync>;
/// Sends the answer to one question.
pub type Answer = Box<dyn FnOnce(Bytes) + Send>;

/// What an announcement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Its sender is alive.
    Heartbeat,
    /// Something happened that every node acts on.
    Notice,
}

/// What is heard from the bus at large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A node announced something.
    Said {
        /// Who.
        from: Peer,
        /// What it is about.
        topic: Topic,
        /// What it said.
        body: Bytes,
    },
    /// Anything may have been missed: the link was lost and is there again, or more came than was
    /// taken.
    Gap,
}

/// What is asked of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Tells what follows from one request apart, in the logs of all nodes; 0 = nothing to follow.
    pub trace: u64,
    /// What is asked.
    pub body: Bytes,
}

/// A question and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Who.
    pub from: Peer,
    /// What.
    pub question: Question,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody of that name is there, or the bus cannot be reached: it was not asked.
    #[error("the node cannot be reached")]
    Unreachable,
    /// It may have been asked, and may act on it now or later.
    #[error("the node did not answer in time")]
    Unanswered,
}

/// Ends when dropped.
pub struct Subscription(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Subscription {
    /// Runs `end` when dropped.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
