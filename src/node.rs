//! One node, put together: the one place where actors are started, which reads like the tree.
//!
//! ```text
//! root                      gives up: exit 70
//! |- store                  rest for one, on the store arbiters
//! |  |- store_writer, several on MongoDB
//! |  `- store_reader
//! |- hub, one per edge arbiter, with the connections beside it
//! |- batcher                on a store arbiter, and so is
//! |- session_check
//! `- rooms                  one for one, on the edge arbiters
//!    |- room, audience
//!    `- ...
//! ```

mod error;

pub use error::StartError;

use crate::{
    accounts::{self, Accounts, BearerTokens, Hasher},
    admin::Admin,
    clustered::{self, Clustered},
    config::{Settings, or_unlimited},
    drain,
    edge::{
        accept::{self, Edge, EdgeThread},
        capacity::Capacity,
        descriptors,
        http::{self, HttpContext, Surface},
        listeners::Listeners,
        origin::Origins,
        tls::{Acceptors, Tls},
    },
    gathered::Gathered,
    memory, metrics,
    neighbours::Registration,
    observability::{Page, Recorder, Sources},
    surroundings,
};
use madang_actors::{
    Reader, Router,
    batcher::BatcherMessage,
    connection::{ConnectionLimits, ConnectionServices},
    hub::{self, HubLimits, HubMessage, Hubs, LocalHub},
    kernel::{
        Address, Arbiter, Arbiters, Clock, Exhausted, Reply, Strategy, Supervisor, start_supervised,
    },
    metrics::Metrics,
    room::Services,
    session_check::{self, SessionCheck, SessionCheckServices},
    store_reader::{self, StoreReader},
    store_writer::{self, StoreWriter, Writers},
    switches::Switches,
};
use madang_protocol::limits::ANSWER_BYTES_MAX;
use madang_resilience::{Health, State};
use madang_store::{LoginLimits, Store, presence::NodeLife};
use std::{
    ffi::CString,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::Instant,
};

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// Asked to, with everybody told and everything written.
    Drained,
    /// Asked to twice.
    AtOnce,
    /// A part of it could not be kept up.
    GaveUp(String),
}

/// Runs a node on this thread until it ends. `ready` is called with it once it listens.
pub fn run(settings: Settings, ready: impl FnOnce(&Node)) -> Result<Ended, StartError> {
    madang_actors::kernel::arbiter::run_system(async move {
        let mut node = Box::pin(Node::start(settings)).await?;
        let admin = node.admin.map(tracing::field::display);
        tracing::info!(address = %node.address, admin, tls = node.settings.has_tls(), "listening");
        ready(&node);
        Ok(drain::until_ended(&mut node).await)
    })
}

/// A running node. Dropping it ends its threads.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where operators come.
    pub admin: Option<SocketAddr>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) health: Health,
    pub(crate) capacity: Capacity,
    pub(crate) hubs: Hubs,
    pub(crate) batcher: Address<BatcherMessage>,
    pub(crate) store: Store,
    /// Its part in a cluster, unless it is alone.
    pub(crate) cluster: Option<Clustered>,
    pub(crate) registration: Registration,
    /// True: accept no more.
    pub(crate) stopping: watch::Sender<bool>,
    /// Monitoring and operators are answered for as long as this is held.
    _monitoring: watch::Sender<bool>,
    /// An operator wants it to drain.
    pub(crate) drain_wishes: mpsc::Receiver<()>,
    /// Why the root gave up.
    pub(crate) gave_up: mpsc::Receiver<String>,
    _threads: [Arbiters; 3],
}

/// What an edge thread needs to begin, once everything else is there.
struct EdgeParts {
    listeners: Vec<(TcpListener, HttpContext)>,
    router: Router,
    reader: Reader,
    limits: ConnectionLimits,
    name: String,
    metrics: Arc<Metrics>,
    capacity: Capacity,
    tls: Option<Acceptors>,
    stopping: watch::Receiver<bool>,
    monitoring: watch::Receiver<bool>,
}

/// Connections of the address for monitoring, and of that for operators. They are counted apart: a
/// drain does not wait for them.
const MONITORING_CONNECTIONS_MAX: usize = 64;

impl Node {
    /// Starts everything; inside `run_system`.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let (settings, clock) = (Arc::new(settings), Clock::system());
        let tls = Tls::load(&settings)?;
        let listeners = Listeners::bind(&settings)?;
        let recorder = Recorder::new();
        let metrics = recorder.with(|| Arc::new(Metrics::new()));
        let start = |name, count| start_threads(name, count).map_err(StartError::Thread);
        let edge_threads = start("edge", settings.edge_arbiter_count())?;
        let store_threads = start("store", settings.store_arbiter_count())?;
        let bus_thread = start("bus", 1)?;
        let store_arbiters = StoreArbiters::of(&store_threads, settings.mongo.reveal().is_none());
        let (others, me) = (&store_arbiters.others, surroundings::this_life(&settings)?);
        let store = surroundings::open_store(&settings, &recorder, &store_arbiters.writers).await?;
        let bus = &bus_thread.all()[0];
        let bus = surroundings::open_bus(&settings, me.clone(), &recorder, bus).await?;
        let busy = recorder.with(|| {
            [
                edge_threads.measure("edge", &metrics),
                store_threads.measure("store", &metrics),
                bus_thread.measure("bus", &metrics),
            ]
        });
        let (give_up, gave_up) = mpsc::channel(1);
        let gives_up = give_up.clone();
        let root = Supervisor::root(metrics.clone(), move |cause| {
            let _ = gives_up.try_send(cause.to_owned()); // one reason is enough
        });

        let shared = surroundings::open_shared(&settings, others).await?;
        let gathered = Gathered::new(&settings, &clock, surroundings::leases(shared.as_ref()));
        let mut reads = start_store(&root, &store_arbiters, &store, &gathered, &settings, &metrics);
        reads.reader = surroundings::beside(reads.reader, shared.as_ref(), &settings, &metrics);
        let (hubs, gates) = start_hubs(&root, &edge_threads.all(), &gathered, &settings, &metrics);
        let switches = Arc::new(Switches::default());
        let homes = clustered::homes(&bus, &me);
        let services = Arc::new(Services {
            reader: reads.reader.clone(),
            writers: reads.writers,
            rooms: store.rooms.clone(),
            bus: bus.shared(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            switches: switches.clone(),
            homes: homes.clone(),
            notices: clustered::notices(&bus),
        });
        let rooms = root.subtree("rooms", Strategy::OneForOne, metrics.clone());
        let router =
            Router::new(edge_threads.all(), rooms, services, hubs.clone(), settings.send_wait());

        let name = me.name.to_string();
        let life = NodeLife { node: name.clone(), incarnation: me.incarnation };
        let batcher =
            gathered.start_batcher(others, &root, &store, &router, life.clone(), &settings);
        start_session_check(others, &root, &store, &router, &clock, &settings);

        let parts = clustered::Parts {
            settings: &settings,
            bus: &bus,
            homes: &homes,
            store: &store,
            router: &router,
            root: &root,
            metrics: &metrics,
            give_up,
            bus_arbiter: bus_thread.all()[0].clone(),
            store_arbiter: others.clone(),
        };
        let cluster = Clustered::start(parts).await?;
        let control = store.control.clone();
        let registration =
            Registration::begin(control, life, &homes, settings.start_wait()).await?;
        let health = Health::new();
        health.set(drain::PART, State::Down, clock.now());
        if let Some(cluster) = &cluster {
            cluster.watch(&health, clock.clone());
        }
        let places = or_unlimited(settings.max_connections).min(descriptors::raise_limit());
        let capacity = Capacity::new(places, settings.max_connections_per_address);
        let (wish_drain, drain_wishes) = mpsc::channel(1);
        let admin =
            listeners.admin().map(|_| Admin::new(&settings.data_dir, root, switches, wish_drain));
        let admin = admin.transpose()?.map(Arc::new);
        let sources = Sources { busy, capacity: capacity.clone(), gathered };
        let shown = Shown {
            metrics: recorder.with(|| metrics::Metrics::new(&http::TEMPLATES)),
            page: Page::new(&recorder, sources),
            health: health.clone(),
        };
        let limits = surroundings::login_limits(shared.as_ref(), &settings);
        let context =
            http_context(&settings, shown, &store, &reads.reader, &router, &clock, limits)?;
        if let Some(shared) = shared {
            surroundings::watch_shared(shared.control, &health, clock.clone());
        }
        let context = HttpContext { admin, ..context };
        let (stopping, is_stopping) = watch::channel(false);
        let (monitoring, is_monitoring_over) = watch::channel(false);
        for (index, gate) in gates.into_iter().enumerate() {
            let parts = EdgeParts {
                listeners: listeners.for_thread(index, &context).map_err(StartError::Thread)?,
                router: router.clone(),
                reader: reads.reader.clone(),
                limits: connection_limits(&settings),
                name: name.clone(),
                metrics: metrics.clone(),
                capacity: capacity.clone(),
                tls: tls.as_ref().map(Tls::acceptors),
                stopping: is_stopping.clone(),
                monitoring: is_monitoring_over.clone(),
            };
            let _ = gate.send(parts); // a thread that is gone takes the root down with it
        }
        tokio::task::spawn_local(recorder.upkeep());
        if let Some(tls) = tls {
            tokio::task::spawn_local(tls.reload_on_hangup());
        }
        tokio::task::spawn_local(memory::give_back());
        let threads = [edge_threads, store_threads, bus_thread];
        Ok(Self {
            address: listeners.clients(),
            admin: listeners.admin(),
            settings,
            clock,
            health,
            capacity,
            hubs,
            batcher,
            store,
            cluster,
            registration,
            stopping,
            _monitoring: monitoring,
            drain_wishes,
            gave_up,
            _threads: threads,
        })
    }
}

impl Node {
    /// Waits until everything that was gathered so far is written.
    pub(crate) async fn gathered_is_written(&self) {
        let (reply, answer) = Reply::channel();
        self.batcher.urge(BatcherMessage::Drain(reply));
        let _ = answer.await; // one that was restarted meanwhile answers nothing
    }
}

/// Threads that go by the name of what they are for, as `edge-0`, where the system lists them.
fn start_threads(name: &str, count: usize) -> io::Result<Arbiters> {
    let threads = Arbiters::start(count)?;
    for (number, thread) in threads.all().into_iter().enumerate() {
        let name = CString::new(format!("{name}-{number}"))?;
        thread.run(move || {
            let _ = rustix::thread::set_name(&name); // for people only
        });
    }
    Ok(threads)
}

/// With one thread all share it. The embedded store commits on the thread of those who write messages, so
/// nobody else is there; MongoDB's driver lives there, and with it whoever calls it, but for those who read.
struct StoreArbiters {
    writers: Arbiter,
    readers: Arbiter,
    others: Arbiter,
}

impl StoreArbiters {
    fn of(threads: &Arbiters, is_embedded: bool) -> Self {
        let all = threads.all();
        let (writers, readers) = (all[0].clone(), all[all.len() - 1].clone());
        let others = if is_embedded { readers.clone() } else { writers.clone() };
        Self { writers, readers, others }
    }
}

struct StoreActors {
    reader: Reader,
    writers: Writers,
}

fn start_store(
    root: &Supervisor,
    arbiters: &StoreArbiters,
    store: &Store,
    gathered: &Gathered,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> StoreActors {
    let tree = root.subtree("store", Strategy::RestForOne, metrics.clone());
    let write = |_| {
        let (log, bound) = (store.log.clone(), store_writer::INBOX_BOUND);
        start_supervised(&arbiters.writers, bound, &tree, Exhausted::Escalate, move |_| {
            StoreWriter::new(log.clone())
        })
    };
    let writers = Writers::new((0..settings.store_writer_count()).map(write).collect());
    let (store, metrics) = (store.clone(), metrics.clone());
    let bound = store_reader::INBOX_BOUND;
    let reader =
        start_supervised(&arbiters.readers, bound, &tree, Exhausted::Escalate, move |_| {
            StoreReader::new(store.clone(), metrics.clone())
        });
    let (positions, online) = (gathered.positions.clone(), gathered.online());
    let last_seen = gathered.last_seen.clone();
    let reader = Reader::new(reader, settings.read_wait(), positions, online, last_seen);
    StoreActors { reader, writers }
}

fn start_session_check(
    arbiter: &Arbiter,
    root: &Supervisor,
    store: &Store,
    router: &Router,
    clock: &Clock,
    settings: &Settings,
) {
    if settings.session_recheck_ms == 0 {
        return;
    }
    let services = Arc::new(SessionCheckServices {
        router: router.clone(),
        accounts: store.accounts.clone(),
        clock: clock.clone(),
        every: Duration::from_millis(settings.session_recheck_ms),
    });
    let build = move |_: &Address<_>| SessionCheck::new(services.clone());
    start_supervised(arbiter, session_check::INBOX_BOUND, root, Exhausted::Escalate, build);
}

/// Each hub comes with a gate: what is sent there lets its thread begin to accept.
fn start_hubs(
    root: &Supervisor,
    arbiters: &[Arbiter],
    gathered: &Gathered,
    settings: &Settings,
    metrics: &Arc<Metrics>,
) -> (Hubs, Vec<oneshot::Sender<EdgeParts>>) {
    let limits = HubLimits {
        outbox_bytes_max: settings.outbox_bytes_max,
        outbox_frames_max: settings.outbox_frames_max,
        heartbeat: Duration::from_millis(settings.heartbeat_ms),
        hello_timeout: Duration::from_millis(settings.hello_timeout_ms),
    };
    let start = |(index, arbiter): (usize, &Arbiter)| {
        let (gate, parts) = oneshot::channel();
        let connected = gathered.connected.clone();
        let begin = move |hub: LocalHub| {
            tokio::task::spawn_local(async {
                if let Ok(parts) = parts.await // otherwise the node did not start
                    && let Err(error) = begin_accepting(parts, hub)
                {
                    tracing::error!(%error, "an edge thread cannot serve");
                }
            });
        };
        let hub: Address<HubMessage> =
            hub::start(arbiter, root, index, limits, metrics.clone(), connected, begin);
        (hub, gate)
    };
    let (hubs, gates) = arbiters.iter().enumerate().map(start).unzip();
    (Hubs::new(hubs), gates)
}

/// On an edge thread, once the rest of the node is there.
fn begin_accepting(parts: EdgeParts, hub: LocalHub) -> io::Result<()> {
    let thread = EdgeThread::start(hub)?;
    for (listener, context) in parts.listeners {
        let services = Rc::new(ConnectionServices {
            router: parts.router.clone(),
            reader: parts.reader.clone(),
            authenticator: Box::new(BearerTokens(context.accounts.clone())),
            limits: parts.limits.clone(),
            clock: context.clock.clone(),
            node: parts.name.clone(),
            metrics: parts.metrics.clone(),
            started: Instant::now(),
        });
        let (capacity, stopping, tls) = match context.surface {
            Surface::Whole | Surface::Clients => {
                (parts.capacity.clone(), parts.stopping.clone(), parts.tls.clone())
            }
            Surface::Monitoring | Surface::Admin => {
                (Capacity::new(MONITORING_CONNECTIONS_MAX, 0), parts.monitoring.clone(), None)
            }
        };
        let thread = thread.clone();
        let edge = Rc::new(Edge { context, services, thread, capacity, tls });
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::task::spawn_local(accept::accept(listener, edge, stopping));
    }
    Ok(())
}

/// What a node shows of itself.
struct Shown {
    metrics: metrics::Metrics,
    page: Page,
    health: Health,
}

fn http_context(
    settings: &Arc<Settings>,
    shown: Shown,
    store: &Store,
    reader: &Reader,
    router: &Router,
    clock: &Clock,
    limits: Arc<dyn LoginLimits>,
) -> Result<HttpContext, StartError> {
    let Shown { metrics, page, health } = shown;
    let hasher =
        Hasher::start(settings.hash_thread_count(), settings.hash_queue, metrics.hashing.clone())
            .map_err(StartError::Thread)?;
    let accounts = Accounts::new(
        accounts::Parts {
            store: store.accounts.clone(),
            reader: reader.clone(),
            router: router.clone(),
            limits,
            hasher,
            metrics: metrics.clone(),
            clock: clock.clone(),
        },
        settings,
    );
    Ok(HttpContext {
        admin: None,
        accounts: Arc::new(accounts),
        reader: reader.clone(),
        router: router.clone(),
        rooms: store.rooms.clone(),
        store: store.control.clone(),
        health,
        page,
        metrics,
        settings: settings.clone(),
        origins: Origins::new(&settings.allowed_origins),
        clock: clock.clone(),
        surface: Surface::Whole,
    })
}

fn connection_limits(settings: &Settings) -> ConnectionLimits {
    ConnectionLimits {
        frames_per_second: settings.frames_per_second,
        frames_burst: settings.frames_burst,
        in_flight_sends: settings.in_flight_sends,
        body_bytes_max: settings.body_bytes_max,
        subscriptions_max: settings.subscriptions_max,
        replay_limit: settings.replay_limit,
        presence_members_max: settings.presence_members_max,
        page_bytes_max: or_unlimited(settings.outbox_bytes_max / 4).min(ANSWER_BYTES_MAX),
        heartbeat_ms: settings.heartbeat_ms,
        frame_bytes_max: settings.frame_bytes_max,
    }
}
