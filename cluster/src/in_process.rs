//! The bus of a single node, or of several in one process.

use crate::{
    NodeName, Peer,
    bus::{
        Answer, AskError, Asked, Bus, Deliver, Hear, Heard, Question, Serve, Subscription, Topic,
    },
};
use bytes::Bytes;
use dashmap::DashMap;
use futures_util::future::{BoxFuture, FutureExt};
use madang_protocol::{Publication, RoomId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
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
    rooms: DashMap<RoomId, Vec<(u64, Deliver)>>,
    /// In the order they came, so that a simulated world repeats itself.
    hearing: Mutex<BTreeMap<u64, Arc<Hear>>>,
    serving: DashMap<NodeName, (u64, Arc<Serve>)>,
    next: AtomicU64,
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

impl Network {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn hearing(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Hear>>> {
        self.hearing.lock().expect("nothing panics holding it")
    }
}

impl Bus for InProcess {
    fn publish(&self, publication: &Publication) {
        if let Some(subscribers) = self.network.rooms.get(&publication.room()) {
            for (_, deliver) in subscribers.iter() {
                deliver(publication);
            }
        }
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        let (network, number) = (self.network.clone(), self.network.number());
        network.rooms.entry(room).or_default().push((number, deliver));
        Subscription::new(move || {
            if let Some(mut of_room) = network.rooms.get_mut(&room) {
                of_room.retain(|(other, _)| *other != number);
            }
            network.rooms.remove_if(&room, |_, of_room| of_room.is_empty());
        })
    }

    fn me(&self) -> &Peer {
        &self.me
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        let hearing: Vec<Arc<Hear>> = self.network.hearing().values().cloned().collect();
        for hear in hearing {
            hear(Heard::Said { from: self.me.clone(), topic, body: body.clone() });
        }
    }

    fn hear(&self, hear: Hear) -> Subscription {
        let (network, number) = (self.network.clone(), self.network.number());
        network.hearing().insert(number, Arc::new(hear));
        Subscription::new(move || drop(network.hearing().remove(&number)))
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
        let (network, number) = (self.network.clone(), self.network.number());
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
    use crate::conformance;

    #[test]
    fn conforms() {
        conformance::reaches_subscribers_until_they_end(&InProcess::alone());
        conformance::ephemerals_go_the_same_way(&InProcess::alone());
        conformance::nothing_is_kept_for_later_subscribers(&InProcess::alone());
        conformance::one_that_ends_leaves_the_others(&InProcess::alone());
    }

    #[test]
    fn nothing_is_kept_of_rooms_without_subscribers() {
        let bus = InProcess::alone();
        drop(bus.subscribe(RoomId([1; 15]), Box::new(|_| {})));
        assert!(bus.network.rooms.is_empty());
    }
}
