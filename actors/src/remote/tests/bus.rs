//! A bus between nodes that loses and repeats questions, and loses answers.

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use madang_cluster::{
    Bus, InProcess, NodeName, Peer, Subscription,
    bus::{Answer, AskError, Deliver, Hear, Question, Serve, Topic},
};
use madang_protocol::{Publication, RoomId};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One node's end of it.
pub(super) struct TestBus {
    pub(super) inner: InProcess,
    /// Of 100 questions, and of as many answers, this many are lost; as many come twice.
    pub(super) trouble: Arc<AtomicU64>,
}

impl TestBus {
    fn happens(&self) -> bool {
        fastrand::u64(..100) < self.trouble.load(Ordering::Relaxed)
    }
}

impl Bus for TestBus {
    fn publish(&self, publication: &Publication) {
        self.inner.publish(publication);
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
        let nothing = async move {
            tokio::time::sleep(within).await;
            Err(AskError::Unanswered)
        };
        if self.happens() {
            return nothing.boxed();
        }
        if self.happens() {
            drop(self.inner.ask(to, question.clone(), within));
        }
        let answer = self.inner.ask(to, question, within);
        if self.happens() {
            drop(answer);
            return nothing.boxed();
        }
        let delay = Duration::from_micros(fastrand::u64(100..3_000));
        async move {
            tokio::time::sleep(delay).await;
            answer.await
        }
        .boxed()
    }

    fn serve(&self, serve: Serve) -> Subscription {
        self.inner.serve(Box::new(move |asked, answer: Answer| serve(asked, answer)))
    }
}
