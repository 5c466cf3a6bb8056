//! A store that stands still (P9): what those feel who do not need it.
//!
//! The node's store is a replica set of MongoDB here, because a process can be stopped: all three
//! members are, in the middle of the second of three equal spans. Pings and typing are asked on a
//! schedule and answered; signals are heard by their room.

use super::{ABREAST, Bench, READY_WITHIN, ground::Ground, sends::refuse_errors};
use crate::{
    error::Done,
    generator::{Answered, Crowd, Pace, Span, Turn, ask},
    result::{Row, median},
    targets::{Dialect, Node, make_rooms, seats},
};
use std::{fmt::Write, time::Duration};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// Rooms they read, one each
    #[arg(long, default_value_t = 10)]
    pub rooms: usize,
    /// Requests a second, of each kind the third part
    #[arg(long, default_value_t = 600.0)]
    pub rate: f64,
    /// Seconds for which the store stands still
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    /// Times, each with a quiet span before
    #[arg(long, default_value_t = 3)]
    pub pairs: usize,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.connections)?;
    bench.progress("starting MongoDB");
    let ground = Ground::mongo_alone()?;
    let launch = ground.on_mongo(&bench.launch, "stall");
    let node = launch.start("node", options.connections)?;
    let rooms = make_rooms(&mut node.http()?, &node.users, options.rooms)?;
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    crowd.open(seats(&node.users, &rooms, options.connections), ABREAST, READY_WITHIN)?;
    // The first of everything is looked up; none of that belongs to the measurement.
    span(&mut crowd, &node, &rooms, options)?;
    let (mut quiet, mut stalled) = (Vec::new(), Vec::new());
    let mut done = Ok(());
    for run in 0..options.pairs {
        bench.progress(&format!("run {} of {}", run + 1, options.pairs));
        done = pair(&ground, &mut crowd, &node, &rooms, options, &mut quiet, &mut stalled);
        if done.is_err() {
            break;
        }
    }
    bench.row(row("store at work", &quiet));
    bench.row(row("store stands still", &stalled));
    done?;
    judge(bench, "p99 of pings and typing, ms", &quiet, &stalled, answers_ms);
    judge(bench, "p99 of signals, ms", &quiet, &stalled, signals_ms);
    Ok(())
}

fn pair(
    ground: &Ground,
    crowd: &mut Crowd,
    node: &Node,
    rooms: &[String],
    options: &Options,
    quiet: &mut Vec<Answered>,
    stalled: &mut Vec<Answered>,
) -> Done<()> {
    quiet.push(span(crowd, node, rooms, options)?);
    ground.pause();
    let run = span(crowd, node, rooms, options);
    ground.resume();
    stalled.push(run?);
    ground.takes_writes();
    Ok(())
}

fn span(crowd: &mut Crowd, node: &Node, rooms: &[String], options: &Options) -> Done<Answered> {
    let measure = Duration::from_secs_f64(options.seconds);
    let span = Span { warm_up: Duration::ZERO, measure };
    let make = |turn: Turn, out: &mut String| request(turn, rooms, out);
    let run = ask(crowd, Pace::Rate(options.rate), span, &node.watch(), make)?;
    refuse_errors(&run)?;
    Ok(run)
}

/// A ping, a signal or a word on typing, in turn.
fn request(turn: Turn, rooms: &[String], out: &mut String) {
    let (id, room) = (turn.id, &rooms[turn.connection % rooms.len()]);
    let written = match turn.number % 3 {
        0 => write!(out, "{{\"op\":\"ping\",\"id\":{id}}}"),
        1 => write!(out, "{{\"op\":\"signal\",\"room\":\"{room}\",\"data\":\"~{id}\"}}"),
        _ => write!(out, "{{\"op\":\"typing\",\"id\":{id},\"room\":\"{room}\",\"on\":true}}"),
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

fn answers_ms(run: &Answered) -> f64 {
    run.latency_us.value_at_quantile(0.99) as f64 / 1e3
}

fn signals_ms(run: &Answered) -> f64 {
    run.heard_us.value_at_quantile(0.99) as f64 / 1e3
}

fn row(name: &str, runs: &[Answered]) -> Row {
    let each = |value: fn(&Answered) -> f64| runs.iter().map(value).collect::<Vec<f64>>();
    Row::new("stall", name, "")
        .with("p99 of pings and typing", "ms", each(answers_ms))
        .with("p99 of signals", "ms", each(signals_ms))
        .with("answered", "1/s", each(Answered::per_second))
}

fn judge(
    bench: &mut Bench,
    claim: &str,
    quiet: &[Answered],
    stalled: &[Answered],
    value: fn(&Answered) -> f64,
) {
    let of = |runs: &[Answered]| median(&runs.iter().map(value).collect::<Vec<f64>>());
    bench.outcome.at_most("P9", claim, of(stalled), 1.2 * of(quiet) + 1.0);
}
