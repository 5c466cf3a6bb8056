//! One life of a node: its own parts, put together as the node itself does, in one thread.
//!
//! Everything it runs is in one group of tasks. A node that is killed is a group that is dropped:
//! nothing of it does anything any more, whatever was under way.

use super::{
    bus::{Network, NodeBus},
    gate::Gate,
    ground::Ground,
    link::{Cable, ClientEnd, link},
    observation::{Observation, Recorder},
    settings::Settings,
};
use madang_actors::{
    Reader, Receipt, Router,
    batcher::{
        self, Batcher, BatcherMessage, BatcherServices, Connected, LastSeen, Online, ReadPositions,
    },
    connection::{self, Authentication, Authenticator, ConnectionServices, Speech},
    homes::Homes,
    hub::{self, HubMessage, Hubs, Identity, LocalHub},
    kernel::{
        Address, Arbiter, Clock, Exhausted, Reply, Strategy, Supervisor, start_supervised,
        supervisor::tree::Tree,
    },
    membership::{self, Membership, MembershipServices, Terms},
    metrics::Metrics,
    notices,
    noticing::{self, Noticing, NoticingServices},
    room::Services,
    session_check::{self, SessionCheck, SessionCheckServices},
    store_reader::{self, StoreReader},
    store_writer::{self, StoreWriter, Writers},
    switches::Switches,
};
use madang_cluster::{Bus, NodeName, Peer, Subscription};
use madang_protocol::{Refusal, Role, RoomId, SessionId, UserId, codec::Codec, operation};
use madang_store::{PresenceStore, Store, presence::NodeLife, rooms::RoomChange};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, LocalSet},
    time::Instant,
};

/// Hubs, and arbiters of rooms: more than one, all on this thread.
const ARBITERS: usize = 2;
/// Wall-clock time when a world begins.
const EPOCH: u64 = 1_700_000_000_000;

thread_local! {
    /// The hubs of lives that are being started, by incarnation; they never leave their thread.
    static HUBS: RefCell<BTreeMap<u64, Vec<LocalHub>>> = const { RefCell::new(BTreeMap::new()) };
}

/// A running node.
pub(super) struct NodeLifetime {
    /// Which of the world's nodes.
    number: usize,
    me: Peer,
    tasks: Rc<LocalSet>,
    driver: JoinHandle<()>,
    gate: Gate,
    network: Network,
    root: Supervisor,
    router: Router,
    hubs: Hubs,
    local_hubs: Vec<LocalHub>,
    services: Rc<ConnectionServices>,
    batcher: Address<BatcherMessage>,
    store: Store,
    /// `None`: it is alone.
    cluster: Option<Cluster>,
    cables: RefCell<Vec<Cable>>,
    open: Rc<Cell<usize>>,
    recorder: Arc<Recorder>,
}

/// What makes it one of several; ends when dropped.
struct Cluster {
    membership: Membership,
    _noticing: Noticing,
    _serving: Subscription,
    _hearing: Subscription,
}

/// The shared parts of a node while it is being put together.
struct Parts {
    metrics: Arc<Metrics>,
    positions: ReadPositions,
    last_seen: LastSeen,
    connected: Connected,
    leases: Arc<dyn PresenceStore>,
    store: Store,
    root: Supervisor,
    settings: Settings,
    clock: Clock,
    bus: NodeBus,
}

impl NodeLifetime {
    /// Starts a life of a node.
    pub(super) async fn start(ground: &Ground, number: usize) -> Self {
        let (tasks, gate) = (Rc::new(LocalSet::new()), Gate::default());
        let (driven, through) = (tasks.clone(), gate.clone());
        let driver = tokio::task::spawn_local(async move {
            through.let_through(driven.run_until(std::future::pending::<()>())).await;
        });
        let mut node = {
            let _inside = tasks.enter();
            Self::put_together(tasks.clone(), driver, gate, ground, number)
        };
        let life = node.me.incarnation;
        while HUBS.with_borrow(|hubs| hubs.get(&life).map_or(0, Vec::len)) < ARBITERS {
            tokio::task::yield_now().await;
        }
        node.local_hubs = HUBS.with_borrow_mut(|hubs| hubs.remove(&life)).unwrap_or_default();
        ground.recorder.note(Observation::Started(number));
        node
    }

    /// As `Node::start` of the node itself does.
    fn put_together(
        tasks: Rc<LocalSet>,
        driver: JoinHandle<()>,
        gate: Gate,
        ground: &Ground,
        number: usize,
    ) -> Self {
        let Ground { settings, recorder, trouble, .. } = ground;
        let metrics = Arc::new(Metrics::new());
        let told = recorder.clone();
        let give_up = move |cause: &str| told.note(Observation::GaveUp(number, cause.to_owned()));
        let skew_ms = trouble.together().map_or(0, |together| together.skews_ms[number]);
        let clock = Clock::following_runtime(EPOCH + skew_ms);
        let name = NodeName::new(&format!("node-{number}")).expect("a usable name");
        let me = Peer { name, incarnation: fastrand::u64(..) };
        let last_seen = LastSeen::new(clock.clone());
        let parts = Parts {
            root: Supervisor::root(metrics.clone(), give_up),
            metrics,
            positions: ReadPositions::new(),
            connected: Connected::new(last_seen.clone()),
            last_seen,
            leases: ground.leases(),
            store: ground.store_of(number),
            settings: settings.clone(),
            clock,
            bus: ground.network.join(number, me.clone(), gate.clone()),
        };
        let (reader, writer) = parts.start_store();
        let hubs = parts.start_hubs();
        let bus: Arc<dyn Bus> = Arc::new(parts.bus.clone());
        let is_together = trouble.together().is_some();
        let homes = if is_together { Homes::joining(me.clone()) } else { Homes::alone(me.clone()) };
        let services = Arc::new(Services {
            reader: reader.clone(),
            writers: Writers::new(vec![writer]),
            rooms: parts.store.rooms.clone(),
            bus: bus.clone(),
            clock: parts.clock.clone(),
            metrics: parts.metrics.clone(),
            switches: Arc::new(Switches::default()),
            homes: homes.clone(),
            notices: if is_together {
                Arc::new(notices::OverBus::new(Arc::new(parts.bus.clone())))
            } else {
                notices::Nobody::shared()
            },
        });
        let rooms = parts.root.subtree("rooms", Strategy::OneForOne, parts.metrics.clone());
        let arbiters = vec![Arbiter::here(); ARBITERS];
        let router = Router::new(arbiters, rooms, services, hubs.clone(), settings.send_wait);
        let batcher = parts.start_batcher(&router);
        parts.start_session_check(&router);
        let cluster = is_together.then(|| parts.join(&bus, homes, &router, recorder, number));
        let services = Rc::new(ConnectionServices {
            router: router.clone(),
            reader,
            authenticator: Box::new(Tokens),
            limits: settings.connection.clone(),
            clock: parts.clock.clone(),
            node: "simulated".into(),
            metrics: parts.metrics.clone(),
            started: Instant::now(),
        });
        Self {
            number,
            me,
            tasks,
            driver,
            gate,
            network: ground.network.clone(),
            root: parts.root,
            router,
            hubs,
            local_hubs: Vec::new(),
            services,
            batcher,
            store: parts.store,
            cluster,
            cables: RefCell::default(),
            open: Rc::default(),
            recorder: recorder.clone(),
        }
    }

    /// Takes a client in.
    pub(super) fn connect(&self) -> ClientEnd {
        let (client, writes, reads, cable) = link();
        let _inside = self.tasks.enter();
        let mut cables = self.cables.borrow_mut();
        let hub = self.local_hubs[cables.len() % ARBITERS].clone();
        cables.push(cable);
        let lease = Box::new(Lease::take(&self.open));
        let speech = Speech::Protocol(Codec::Json);
        let (services, writes) = (self.services.clone(), Rc::new(writes));
        connection::start(services, hub, writes, Box::new(reads), speech, None, lease);
        client
    }

    /// Changes a room as HTTP does. No answer: the node died on the way.
    pub(super) fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
    ) -> oneshot::Receiver<Result<Option<Role>, Refusal>> {
        let (router, (tell, told)) = (self.router.clone(), oneshot::channel());
        self.tasks.spawn_local(async move {
            let _ = tell.send(router.change(room, by, change).await);
        });
        told
    }

    /// Posts a message as HTTP does.
    pub(super) fn send(
        &self,
        sender: UserId,
        send: operation::Send,
    ) -> oneshot::Receiver<Result<Receipt, Refusal>> {
        let (router, (tell, told)) = (self.router.clone(), oneshot::channel());
        self.tasks.spawn_local(async move {
            let _ = tell.send(router.send(sender, send).await);
        });
        told
    }

    /// The tree of its actors.
    pub(super) fn tree(&self) -> Tree {
        self.root.tree()
    }

    /// Its actors are gone at once, with all they knew.
    pub(super) fn kill(self) {
        self.recorder.note(Observation::Killed(self.number));
        self.end();
    }

    /// Ends it in order, as the node itself does: everybody told, everything written.
    pub(super) async fn drain(self, whole: Duration) {
        self.recorder.note(Observation::Draining(self.number));
        let deadline = Instant::now() + whole.mul_f64(0.8);
        let within = whole.mul_f64(0.6);
        if let Some(Cluster { membership, .. }) = &self.cluster {
            membership.drain();
            self.router.hand_over_all(Instant::now() + whole.mul_f64(0.2)).await;
        }
        self.hubs.tell_all(|| HubMessage::Goaway(within));
        while self.open.get() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (reply, answer) = Reply::channel();
        self.batcher.urge(BatcherMessage::Drain(reply));
        let is_written = tokio::time::timeout(whole.mul_f64(0.075), answer).await;
        if let Some(Cluster { membership, .. }) = &self.cluster {
            let _ = tokio::time::timeout(whole.mul_f64(0.02), membership.leave()).await;
        }
        self.store.control.close().await;
        if matches!(is_written, Ok(Ok(Ok(())))) {
            self.recorder.note(Observation::Drained(self.number));
        } else {
            self.recorder.note(Observation::Killed(self.number)); // by its own deadline
        }
        self.end();
    }

    /// It stands still from the next message on that comes from another node, or goes on.
    pub(super) fn pause(&self, pauses: bool) {
        self.recorder.note(Observation::Paused(self.number, pauses));
        if pauses {
            self.gate.close_at_next_parcel();
        } else {
            self.gate.open();
        }
    }

    fn end(self) {
        self.network.leave(&self.me);
        for cable in self.cables.take() {
            cable.cut();
        }
        self.driver.abort();
    }
}

impl Parts {
    fn start_store(&self) -> (Reader, Address<store_writer::Append>) {
        let tree = self.root.subtree("store", Strategy::RestForOne, self.metrics.clone());
        let (arbiter, log) = (Arbiter::here(), self.store.log.clone());
        let bound = store_writer::INBOX_BOUND;
        let writer = start_supervised(&arbiter, bound, &tree, Exhausted::Escalate, move |_| {
            StoreWriter::new(log.clone())
        });
        let (store, metrics) = (self.store.clone(), self.metrics.clone());
        let bound = store_reader::INBOX_BOUND;
        let reader = start_supervised(&arbiter, bound, &tree, Exhausted::Escalate, move |_| {
            StoreReader::new(store.clone(), metrics.clone())
        });
        let online = Online::new(self.connected.clone(), self.leases.clone());
        let wait = self.settings.read_wait;
        let (positions, last_seen) = (self.positions.clone(), self.last_seen.clone());
        (Reader::new(reader, wait, positions, online, last_seen), writer)
    }

    fn start_hubs(&self) -> Hubs {
        let start = |index| {
            let life = self.bus.me().incarnation;
            let keep = move |hub: LocalHub| {
                HUBS.with_borrow_mut(|hubs| hubs.entry(life).or_default().push(hub));
            };
            let (metrics, connected) = (self.metrics.clone(), self.connected.clone());
            let (arbiter, limits) = (Arbiter::here(), self.settings.hub);
            hub::start(&arbiter, &self.root, index, limits, metrics, connected, keep)
        };
        Hubs::new((0..ARBITERS).map(start).collect())
    }

    fn start_batcher(&self, router: &Router) -> Address<BatcherMessage> {
        let services = Arc::new(BatcherServices {
            positions: self.positions.clone(),
            connected: self.connected.clone(),
            last_seen: self.last_seen.clone(),
            accounts: self.store.accounts.clone(),
            last_seen_flush: Some(Duration::from_secs(10)),
            session_lifetime_ms: 30 * 24 * 60 * 60 * 1_000,
            receipts: self.store.receipts.clone(),
            rooms: self.store.rooms.clone(),
            leases: self.leases.clone(),
            life: NodeLife {
                node: self.bus.me().name.to_string(),
                incarnation: self.bus.me().incarnation,
            },
            router: router.clone(),
            receipt_flush: self.settings.receipt_flush,
            presence_members_max: self.settings.connection.presence_members_max as u64,
        });
        let bound = batcher::INBOX_BOUND;
        let build = move |_: &Address<BatcherMessage>| Batcher::new(services.clone());
        start_supervised(&Arbiter::here(), bound, &self.root, Exhausted::Escalate, build)
    }

    /// It becomes one of several.
    fn join(
        &self,
        bus: &Arc<dyn Bus>,
        homes: Homes,
        router: &Router,
        recorder: &Arc<Recorder>,
        number: usize,
    ) -> Cluster {
        let told = recorder.clone();
        let give_up = move |why: &str| told.note(Observation::GaveUp(number, why.to_owned()));
        let services = MembershipServices {
            bus: bus.clone(),
            homes: homes.clone(),
            terms: Terms::default(),
            version: "simulated".into(),
            began: Instant::now(),
            metrics: self.metrics.clone(),
            give_up: Box::new(give_up),
        };
        let membership = membership::start(&Arbiter::here(), &self.root, services);
        let services = NoticingServices {
            homes,
            readers: Arc::new(router.clone()),
            log: self.store.log.clone(),
            metrics: self.metrics.clone(),
        };
        Cluster {
            membership,
            _noticing: noticing::start(&Arbiter::here(), &self.root, &**bus, services),
            _serving: router.serve(),
            _hearing: notices::heed(bus, self.metrics.clone(), notices::Local::new(router.clone())),
        }
    }

    fn start_session_check(&self, router: &Router) {
        let services = Arc::new(SessionCheckServices {
            router: router.clone(),
            accounts: self.store.accounts.clone(),
            clock: self.clock.clone(),
            every: Duration::from_secs(10),
        });
        let bound = session_check::INBOX_BOUND;
        let build = move |_: &Address<_>| SessionCheck::new(services.clone());
        start_supervised(&Arbiter::here(), bound, &self.root, Exhausted::Escalate, build);
    }
}

/// A token is the id of its user.
struct Tokens;

impl Authenticator for Tokens {
    fn authenticate(&self, token: Box<str>) -> Authentication {
        let user = token.parse::<UserId>().ok();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_micros(500)).await;
            Ok(user.map(|user| Identity { user, session: SessionId(user.0) }))
        })
    }
}

/// Counts a connection while its actor lives.
struct Lease(Rc<Cell<usize>>);

impl Lease {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(open.clone())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
