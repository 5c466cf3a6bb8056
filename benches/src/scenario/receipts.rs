//! Read receipts (P6): what one costs beyond reading its frame, and how many of them one write takes.
//!
//! Each connection is one (user, room) pair. In turns the connections send pings without an id, which
//! the node reads and does nothing about, and as many receipts, each a message further; receipts with
//! and without the switch that keeps a node from telling the others in the room. A window of receipts is
//! held against those of pings before and after it.
//!
//! Such clients are written to for what others have read alone. With `--answered` both carry an id, and
//! what others have read leaves with an answer.

use super::{ABREAST, Bench, READY_WITHIN, Timing, fanout::node_with_rooms, sends::refuse_errors};
use crate::{
    error::{BenchError, Done},
    generator::{Answered, Crowd, Pace, Span, Turn, ask},
    result::{Row, median},
    targets::{Dialect, Http, Metrics, Node, Operator, seats},
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
    /// Pings and receipts have an id each, and are answered
    #[arg(long)]
    pub answered: bool,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
}

/// Windows one after the other: pings, receipts, pings, receipts, and pings at the end.
#[derive(Default)]
struct Windows {
    pings: Vec<Answered>,
    /// Every other one told to nobody, the first was told.
    reads: Vec<Answered>,
    /// What the node had counted before each of `reads`, and at the end: what is read is written, and
    /// told, in the pings after it at the latest.
    counted: Vec<Metrics>,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    let pairs = options.pairs_of_user_and_room;
    bench.need_connections(pairs)?;
    let (launch, operators) = Operator::allow(&bench.launch);
    let (node, rooms) = node_with_rooms(&launch, "node", pairs, options.rooms)?;
    let mut http = node.http()?;
    let mut operator = Operator::reach(&node, operators)?;
    bench.progress("sending what will be read");
    fill(&mut http, &node, &rooms, needed(options))?;
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    crowd.open(seats(&node.users, &rooms, pairs), ABREAST, READY_WITHIN)?;
    let mut windows = Windows::default();
    let done = measure(bench, options, &node, &mut operator, &mut crowd, &rooms, &mut windows);
    report(bench, options, &windows);
    done
}

fn report(bench: &mut Bench, options: &Options, windows: &Windows) {
    let Windows { pings, reads, .. } = windows;
    let each = |runs: &[Answered]| runs.iter().map(Answered::server_us).collect::<Vec<f64>>();
    let beyond = beyond(pings, reads);
    let (ping, note) = match options.answered {
        true => ("ping", "a frame that is read and answered"),
        false => ("ping without an id", "a frame that is read, and no more"),
    };
    bench.row(Row::new("receipts", ping, note).with("CPU each", "us", each(pings)));
    let (receipts, writes, frames) = (
        windows.gained("madang_coalesced_inputs_total", "receipts"),
        windows.gained("madang_coalesced_outputs_total", "receipts"),
        windows.gained("madang_deliveries_total", ""),
    );
    let kinds = [
        ("receipt", "told to the room, and written"),
        ("receipt, untold", "written, while an operator has switched telling off"),
    ];
    for (place, (subject, note)) in kinds.into_iter().enumerate() {
        let sum = |values: &[f64]| every_other(values, place).iter().sum::<f64>();
        let of_one = sum(&receipts) / sum(&writes).max(1.0);
        bench.row(
            Row::new("receipts", subject, note)
                .with("CPU each", "us", every_other(&each(reads), place))
                .with("beyond its frame", "us", every_other(&beyond, place))
                .with("receipts of one write", "", vec![of_one])
                .with("frames told for each", "", vec![sum(&frames) / sum(&receipts).max(1.0)]),
        );
    }
    let outcome = &mut bench.outcome;
    let told = median(&every_other(&beyond, 0));
    outcome.at_most("P6", "CPU of a receipt beyond its frame, us", told, 2.0);
    let seconds = outcome_seconds(options) * (reads.len() + pings.len()) as f64;
    let writes = writes.iter().sum::<f64>() / seconds;
    outcome.at_most("P6", "bulk writes of receipts a second", writes, 1.0);
}

impl Windows {
    /// By how much something grew from each window of receipts to the next.
    fn gained(&self, name: &str, label: &str) -> Vec<f64> {
        let grown = |pair: &[Metrics]| pair[1].sum(name, label) - pair[0].sum(name, label);
        self.counted.windows(2).map(grown).collect()
    }
}

/// Microseconds of a receipt beyond those of a ping, of each window that has pings on both sides.
fn beyond(pings: &[Answered], reads: &[Answered]) -> Vec<f64> {
    let around =
        pings.windows(2).map(|pair| f64::midpoint(pair[0].server_us(), pair[1].server_us()));
    reads.iter().zip(around).map(|(read, ping)| read.server_us() - ping).collect()
}

fn every_other(values: &[f64], first: usize) -> Vec<f64> {
    values.iter().skip(first).step_by(2).copied().collect()
}

/// Seconds of one run, warm-up included.
fn outcome_seconds(options: &Options) -> f64 {
    options.timing.warm_up + options.timing.seconds
}

/// Messages a room needs so that every receipt is of a new one.
fn needed(options: &Options) -> usize {
    let seconds = outcome_seconds(options) * 2.0 * options.timing.pairs as f64;
    (seconds * options.rate).ceil() as usize + 2 * options.timing.pairs + 1
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

fn measure(
    bench: &mut Bench,
    options: &Options,
    node: &Node,
    operator: &mut Operator,
    crowd: &mut Crowd,
    rooms: &[String],
    windows: &mut Windows,
) -> Done<()> {
    let span = Span { warm_up: options.timing.warm_up(), measure: options.timing.measure() };
    let connections = crowd.len();
    let rate = options.rate * connections as f64;
    if rate <= 0.0 {
        return Err(BenchError::Options("--rate must be above 0".to_owned()));
    }
    let (mut http, mut seqs) = (node.http()?, vec![0_u64; connections]);
    let id = |turn: Turn| match options.answered {
        true => format!(",\"id\":{}", turn.id),
        false => String::new(),
    };
    let ping = |turn: Turn, out: &mut String| {
        let written = write!(out, "{{\"op\":\"ping\"{}}}", id(turn));
        debug_assert!(written.is_ok(), "a string takes everything");
    };
    for number in 0..2 * options.timing.pairs {
        windows.pings.push(ask(crowd, Pace::Rate(rate), span, &node.watch(), ping)?);
        windows.counted.push(Metrics::of(&mut http)?);
        let is_told = number % 2 == 0;
        operator.switch("receipts", is_told)?;
        let read = |turn: Turn, out: &mut String| {
            let seq = &mut seqs[turn.connection];
            *seq += 1;
            let (id, room) = (id(turn), &rooms[turn.connection % rooms.len()]);
            let written = write!(out, "{{\"op\":\"read\"{id},\"room\":\"{room}\",\"seq\":{seq}}}");
            debug_assert!(written.is_ok(), "a string takes everything");
        };
        let run = ask(crowd, Pace::Rate(rate), span, &node.watch(), read)?;
        refuse_errors(&run)?;
        let (frame, whole) = (windows.pings[number].server_us(), run.server_us());
        let (round, what) = (number / 2 + 1, if is_told { "told" } else { "untold" });
        bench.progress(&format!("round {round}, {what}: {whole:.2} us, a ping {frame:.2}"));
        windows.reads.push(run);
    }
    windows.pings.push(ask(crowd, Pace::Rate(rate), span, &node.watch(), ping)?);
    windows.counted.push(Metrics::of(&mut http)?);
    Ok(())
}
