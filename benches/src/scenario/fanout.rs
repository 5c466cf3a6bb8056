//! How much of a server's core a delivery takes, and how long it takes to come (P1, P4).
//!
//! W1 is 20 rooms of 50 connections, W2 one room of 1,000; 20 messages a second and room. In each
//! round the floor, the node with signals (not stored), the node with messages (stored), and the
//! peers take turns; then the bare store commits the same messages at the same rate, once beside the
//! floor on the same core and once alone.

use super::{ABREAST, Bench, Peers, READY_WITHIN, Timing};
use crate::{
    error::Done,
    generator::{Crowd, Load, drive},
    process::Watch,
    result::{Row, median},
    rounds::{Entrant, Rounds, Server, run as run_rounds},
    targets::{
        BareStore, Dialect, Floor, Kind, Launch, Metrics, Node, Seat, StoreRun, make_rooms,
        peers::{self, Peer, PeerKind},
        plain_rooms, seats,
    },
};
use std::net::SocketAddr;

/// How often the bare store is measured, at most.
const STORE_RUNS: usize = 3;

/// A well-known load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Workload {
    /// 20 rooms that share the connections.
    W1,
    /// One room of all.
    W2,
}

/// Another way to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Also {
    /// In MessagePack instead of JSON.
    Msgpack,
    /// Over TLS instead of plain TCP.
    Tls,
}

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Which loads
    #[arg(long, value_delimiter = ',', default_value = "w1,w2")]
    pub workload: Vec<Workload>,
    /// Rooms of W1
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// How much.
    #[command(flatten)]
    pub size: Size,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
    /// Signals of a node whose clients speak or come otherwise, too
    #[arg(long, value_delimiter = ',')]
    pub also: Vec<Also>,
    /// Beside whom.
    #[command(flatten)]
    pub peers: Peers,
}

/// How much of it.
#[derive(Debug, Clone, clap::Args)]
pub struct Size {
    /// Connections to each server
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Messages a second and room
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
}

impl Size {
    /// The same as a load on these rooms.
    pub fn load(&self, rooms: Vec<String>, kind: Kind, timing: &Timing) -> Load {
        Load {
            rooms,
            rate: self.rate,
            payload_bytes: self.payload,
            kind,
            warm_up: timing.warm_up(),
            measure: timing.measure(),
        }
    }
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    let servers = 2 + options.also.len() + options.peers.peers.len();
    bench.need_connections(options.size.connections * servers)?;
    peers::need(&options.peers.peers)?;
    if !options.peers.peers.is_empty() {
        bench.outcome.versions.insert("peers".to_owned(), peers::versions());
    }
    for workload in &options.workload {
        let (name, rooms) = match workload {
            Workload::W1 => ("W1", options.rooms),
            Workload::W2 => ("W2", 1),
        };
        one(bench, name, rooms, options)?;
    }
    Ok(())
}

fn one(bench: &mut Bench, name: &str, rooms: usize, options: &Options) -> Done<()> {
    let (size, timing) = (&options.size, &options.timing);
    bench.progress(&format!("{name}: opening {} connections to each", size.connections));
    let floor = Floor::start()?;
    let (node, ids) = node_with_rooms(&bench.launch, "node", size.connections, rooms)?;
    let redis = Redis::for_peers(&options.peers.peers)?;
    let peers = options.peers.peers.iter().map(|kind| kind.start(redis.address()));
    let peers = peers.collect::<Done<Vec<Peer>>>()?;
    let mut servers = vec![open_floor(&floor, rooms, size)?, open_node(&node, &ids, size)?];
    let mut entrants = entrants(rooms, &ids, size, timing);
    let mut others = Vec::new();
    for also in &options.also {
        let (node, entrant) = also.enter(bench, servers.len(), rooms, options)?;
        servers.push(open_node_as(
            &entrant.name,
            also.dialect(),
            &node,
            &entrant.load.rooms,
            size,
        )?);
        entrants.push(entrant);
        others.push(node);
    }
    for peer in &peers {
        let (name, note) = (peer.kind.name(), peer.kind.note());
        let load = size.load(plain_rooms(rooms), Kind::Signal, timing);
        entrants.push(Entrant::new(name, note, servers.len(), load));
        servers.push(open_peer(peer, rooms, size)?);
    }
    let mut http = node.http()?;
    let before = Metrics::of(&mut http)?;
    let mut rounds = Rounds::default();
    let done = run_rounds(&mut servers, &entrants, timing.pairs, &mut rounds, |text| {
        bench.progress(&format!("{name} {text}"));
    });
    for (place, entrant) in entrants.iter().enumerate() {
        bench.row(rounds.row(name, entrant, place));
    }
    done?;
    let after = Metrics::of(&mut http)?;
    let commit = after.quantile_since(&before, "madang_store_commit_seconds", 0.99);
    let bare = BareStore {
        rooms,
        bulk: 1_000,
        rate: size.rate * rooms as f64,
        payload: size.payload,
        seconds: timing.seconds,
    };
    let runs = timing.pairs.min(STORE_RUNS);
    beside(bench, name, &mut servers[0], &entrants[0].load, bare, runs)?;
    drop((servers, others, peers));
    let store = bare_store(bench, name, bare, size, runs)?;
    judge(bench, name, &entrants, &rounds, &store, commit);
    Ok(())
}

/// A node of this many users and rooms; user `i` is in room `i % rooms`.
pub fn node_with_rooms(
    launch: &Launch,
    name: &str,
    users: usize,
    rooms: usize,
) -> Done<(Node, Vec<String>)> {
    let node = launch.start(name, users)?;
    let ids = make_rooms(&mut node.http()?, &node.users, rooms)?;
    Ok((node, ids))
}

/// Connects to the floor.
pub fn open_floor(floor: &Floor, rooms: usize, size: &Size) -> Done<Server> {
    open_plain("floor", (floor.address, Dialect::Plain), floor.child.watch(), rooms, size)
}

/// Connects to a node.
pub fn open_node(node: &Node, rooms: &[String], size: &Size) -> Done<Server> {
    open_node_as("node", Dialect::Madang, node, rooms, size)
}

fn open_node_as(
    name: &str,
    dialect: Dialect,
    node: &Node,
    rooms: &[String],
    size: &Size,
) -> Done<Server> {
    let crowd = Crowd::new(name, dialect, vec![node.address()])?.over(node.tls());
    open(crowd, node.watch(), seats(&node.users, rooms, size.connections))
}

/// Connects to a peer.
pub fn open_peer(peer: &Peer, rooms: usize, size: &Size) -> Done<Server> {
    let address = (peer.address, peer.kind.dialect());
    open_plain(peer.kind.name(), address, peer.child.watch(), rooms, size)
}

fn open_plain(
    name: &str,
    at: (SocketAddr, Dialect),
    watch: Watch,
    rooms: usize,
    size: &Size,
) -> Done<Server> {
    let crowd = Crowd::new(name, at.1, vec![at.0])?;
    open(crowd, watch, seats(&[], &plain_rooms(rooms), size.connections))
}

fn open(mut crowd: Crowd, watch: Watch, seats: Vec<Seat>) -> Done<Server> {
    crowd.open(seats, ABREAST, READY_WITHIN)?;
    Ok(Server { crowd, watch })
}

/// The floor first, then the node twice.
fn entrants(rooms: usize, ids: &[String], size: &Size, timing: &Timing) -> Vec<Entrant> {
    let signals = |rooms: &[String]| size.load(rooms.to_vec(), Kind::Signal, timing);
    let sends = size.load(ids.to_vec(), Kind::Send, timing);
    let floor = "no accounts, no numbers, no store, no limits; its ratio is to itself";
    vec![
        Entrant::new("floor", floor, 0, signals(&plain_rooms(rooms))),
        Entrant::new("node, signal", "relayed, not stored", 1, signals(ids)),
        Entrant::new("node, send", "stored and fsynced, then told", 1, sends),
    ]
}

impl Also {
    fn dialect(self) -> Dialect {
        match self {
            Self::Msgpack => Dialect::MadangPack,
            Self::Tls => Dialect::Madang,
        }
    }

    /// A node of its own.
    fn enter(
        self,
        bench: &Bench,
        server: usize,
        rooms: usize,
        options: &Options,
    ) -> Done<(Node, Entrant)> {
        let size = &options.size;
        let (name, note) = match self {
            Self::Msgpack => ("node, MessagePack", "the same signals in another codec"),
            Self::Tls => ("node, TLS", "the same signals, each sealed for each reader"),
        };
        let (mut node, ids) = node_with_rooms(&bench.launch, name, size.connections, rooms)?;
        if self == Self::Tls {
            node.restart_over_tls()?;
        }
        let load = size.load(ids, Kind::Signal, &options.timing);
        Ok((node, Entrant::new(name, note, server, load)))
    }
}

/// Windows of the floor while the store commits on the same core: they take caches and turns from each
/// other, as the threads of a node do.
fn beside(
    bench: &mut Bench,
    name: &str,
    floor: &mut Server,
    load: &Load,
    bare: BareStore,
    runs: usize,
) -> Done<()> {
    let seconds = (load.warm_up + load.measure).as_secs_f64() + 0.5;
    let mut both = Vec::new();
    for run in 0..runs {
        bench.progress(&format!("{name}: floor and bare store beside each other, run {}", run + 1));
        let storing = std::thread::spawn(move || BareStore { seconds, ..bare }.run());
        let window = drive(&mut floor.crowd, load, &floor.watch)?;
        let stored = storing.join().expect("it does not panic")?;
        let of_store = store_us(&stored) * window.sent as f64 / window.expected.max(1) as f64;
        both.push(window.server_us() + of_store);
    }
    let note = "on the same core at the same time, each in a process of its own";
    let row = Row::new(name, "floor beside the bare store", note);
    bench.row(row.with("CPU per delivery", "us", both));
    Ok(())
}

/// The same messages at the same rate.
fn bare_store(
    bench: &mut Bench,
    name: &str,
    wanted: BareStore,
    size: &Size,
    count: usize,
) -> Done<Vec<StoreRun>> {
    let mut runs = Vec::new();
    for run in 0..count {
        bench.progress(&format!("{name}: bare store, run {}", run + 1));
        runs.push(wanted.run()?);
    }
    let readers = size.connections as f64 / wanted.rooms as f64;
    let note = "commits the same messages at the same rate; its CPU is shared among the deliveries";
    let row = Row::new(name, "bare store", note)
        .with("CPU per delivery", "us", runs.iter().map(|run| store_us(run) / readers).collect())
        .with("p50", "ms", runs.iter().map(|run| run.p50_us as f64 / 1e3).collect())
        .with("p99", "ms", runs.iter().map(|run| run.p99_us as f64 / 1e3).collect());
    bench.row(row);
    Ok(runs)
}

/// Processor time of a message, microseconds.
fn store_us(run: &StoreRun) -> f64 {
    run.processor_ns as f64 / 1e3 / run.messages.max(1) as f64
}

fn judge(
    bench: &mut Bench,
    name: &str,
    entrants: &[Entrant],
    rounds: &Rounds,
    store: &[StoreRun],
    commit_s: Option<f64>,
) {
    let outcome = &mut bench.outcome;
    let is_w1 = name == "W1";
    let signal = median(&rounds.ratios(1));
    let limit = if is_w1 { 1.12 } else { 1.08 };
    outcome.at_most("P1", &format!("{name}, signals: CPU by that of the floor"), signal, limit);
    if !is_w1 {
        return;
    }
    let messages: u64 = rounds.windows[2].iter().map(|window| window.sent).sum();
    let deliveries: u64 = rounds.windows[2].iter().map(|window| window.expected).sum();
    let store_us = median(&store.iter().map(store_us).collect::<Vec<_>>());
    let beneath = rounds.server_us(0) + store_us * messages as f64 / deliveries.max(1) as f64;
    let claim = "W1, sends: CPU by that of the floor and the bare store together";
    outcome.at_most("P1", claim, rounds.server_us(2) / beneath, 1.25);
    if let Some(commit_s) = commit_s {
        let p99: Vec<f64> = rounds.windows[2].iter().map(|one| one.latency_ms(0.99)).collect();
        let claim = "W1, sends: delivery p99 by its own commit p99 (a bucket's bound), ms";
        outcome.at_most("P4", claim, median(&p99), commit_s * 1e3 + 2.0);
    }
    let socket_io = entrants.iter().position(|one| one.name == PeerKind::SocketIo.name());
    if let Some(place) = socket_io {
        let ratio = rounds.server_us(2) / rounds.server_us(place);
        outcome.at_most("P1", "W1, sends: CPU by that of Socket.IO", ratio, 0.65);
    }
}

/// The Redis that a peer needs, if any does.
struct Redis {
    /// Its server, and the runtime that holds it.
    server: Option<(madang_servers::Server, tokio::runtime::Runtime)>,
}

impl Redis {
    fn for_peers(peers: &[PeerKind]) -> Done<Self> {
        if !peers.contains(&PeerKind::SocketIoRedis) {
            return Ok(Self { server: None });
        }
        let runtime = super::ground::runtime()?;
        super::ground::need("redis-server")?;
        let server = runtime.block_on(madang_servers::redis::alone());
        Ok(Self { server: Some((server, runtime)) })
    }

    fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().map(|(server, _)| server.address())
    }
}
