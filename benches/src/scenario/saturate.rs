//! The most deliveries a second on one core with p99 below 100 ms (P3).
//!
//! The rate is raised until latency or losses say that it was too much, then in smaller steps from
//! the last good one. A limit at which the generator's own core was above 90 % is the generator's and
//! is not reported as the server's.

use super::{Bench, GENERATOR_SHARE_MAX, Peers, fanout};
use crate::{
    error::Done,
    generator::{Deaf, Load, Window, drive, histogram},
    result::Row,
    rounds::Server,
    targets::{
        Floor, Kind,
        peers::{self, Peer, PeerKind},
        plain_rooms,
    },
};
use std::time::Duration;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections to each server
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Rooms of the run with signals; that with messages has one
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// Deliveries a second to begin with
    #[arg(long, default_value_t = 50_000.0)]
    pub from: f64,
    /// Seconds of each step
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Steps at most
    #[arg(long, default_value_t = 16)]
    pub steps: usize,
    /// p99 at most, milliseconds
    #[arg(long, default_value_t = 100.0)]
    pub p99_ms: f64,
    /// Beside whom.
    #[command(flatten)]
    pub peers: Peers,
}

/// First step, and the factor by which steps shrink towards 1 after a failure.
const STEP: f64 = 1.6;
const SMALLEST: f64 = 1.05;

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.connections)?;
    peers::need(&options.peers.peers)?;
    let size =
        fanout::Size { connections: options.connections, rate: 0.0, payload: options.payload };
    let floor = Floor::start()?;
    let mut server = fanout::open_floor(&floor, options.rooms, &size)?;
    let plain = plain_rooms(options.rooms);
    climb(
        bench,
        "signals",
        "floor",
        &mut server,
        load(options, plain.clone(), Kind::Signal),
        options,
    )?;
    drop((server, floor));
    let (node, ids) =
        fanout::node_with_rooms(&bench.launch, "node", options.connections, options.rooms)?;
    let mut server = fanout::open_node(&node, &ids, &size)?;
    let signals =
        climb(bench, "signals", "node", &mut server, load(options, ids, Kind::Signal), options)?;
    drop((server, node));
    let mut socket_io = None;
    for kind in &options.peers.peers {
        if *kind == PeerKind::SocketIoRedis {
            bench
                .outcome
                .remarks
                .push("Socket.IO with Redis is compared by fanout only".to_owned());
            continue;
        }
        let peer: Peer = kind.start(None)?;
        let mut server = fanout::open_peer(&peer, options.rooms, &size)?;
        let load = load(options, plain.clone(), Kind::Signal);
        let best = climb(bench, "signals", kind.name(), &mut server, load, options)?;
        if *kind == PeerKind::SocketIo {
            socket_io = best;
        }
    }
    let (node, ids) = fanout::node_with_rooms(&bench.launch, "node", options.connections, 1)?;
    let mut server = fanout::open_node(&node, &ids, &size)?;
    let sends = climb(
        bench,
        "messages, one room",
        "node",
        &mut server,
        load(options, ids, Kind::Send),
        options,
    )?;
    judge(bench, signals, sends, socket_io);
    Ok(())
}

fn judge(bench: &mut Bench, signals: Option<f64>, sends: Option<f64>, socket_io: Option<f64>) {
    let outcome = &mut bench.outcome;
    if let Some(most) = signals {
        outcome.at_least("P3", "signals delivered a second on one core", most, 3e6);
    }
    if let (Some(most), Some(peer)) = (signals, socket_io) {
        outcome.at_least("P3", "signals delivered by those of Socket.IO", most / peer, 40.0);
    }
    if let Some(most) = sends {
        outcome.at_least("P3", "stored messages delivered a second, one room", most, 2e6);
    }
}

fn load(options: &Options, rooms: Vec<String>, kind: Kind) -> Load {
    Load {
        rooms,
        rate: 0.0,
        payload_bytes: options.payload,
        kind,
        warm_up: Duration::from_millis(500),
        measure: Duration::from_secs_f64(options.seconds),
    }
}

/// The most that was good; `None` when not even the first step was, or the generator was the limit.
fn climb(
    bench: &mut Bench,
    group: &str,
    name: &str,
    server: &mut Server,
    mut load: Load,
    options: &Options,
) -> Done<Option<f64>> {
    let readers = options.connections as f64;
    let (mut wanted, mut step) = (options.from, STEP);
    let (mut best, mut tried): (Option<Window>, Vec<f64>) = (None, Vec::new());
    let mut done = Ok(());
    for _ in 0..options.steps {
        load.rate = wanted / readers;
        let window = match drive(&mut server.crowd, &load, &server.watch) {
            Ok(window) => window,
            Err(error) => {
                done = Err(error);
                break;
            }
        };
        let is_good = is_good(&window, wanted, options.p99_ms);
        bench.progress(&format!("{name}, {}", line(&window, wanted, is_good)));
        tried.push(window.per_second());
        server.crowd.settle(Duration::from_secs(8), &mut Deaf)?;
        if is_good {
            best = Some(window);
        } else {
            step = 1.0 + (step - 1.0) / 3.0;
            wanted = best.as_ref().map_or(wanted / STEP / STEP, |best| best.per_second());
        }
        if step < SMALLEST {
            break;
        }
        wanted *= step;
    }
    let finding = Finding::of(group, name, best.as_ref(), tried);
    bench.row(finding.row);
    bench.outcome.remarks.extend(finding.remark);
    done?;
    Ok(finding.limit)
}

fn is_good(window: &Window, wanted: f64, p99_ms: f64) -> bool {
    let arrived = window.arrived as f64 >= 0.999 * window.expected as f64;
    arrived && window.latency_ms(0.99) < p99_ms && window.per_second() >= 0.97 * wanted
}

fn line(window: &Window, wanted: f64, is_good: bool) -> String {
    format!(
        "{wanted:.0} wanted: {:.0}/s, p99 {:.0} ms, generator {:.0} %: {}",
        window.per_second(),
        window.latency_ms(0.99),
        100.0 * window.generator_share(),
        if is_good { "good" } else { "too much" }
    )
}

/// What a climb comes to.
struct Finding {
    row: Row,
    /// Why there is no limit, although something was good.
    remark: Option<String>,
    /// The most that was good, unless it is the generator's limit.
    limit: Option<f64>,
}

impl Finding {
    fn of(group: &str, name: &str, best: Option<&Window>, tried: Vec<f64>) -> Self {
        let Some(best) = best else {
            let row = Row::new(group, name, "not even the first step").with("tried", "1/s", tried);
            return Self { row, remark: None, limit: None };
        };
        let share = best.generator_share();
        let mut all = histogram();
        let _ = all.add(&best.latency_us);
        let row = Row::new(group, name, "")
            .with("CPU per delivery", "us", vec![best.server_us()])
            .with("p99", "ms", vec![best.latency_ms(0.99)])
            .with("generator's core", "%", vec![100.0 * share])
            .with_latency(&all);
        if share < GENERATOR_SHARE_MAX {
            let most = best.per_second();
            let row = row.with("most deliveries", "1/s", vec![most]);
            return Self { row, remark: None, limit: Some(most) };
        }
        let remark = format!(
            "{name}, {group}: {:.0} deliveries a second were good, but the generator was at {:.0} % \
             of its core, so this is no limit of the server",
            best.per_second(),
            100.0 * share
        );
        Self { row, remark: Some(remark), limit: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Usage;

    /// Deliveries of a second in which the generator worked so long.
    fn window(generator_ns: u64) -> Window {
        Window {
            sent: 1_000,
            expected: 50_000,
            arrived: 50_000,
            delivered: 50_000,
            seconds: 1.0,
            latency_us: histogram(),
            server: Usage { processor_ns: 400_000_000, ..Usage::default() },
            generator_ns,
        }
    }

    fn has_limit(finding: &Finding) -> bool {
        finding.row.figures.iter().any(|figure| figure.name == "most deliveries")
    }

    #[test]
    fn a_generator_that_had_time_left_found_a_limit() {
        let found = Finding::of("signals", "node", Some(&window(890_000_000)), vec![50_000.0]);
        assert_eq!((found.limit, found.remark.as_deref()), (Some(50_000.0), None));
        assert!(has_limit(&found));
    }

    #[test]
    fn a_generator_that_was_busy_itself_reports_no_limit_and_says_why() {
        let found = Finding::of("signals", "node", Some(&window(910_000_000)), vec![50_000.0]);
        assert_eq!(found.limit, None);
        assert!(!has_limit(&found));
        let remark = found.remark.expect("a reason");
        assert!(remark.contains("91 %") && remark.contains("no limit of the server"), "{remark}");
    }

    #[test]
    fn nothing_good_is_no_limit() {
        let found = Finding::of("signals", "node", None, vec![50_000.0]);
        assert!(found.limit.is_none() && !has_limit(&found));
    }
}
