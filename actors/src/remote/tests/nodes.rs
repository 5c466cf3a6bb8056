//! Nodes without clients: rooms, lanes, and what serves others.

use super::bus::TestBus;
use crate::{
    Reader, Receipt, Router,
    batcher::{Connected, LastSeen, Online, ReadPositions},
    homes::{Home, Homes},
    hub::Hubs,
    kernel::{
        Arbiter, Clock, Exhausted, Strategy, Supervisor, arbiter::run_simulated, start_supervised,
    },
    metrics::Metrics,
    notices::Nobody,
    room::{Services, pending::Work},
    store_reader::{self, StoreReader},
    store_writer::{self, StoreWriter, Writers},
    switches::Switches,
};
use madang_cluster::{Bus, InProcess, NodeName, Peer, Subscription, View};
use madang_protocol::{
    ClientId, Heads, Message, Millis, Refusal, RoomId, RoomKind, SessionId, UserId,
    operation::Range,
};
use madang_store::{
    Options, Store,
    accounts::{NewSession, NewUser},
    faulty::{self, Call, Fate, Outcome, Share},
    rooms::NewRoom,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{task::LocalSet, time::Instant};

pub(super) const ROOM: RoomId = RoomId([9; 15]);
pub(super) const ANN: UserId = UserId([1; 15]);
pub(super) const BOB: UserId = UserId([2; 15]);
pub(super) const SEND_WAIT: Duration = Duration::from_secs(15);

/// Nodes on one store and one bus.
pub(super) struct Nodes {
    pub(super) nodes: Vec<Node>,
    pub(super) store: Store,
    /// See `TestBus`.
    pub(super) trouble: Arc<AtomicU64>,
    /// The store answers no question.
    pub(super) is_silent: Arc<AtomicBool>,
}

/// One of them.
pub(super) struct Node {
    pub(super) router: Router,
    pub(super) homes: Homes,
    /// Who has a connection to it.
    pub(super) connected: Connected,
    /// While it is held, others can ask the node.
    pub(super) serving: Option<Subscription>,
    peer: Peer,
}

/// Runs `test` with so many nodes that know each other.
pub(super) fn with_nodes<F: Future<Output = ()>>(
    seed: u64,
    count: usize,
    test: impl FnOnce(Nodes) -> F,
) {
    run_simulated(seed, async {
        let tasks = LocalSet::new();
        tasks
            .run_until(async {
                let nodes = Nodes::start(count).await;
                nodes.view(&(0..count).collect::<Vec<_>>());
                test(nodes).await;
            })
            .await;
    });
}

impl Nodes {
    async fn start(count: usize) -> Self {
        let trouble: Arc<AtomicU64> = Arc::default();
        let store = madang_store::in_process::open(&Options::in_directory("unused"));
        let users = [ANN, BOB].map(new_user).into();
        store.accounts.create_users(users).await.expect("a store");
        store.rooms.create(new_room()).await.expect("a store");
        let first = InProcess::new(peer(0));
        // What one node's calls come to grief by is nothing to the others.
        let is_silent: Arc<AtomicBool> = Arc::default();
        let slow = || Slow { trouble: trouble.clone(), is_silent: is_silent.clone() };
        let of_node = || faulty::around(store.clone(), Arc::new(slow()));
        let start = |place| Node::start(&of_node(), first.join(peer(place)), &trouble);
        let nodes = (0..count).map(start).collect();
        Self { nodes, store, trouble, is_silent }
    }

    /// From now on these see each other, and the rest sees nobody.
    pub(super) fn view(&self, there: &[usize]) {
        let view = View::new(there.iter().map(|place| self.nodes[*place].peer.clone()));
        for (place, node) in self.nodes.iter().enumerate() {
            let is_there = there.contains(&place);
            node.homes.update(if is_there { view.clone() } else { View::default() });
        }
    }

    /// The place of the room's home, as the first node that is anybody's sees it.
    pub(super) fn home(&self) -> usize {
        let is_home = |node: &Node| node.homes.home(ROOM) == Home::Here;
        self.nodes.iter().position(is_home).expect("somebody's home")
    }

    /// Any that is not the home.
    pub(super) fn other(&self) -> usize {
        (self.home() + 1) % self.nodes.len()
    }

    /// Everything in the room, in order.
    pub(super) async fn log(&self) -> Vec<Arc<Message>> {
        let page = self.store.log.page(ROOM, Range::After(0), 100_000, usize::MAX).await;
        page.expect("a store").messages
    }
}

impl Node {
    fn start(store: &Store, bus: InProcess, trouble: &Arc<AtomicU64>) -> Self {
        let peer = bus.me().clone();
        let metrics = Arc::new(Metrics::new());
        let root = Supervisor::root(metrics.clone(), |cause| panic!("gave up: {cause}"));
        let tree = root.subtree("store", Strategy::RestForOne, metrics.clone());
        let (arbiter, log) = (Arbiter::here(), store.log.clone());
        let bound = store_writer::INBOX_BOUND;
        let writer = start_supervised(&arbiter, bound, &tree, Exhausted::Escalate, move |_| {
            StoreWriter::new(log.clone())
        });
        let connected = Connected::new(LastSeen::off());
        let reader = reader(store, &tree, &metrics, connected.clone());
        let homes = Homes::joining(peer.clone());
        let services = Arc::new(Services {
            reader,
            writers: Writers::new(vec![writer]),
            rooms: store.rooms.clone(),
            bus: Arc::new(TestBus { inner: bus, trouble: trouble.clone() }),
            clock: Clock::following_runtime(1_000),
            metrics: metrics.clone(),
            switches: Arc::new(Switches::default()),
            homes: homes.clone(),
            notices: Nobody::shared(),
        });
        let rooms = root.subtree("rooms", Strategy::OneForOne, metrics);
        let router = Router::new(vec![arbiter], rooms, services, Hubs::new(Vec::new()), SEND_WAIT);
        let serving = Some(router.serve());
        hear_oneself(homes.clone());
        Self { router, homes, connected, serving, peer }
    }

    pub(super) async fn send(&self, sender: UserId, name: &str) -> Result<Receipt, Refusal> {
        let client_id = ClientId::new(name).expect("short");
        let send = madang_protocol::operation::Send {
            room: ROOM,
            client_id,
            body: name.into(),
            reply_to: None,
        };
        self.router.send(sender, send).await
    }

    pub(super) async fn ask(&self, sender: UserId, work: Work) -> Result<Receipt, Refusal> {
        let (reply, answer) = crate::kernel::Reply::channel();
        self.router.submit(sender, ROOM, work, reply);
        answer.await.expect("an answer").expect("no fault")
    }

    pub(super) async fn heads_at(&self, home: &Node, known: Heads) -> Option<Heads> {
        let told = self.router.ask_heads(home.peer.clone(), vec![(ROOM, known)]).await;
        told.first().map(|(_, heads)| *heads)
    }
}

/// A store that takes its time; of appends some are answered "unknown", and written, in part or
/// later.
struct Slow {
    trouble: Arc<AtomicU64>,
    is_silent: Arc<AtomicBool>,
}

impl faulty::Script for Slow {
    fn fate(&self, call: Call) -> Fate {
        let millis = |max: u64| Duration::from_micros(fastrand::u64(..max * 1_000));
        let is_lost = call == Call::Append && fastrand::u64(..100) < self.trouble.load(Relaxed);
        let outcome = if is_lost {
            let rest = fastrand::bool().then(|| millis(700));
            Outcome::Unknown { done: Share(fastrand::u8(..)), told: Share(0), rest }
        } else if call == Call::Read && self.is_silent.load(Relaxed) {
            Outcome::Refused { done: Share(0) }
        } else {
            Outcome::Done
        };
        Fate { before: millis(10), outcome, after: millis(10) }
    }

    fn took_effect(&self, _effect: faulty::Effect<'_>) {}
}

/// As long as its view is not empty.
fn hear_oneself(homes: Homes) {
    tokio::task::spawn_local(async move {
        loop {
            if !homes.view().nodes().is_empty() {
                homes.heard_myself(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
}

fn reader(
    store: &Store,
    tree: &Supervisor,
    metrics: &Arc<Metrics>,
    connected: Connected,
) -> Reader {
    let (of_actor, metrics) = (store.clone(), metrics.clone());
    let bound = store_reader::INBOX_BOUND;
    let actor = start_supervised(&Arbiter::here(), bound, tree, Exhausted::Escalate, move |_| {
        StoreReader::new(of_actor.clone(), metrics.clone())
    });
    let leases = Arc::new(madang_store::presence::InProcess::new());
    let online = Online::new(connected, leases);
    Reader::new(actor, Duration::from_secs(5), ReadPositions::new(), online, LastSeen::off())
}

fn peer(place: usize) -> Peer {
    let name = NodeName::new(&format!("node-{place}")).expect("a usable name");
    Peer { name, incarnation: place as u64 + 1 }
}

fn new_user(user: UserId) -> NewUser {
    let name = user.to_string();
    NewUser {
        user,
        username: name.clone(),
        username_folded: name.clone(),
        display_name: name,
        password_hash: None,
        created_at: 1,
        session: NewSession {
            session: SessionId(user.0),
            user,
            token_hash: [user.0[0]; 32],
            created_at: 1,
            expires_at: Millis::MAX,
            address: None,
        },
    }
}

fn new_room() -> NewRoom {
    NewRoom {
        room: ROOM,
        kind: RoomKind::Group,
        name: Some("room".to_owned()),
        private: false,
        creator: ANN,
        members: vec![BOB],
        client_id: None,
        created_at: 1,
    }
}
