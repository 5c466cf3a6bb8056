//! A bus that loses, repeats, delays and so reorders, on each way between two nodes by itself.
//!
//! What is for another node is a parcel: it lies in that node's inbox until the node's own tasks
//! take it, so a node that stands still finds it later, and one that is dead never.

use super::{gate::Gate, outside::Outside, trouble::Trouble};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use madang_cluster::{
    Bus, NodeName, Peer, Subscription,
    bus::{Answer, AskError, Asked, Deliver, Hear, Heard, Question, Serve, Topic},
};
use madang_protocol::{Publication, RoomId};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, oneshot};

/// What becomes of a parcel.
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

/// A way between two nodes, when all is well.
const WAY: Duration = Duration::from_micros(200);

/// All nodes there are. Cloning shares it.
#[derive(Clone)]
pub(super) struct Network {
    nodes: Arc<Mutex<BTreeMap<NodeName, Arc<Node>>>>,
    trouble: Arc<Trouble>,
    outside: Outside,
}

/// A node as the network knows it.
struct Node {
    me: Peer,
    /// Which of the world's nodes it is a life of.
    number: usize,
    inbox: Mutex<VecDeque<Parcel>>,
    bell: Notify,
    gate: Gate,
    ends: Mutex<Ends>,
}

/// Who listens in a node, in the order they came.
#[derive(Default)]
struct Ends {
    next: u64,
    rooms: BTreeMap<RoomId, BTreeMap<u64, Arc<Deliver>>>,
    hearing: BTreeMap<u64, Arc<Hear>>,
    serving: Option<(u64, Arc<Serve>)>,
}

/// Something for a node.
#[derive(Clone)]
enum Parcel {
    Publication(Publication),
    Heard(Heard),
    Asked(Asked, Way),
}

/// The way back to one who asked. What comes first is the answer.
#[derive(Clone)]
struct Way {
    network: Network,
    from: usize,
    to: usize,
    answer: Arc<Mutex<Option<oneshot::Sender<Bytes>>>>,
}

impl Network {
    pub(super) fn new(trouble: Arc<Trouble>, outside: Outside) -> Self {
        Self { nodes: Arc::default(), trouble, outside }
    }

    /// A life of a node begins. Call it among its tasks, which take what comes.
    pub(super) fn join(&self, number: usize, me: Peer, gate: Gate) -> NodeBus {
        let (inbox, bell, ends) = (Mutex::default(), Notify::new(), Mutex::default());
        let node = Arc::new(Node { me: me.clone(), number, inbox, bell, gate, ends });
        self.nodes().insert(me.name, node.clone());
        let taker = node.clone();
        tokio::task::spawn_local(async move {
            loop {
                while let Some(parcel) = taker.next() {
                    taker.take(&parcel);
                }
                taker.bell.notified().await;
            }
        });
        NodeBus { node, network: self.clone() }
    }

    /// This life of a node is over.
    pub(super) fn leave(&self, me: &Peer) {
        let mut nodes = self.nodes();
        if nodes.get(&me.name).is_some_and(|node| node.me == *me) {
            nodes.remove(&me.name);
        }
    }

    /// A node that was cut off is told that it may have missed something.
    pub(super) fn reconnected(&self, number: usize) {
        let nodes: Vec<Arc<Node>> = self.nodes().values().cloned().collect();
        for node in nodes.iter().filter(|node| node.number == number) {
            node.put(Parcel::Heard(Heard::Gap));
        }
    }

    /// On its way, if there is one.
    fn send(&self, from: usize, to: &Arc<Node>, parcel: Parcel) {
        let put = |after: Duration, parcel: Parcel| {
            let to = to.clone();
            self.outside.later(after, move || to.put(parcel));
        };
        match self.trouble.passage(from, to.number) {
            Passage::Through => put(WAY, parcel),
            Passage::Lost => {}
            Passage::Late(after) => put(after, parcel),
            Passage::Twice(after) => {
                put(WAY, parcel.clone());
                put(after, parcel);
            }
        }
    }

    fn others(&self, me: &Node) -> Vec<Arc<Node>> {
        self.nodes().values().filter(|node| node.number != me.number).cloned().collect()
    }

    fn node(&self, name: &NodeName) -> Option<Arc<Node>> {
        self.nodes().get(name).cloned()
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<NodeName, Arc<Node>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    fn put(&self, parcel: Parcel) {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(parcel);
        self.bell.notify_one();
        self.gate.parcel_came();
    }

    fn next(&self) -> Option<Parcel> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn take(&self, parcel: &Parcel) {
        match parcel {
            Parcel::Publication(publication) => {
                let ends = self.ends().rooms.get(&publication.room()).cloned();
                ends.iter().flat_map(BTreeMap::values).for_each(|deliver| deliver(publication));
            }
            Parcel::Heard(heard) => {
                let hearing = self.ends().hearing.clone();
                hearing.values().for_each(|hear| hear(heard.clone()));
            }
            Parcel::Asked(asked, way) => {
                let serving = self.ends().serving.clone();
                if let Some((_, serve)) = serving {
                    serve(asked.clone(), way.clone().into_answer());
                }
            }
        }
    }

    fn ends(&self) -> MutexGuard<'_, Ends> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one who listens; it goes when the subscription is dropped.
    fn add(
        self: &Arc<Self>,
        add: impl FnOnce(&mut Ends, u64),
        remove: impl FnOnce(&mut Ends, u64) + Send + Sync + 'static,
    ) -> Subscription {
        let mut ends = self.ends();
        ends.next += 1;
        let number = ends.next;
        add(&mut ends, number);
        let node = self.clone();
        Subscription::new(move || remove(&mut node.ends(), number))
    }
}

impl Way {
    fn into_answer(self) -> Answer {
        Box::new(move |body| {
            let Self { network, from, to, answer } = self;
            let give = move || {
                let waits = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waits) = waits {
                    let _ = waits.send(body); // one who waits no more hears nothing
                }
            };
            match network.trouble.passage(from, to) {
                Passage::Lost => {}
                Passage::Late(after) => network.outside.later(after, give),
                Passage::Through | Passage::Twice(_) => network.outside.later(WAY, give),
            }
        })
    }
}

/// A node's end.
#[derive(Clone)]
pub(super) struct NodeBus {
    node: Arc<Node>,
    network: Network,
}

impl Bus for NodeBus {
    fn publish(&self, publication: &Publication) {
        let parcel = Parcel::Publication(publication.clone());
        let later = |after: Duration| {
            let (node, parcel) = (self.node.clone(), parcel.clone());
            self.network.outside.later(after, move || node.put(parcel));
        };
        // The node's own readers hear it also when no other node can be reached.
        match self.network.trouble.chance() {
            Passage::Through => self.node.take(&parcel),
            Passage::Lost => {}
            Passage::Late(after) => later(after),
            Passage::Twice(after) => {
                self.node.take(&parcel);
                later(after);
            }
        }
        for other in self.network.others(&self.node) {
            self.network.send(self.node.number, &other, parcel.clone());
        }
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        let deliver = Arc::new(deliver);
        self.node.add(
            |ends, number| drop(ends.rooms.entry(room).or_default().insert(number, deliver)),
            move |ends, number| {
                if let Some(of_room) = ends.rooms.get_mut(&room) {
                    of_room.remove(&number);
                }
            },
        )
    }

    fn me(&self) -> &Peer {
        &self.node.me
    }

    fn announce(&self, topic: Topic, body: Bytes) {
        let parcel = Parcel::Heard(Heard::Said { from: self.node.me.clone(), topic, body });
        self.network.send(self.node.number, &self.node, parcel.clone());
        for other in self.network.others(&self.node) {
            self.network.send(self.node.number, &other, parcel.clone());
        }
    }

    fn hear(&self, hear: Hear) -> Subscription {
        let hear = Arc::new(hear);
        self.node.add(
            |ends, number| drop(ends.hearing.insert(number, hear)),
            |ends, number| drop(ends.hearing.remove(&number)),
        )
    }

    fn ask(
        &self,
        to: &NodeName,
        question: Question,
        within: Duration,
    ) -> BoxFuture<'static, Result<Bytes, AskError>> {
        let (network, from) = (self.network.clone(), self.node.number);
        let Some(node) = network.node(to).filter(|_| !network.trouble.is_cut_from_bus(from)) else {
            return async { Err(AskError::Unreachable) }.boxed();
        };
        let (answer, answered) = oneshot::channel();
        let answer = Arc::new(Mutex::new(Some(answer)));
        let way = Way { network: network.clone(), from: node.number, to: from, answer };
        let asked = Asked { from: self.node.me.clone(), question };
        network.send(from, &node, Parcel::Asked(asked, way));
        async move {
            // What is lost on the way is told to nobody: only time tells.
            let answered = async {
                match answered.await {
                    Ok(body) => body,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::time::timeout(within, answered).await.map_err(|_| AskError::Unanswered)
        }
        .boxed()
    }

    fn serve(&self, serve: Serve) -> Subscription {
        let serve = Arc::new(serve);
        self.node.add(
            |ends, number| ends.serving = Some((number, serve)),
            |ends, number| {
                ends.serving.take_if(|(serving, _)| *serving == number);
            },
        )
    }
}
