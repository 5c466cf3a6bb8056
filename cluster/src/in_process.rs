//! The bus of a single node, or of several in one process.

use crate::{
    NodeName, Peer,
    bus::{
        Answer, AskError, Asked, Bus, Deliver, Hear, Heard, Question, Serve, Subscription, Topic,
    },
    listeners::{self, HasListeners, Listeners},
};
use bytes::Bytes;
use dashmap::DashMap;
use futures_util::future::{BoxFuture, FutureExt};
use madang_protocol::{Publication, RoomId};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// One node's end of it. Subscribers are called on the publisher's thread; nothing is lost. Cloning
/// shares the end.
#[derive(Clone)]
pub struct InProcess {
    me: Peer,
    network: Arc<Network>,
}

#[derive(Default)]
struct Network {
    listeners: Listeners,
    serving: DashMap<NodeName, (u64, Arc<Serve>)>,
}

impl InProcess {
    /// A bus with this node alone.
    pub fn new(me: Peer) -> Self {
        Self { me, network: Arc::default() }
    }

    /// A bus for a node that nobody else will join.
    pub fn alone() -> Self {
        let name = NodeName::new("alone").expect("a usable name");
        Self::new(Peer { name, incarnation: 0 })
    }

    /// The end of another node, or of another life of one.
    pub fn join(&self, me: Peer) -> Self {
        Self { me, network: self.network.clone() }
    }
}

impl HasListeners for Network {
    fn listeners(&self) -> &Listeners {
        &self.listeners
    }
}

impl Bus for InProcess {
    fn publish(&self, publication: &Publication) {
        self.network.listeners.deliver(publication);
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        listeners::subscribe(&self.network, room, deliver)
    }

    fn me(&self) -> &Peer {
        &self.me
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        let from = self.me.clone();
        self.network.listeners.hear(&Heard::Said { from, topic, body });
    }

    fn hear(&self, hear: Hear) -> Subscription {
        listeners::hear(&self.network, hear)
    }

    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>> {
        let serve = self.network.serving.get(to).map(|serving| serving.1.clone());
        let Some(serve) = serve else {
            return async { Err(AskError::Unreachable) }.boxed();
        };
        let (answer, answered) = oneshot::channel();
        let answer: Answer = Box::new(move |body| drop(answer.send(body)));
        serve(Asked { from: self.me.clone(), question }, answer);
        async move {
            let answered = tokio::time::timeout(within, answered).await;
            answered.ok().and_then(Result::ok).ok_or(AskError::Unanswered)
        }
        .boxed()
    }

    fn serve(&self, serve: Serve) -> Subscription {
        let (network, number) = (self.network.clone(), self.network.listeners.number());
        let name = self.me.name.clone();
        network.serving.insert(name.clone(), (number, Arc::new(serve)));
        Subscription::new(move || {
            network.serving.remove_if(&name, |_, (other, _)| *other == number);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{self, Buses};

    struct InOneProcess;

    impl Buses for InOneProcess {
        type End = InProcess;

        async fn join(&self, peers: Vec<Peer>) -> Vec<InProcess> {
            let first = InProcess::alone();
            peers.into_iter().map(|peer| first.join(peer)).collect()
        }
    }

    #[tokio::test]
    async fn conforms() {
        conformance::conforms(&InOneProcess).await;
    }

    #[test]
    fn nothing_is_kept_of_rooms_without_subscribers() {
        let bus = InProcess::alone();
        drop(bus.subscribe(RoomId([1; 15]), Box::new(|_| {})));
        assert!(!bus.network.listeners.has_room(RoomId([1; 15])));
    }
}
