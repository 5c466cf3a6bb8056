//! Read receipts (P6): what one costs beyond reading its frame, and how many of them one write takes.
//!
//! Each connection is one (user, room) pair. In turns the connections send pings without an id, which
//! the node reads and does nothing about, and as many receipts, each a message further. A window of
//! receipts is held against those of pings before and after it.

use super::{ABREAST, Bench, READY_WITHIN, Timing, fanout::node_with_rooms, sends::refuse_errors};
use crate::{
    error::{BenchError, Done},
    generator::{Answered, Crowd, Pace, Span, Turn, ask},
    result::{Row, median},
    targets::{Dialect, Http, Metrics, Node, seats},
};
use serde_json::json;
use std::fmt::Write;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Pairs of user and room
    #[arg(long, default_value_t = 1_000)]
    pub pairs_of_user_and_room: usize,
    /// Rooms
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Receipts a second of each pair
    #[arg(long, default_value_t = 5.0)]
    pub rate: f64,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
}

/// What the node had counted at one moment.
struct Counted {
    metrics: Metrics,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    let pairs = options.pairs_of_user_and_room;
    bench.need_connections(pairs)?;
    let (node, rooms) = node_with_rooms(&bench.launch, "node", pairs, options.rooms)?;
    let mut http = node.http()?;
    bench.progress("sending what will be read");
    fill(&mut http, &node, &rooms, needed(options))?;
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    crowd.open(seats(&node.users, &rooms, pairs), ABREAST, READY_WITHIN)?;
    let before = Counted::now(&mut http)?;
    let (mut pings, mut reads) = (Vec::new(), Vec::new());
    let done = rounds(bench, options, &node, &mut crowd, &rooms, &mut pings, &mut reads);
    let beyond: Vec<f64> = beyond(&pings, &reads);
    let each = |runs: &[Answered]| runs.iter().map(Answered::server_us).collect::<Vec<f64>>();
    bench.row(
        Row::new("receipts", "ping without an id", "a frame that is read, and no more").with(
            "CPU each",
            "us",
            each(&pings),
        ),
    );
    let after = Counted::now(&mut http)?;
    let receipts = after.since(&before, "madang_coalesced_inputs_total", "receipts");
    let writes = after.since(&before, "madang_coalesced_outputs_total", "receipts");
    let told = after.since(&before, "madang_deliveries_total", "");
    bench.row(
        Row::new("receipts", "receipt", "told to the room, and written")
            .with("CPU each", "us", each(&reads))
            .with("beyond its frame", "us", beyond.clone())
            .with("receipts of one write", "", vec![receipts / writes.max(1.0)])
            .with("frames told for each", "", vec![told / receipts.max(1.0)]),
    );
    done?;
    let outcome = &mut bench.outcome;
    outcome.at_most("P6", "CPU of a receipt beyond its frame, us", median(&beyond), 2.0);
    let seconds = outcome_seconds(options) * (reads.len() + pings.len()) as f64;
    outcome.at_most("P6", "bulk writes of receipts a second", writes / seconds, 1.0);
    Ok(())
}

/// Microseconds of a receipt beyond those of a ping, of each round that is whole.
fn beyond(pings: &[Answered], reads: &[Answered]) -> Vec<f64> {
    let around =
        pings.windows(2).map(|pair| f64::midpoint(pair[0].server_us(), pair[1].server_us()));
    reads.iter().zip(around).map(|(read, ping)| read.server_us() - ping).collect()
}

/// Seconds of one run, warm-up included.
fn outcome_seconds(options: &Options) -> f64 {
    options.timing.warm_up + options.timing.seconds
}

/// Messages a room needs so that every receipt is of a new one.
fn needed(options: &Options) -> usize {
    let seconds = outcome_seconds(options) * options.timing.pairs as f64;
    (seconds * options.rate).ceil() as usize + options.timing.pairs + 1
}

fn fill(http: &mut Http, node: &Node, rooms: &[String], count: usize) -> Done<()> {
    for (place, room) in rooms.iter().enumerate() {
        let path = format!("/v1/rooms/{room}/messages");
        for number in 0..count {
            let body = json!({"client_id": format!("fill-{number}"), "body": "to be read"});
            http.post(&path, &node.users[place].token, &body)?;
        }
    }
    Ok(())
}

fn rounds(
    bench: &mut Bench,
    options: &Options,
    node: &Node,
    crowd: &mut Crowd,
    rooms: &[String],
    pings: &mut Vec<Answered>,
    reads: &mut Vec<Answered>,
) -> Done<()> {
    let span = Span { warm_up: options.timing.warm_up(), measure: options.timing.measure() };
    let connections = crowd.len();
    let rate = options.rate * connections as f64;
    if rate <= 0.0 {
        return Err(BenchError::Options("--rate must be above 0".to_owned()));
    }
    let mut seqs = vec![0_u64; connections];
    let ping = |_: Turn, out: &mut String| out.push_str("{\"op\":\"ping\"}");
    for round in 0..options.timing.pairs {
        pings.push(ask(crowd, Pace::Rate(rate), span, &node.watch(), ping)?);
        let read = |turn: Turn, out: &mut String| {
            let seq = &mut seqs[turn.connection];
            *seq += 1;
            let room = &rooms[turn.connection % rooms.len()];
            let written = write!(out, "{{\"op\":\"read\",\"room\":\"{room}\",\"seq\":{seq}}}");
            debug_assert!(written.is_ok(), "a string takes everything");
        };
        let run = ask(crowd, Pace::Rate(rate), span, &node.watch(), read)?;
        refuse_errors(&run)?;
        let (frame, whole) = (pings[round].server_us(), run.server_us());
        bench.progress(&format!("round {}: {whole:.2} us, a ping {frame:.2}", round + 1));
        reads.push(run);
    }
    pings.push(ask(crowd, Pace::Rate(rate), span, &node.watch(), ping)?);
    Ok(())
}

impl Counted {
    fn now(http: &mut Http) -> Done<Self> {
        Ok(Self { metrics: Metrics::of(http)? })
    }

    fn since(&self, before: &Self, name: &str, label: &str) -> f64 {
        self.metrics.sum(name, label) - before.metrics.sum(name, label)
    }
}
