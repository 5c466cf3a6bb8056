//! A bus that loses, repeats, delays and so reorders.

use super::trouble::Trouble;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use madang_cluster::{
    Bus, InProcess, NodeName, Peer, Subscription,
    bus::{AskError, Deliver, Hear, Question, Serve, Topic},
};
use madang_protocol::{Publication, RoomId};
use std::{sync::Arc, time::Duration};

/// A bus within one node, in trouble.
pub(super) struct FaultyBus {
    inner: InProcess,
    trouble: Arc<Trouble>,
}

/// What becomes of a publication.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passage {
    /// It arrives at once.
    Through,
    /// It does not.
    Lost,
    /// It arrives later, so that others overtake it.
    Late(Duration),
    /// It arrives, and again later.
    Twice(Duration),
}

impl FaultyBus {
    pub(super) fn new(trouble: Arc<Trouble>) -> Self {
        Self { inner: InProcess::alone(), trouble }
    }

    fn later(&self, after: Duration, publication: &Publication) {
        let (inner, publication) = (self.inner.clone(), publication.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(after).await;
            inner.publish(&publication);
        });
    }
}

impl Bus for FaultyBus {
    fn publish(&self, publication: &Publication) {
        match self.trouble.passage() {
            Passage::Through => self.inner.publish(publication),
            Passage::Lost => {}
            Passage::Late(after) => self.later(after, publication),
            Passage::Twice(after) => {
                self.inner.publish(publication);
                self.later(after, publication);
            }
        }
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        self.inner.subscribe(room, deliver)
    }

    fn me(&self) -> &Peer {
        self.inner.me()
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        self.inner.announce(topic, body);
    }

    fn hear(&self, hear: Hear) -> Subscription {
        self.inner.hear(hear)
    }

    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>> {
        self.inner.ask(to, question, within)
    }

    fn serve(&self, serve: Serve) -> Subscription {
        self.inner.serve(serve)
    }
}
