//! Acknowledged messages a second (P5): what the node commits for senders that keep so many in flight,
//! beside the bare store that commits in bulk and does nothing else.

use super::{ABREAST, Bench, GENERATOR_SHARE_MAX, READY_WITHIN, Timing};
use crate::{
    error::{BenchError, Done},
    generator::{Answered, Crowd, Pace, Span, Turn, ask},
    result::{Row, median},
    targets::{BareStore, Dialect, Node, Seat, make_rooms},
};
use std::fmt::Write;

/// At least this share of what the bare store commits.
const TARGET: f64 = 0.6;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Rooms
    #[arg(long, default_value_t = 100)]
    pub rooms: usize,
    /// Connections that send, spread over the rooms
    #[arg(long, default_value_t = 200)]
    pub senders: usize,
    /// Unanswered sends of each
    #[arg(long, default_value_t = 32)]
    pub in_flight: usize,
    /// Bytes of a message's body
    #[arg(long, default_value_t = 128)]
    pub payload: usize,
    /// Messages of one commit of the bare store
    #[arg(long, default_value_t = 1_000)]
    pub bulk: usize,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    if options.senders < options.rooms {
        let what = "a room without a sender: ask for at least as many senders as rooms";
        return Err(BenchError::Options(what.to_owned()));
    }
    bench.need_connections(options.senders)?;
    let node = bench.launch.start("node", options.senders)?;
    let rooms = make_rooms(&mut node.http()?, &node.users, options.rooms)?;
    let mut crowd = connect(&node)?;
    let (mut runs, mut bare) = (Vec::new(), Vec::new());
    let done = rounds(bench, options, &node, &mut crowd, &rooms, &mut runs, &mut bare);
    let rate = |runs: &[f64]| runs.to_vec();
    bench.row(
        Row::new("sends", "bare store", "bulks, one in flight; the same records and indexes").with(
            "acknowledged",
            "1/s",
            rate(&bare),
        ),
    );
    let node_rates: Vec<f64> = runs.iter().map(Answered::per_second).collect();
    let ratios: Vec<f64> = node_rates.iter().zip(&bare).map(|(node, bare)| node / bare).collect();
    bench.row(row(&runs).with("ratio to the bare store", "", ratios.clone()));
    done?;
    let ratio = median(&ratios);
    match own_limit(&runs).filter(|_| ratio < TARGET) {
        None => bench.outcome.at_least("P5", "sends by those of the bare store", ratio, TARGET),
        Some(remark) => bench.outcome.remarks.push(remark),
    }
    Ok(())
}

fn rounds(
    bench: &mut Bench,
    options: &Options,
    node: &Node,
    crowd: &mut Crowd,
    rooms: &[String],
    runs: &mut Vec<Answered>,
    bare: &mut Vec<f64>,
) -> Done<()> {
    let (payload, seconds) = (options.payload, options.timing.seconds);
    let store = BareStore { rooms: options.rooms, bulk: options.bulk, rate: 0.0, payload, seconds };
    let span = Span { warm_up: options.timing.warm_up(), measure: options.timing.measure() };
    let body = "x".repeat(payload);
    // Ids of messages go on from run to run.
    let mut number = 0;
    for round in 0..options.timing.pairs {
        let run = store.run()?;
        bare.push(run.messages as f64 / run.seconds.max(1e-9));
        let make = |turn: Turn, out: &mut String| {
            number += 1;
            write_send(turn, &rooms[turn.connection % rooms.len()], number, &body, out);
        };
        let run = ask(crowd, Pace::InFlight(options.in_flight), span, &node.watch(), make)?;
        refuse_errors(&run)?;
        let rate = run.per_second();
        bench.progress(&format!("round {}: {rate:.0} of {:.0}/s", round + 1, bare[round]));
        runs.push(run);
    }
    Ok(())
}

/// Why what was found is the generator's limit, if it is.
fn own_limit(runs: &[Answered]) -> Option<String> {
    let share = median(&runs.iter().map(Answered::generator_share).collect::<Vec<f64>>());
    let percent = 100.0 * share;
    let remark = format!("the generator was at {percent:.0} % of its core: no limit of the node");
    (share >= GENERATOR_SHARE_MAX).then_some(remark)
}

fn row(runs: &[Answered]) -> Row {
    let mut all = crate::generator::histogram();
    for run in runs {
        let _ = all.add(&run.latency_us);
    }
    let each = |value: fn(&Answered) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
    Row::new("sends", "node", "accounts, roles, numbers, metrics, answers to each")
        .with("acknowledged", "1/s", each(Answered::per_second))
        .with("p50", "ms", each(|run| run.latency_us.value_at_quantile(0.5) as f64 / 1e3))
        .with("p99", "ms", each(|run| run.latency_us.value_at_quantile(0.99) as f64 / 1e3))
        .with("CPU per send", "us", each(Answered::server_us))
        .with("generator's core", "%", each(|run| 100.0 * run.generator_share()))
        .with_latency(&all)
}

/// Connects every user, none of whom reads a room.
pub fn connect(node: &Node) -> Done<Crowd> {
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    let seat = |user: &crate::targets::User| Seat { token: user.token.clone(), ..Seat::default() };
    crowd.open(node.users.iter().map(seat).collect(), ABREAST, READY_WITHIN)?;
    Ok(crowd)
}

/// A send that is answered.
pub fn write_send(turn: Turn, room: &str, number: u64, body: &str, out: &mut String) {
    let (id, process) = (turn.id, std::process::id());
    let written = write!(
        out,
        "{{\"op\":\"send\",\"id\":{id},\"room\":\"{room}\",\"client_id\":\"{process}-s{number}\",\
         \"body\":\"{body}\"}}"
    );
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// A load that is refused measures nothing.
pub fn refuse_errors(run: &Answered) -> Done<()> {
    match &run.first_error {
        None => Ok(()),
        Some(first) => {
            let what = format!("{} requests were refused, the first with {first}", run.errors);
            Err(BenchError::target("node", what))
        }
    }
}
