//! What happens when there is more of everything.
//!
//! * Connections and rooms (P10): the node's ratio to the floor at the same size, and memory. The
//!   number of deliveries a second is the same at every size.
//! * Stored messages (P14): a send, a page of history and the list of rooms, and how long the node
//!   takes to be ready again after kill -9.

use super::{
    Bench, SPARE_DESCRIPTORS, Timing,
    fanout::{Size, node_with_rooms, open_floor, open_node},
    sends::{connect, refuse_errors, write_send},
};
use crate::{
    error::{BenchError, Done},
    generator::{Crowd, Pace, Span, Turn, Window, ask},
    process::allowed_descriptors,
    result::{Row, median},
    rounds::{Entrant, Rounds, Server, run as run_rounds},
    targets::{Floor, Kind, Node, make_rooms, plain_rooms},
};
use std::{fmt::Write, str::FromStr, time::Duration};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Rooms and connections of each step
    #[arg(long, value_delimiter = ',', default_value = "10:100,100:1000,1000:9000,1000:19000")]
    pub sizes: Vec<Step>,
    /// Deliveries a second at every size
    #[arg(long, default_value_t = 20_000.0)]
    pub deliveries: f64,
    /// Messages stored at each step
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    pub stored: Vec<u64>,
    /// Requests of each kind that are timed at each step
    #[arg(long, default_value_t = 1_000)]
    pub requests: usize,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
}

/// `rooms:connections`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    rooms: usize,
    connections: usize,
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: must be ROOMS:CONNECTIONS, with at least one in each room");
        let (rooms, connections) = text.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
        let step = Self { rooms: number(rooms)?, connections: number(connections)? };
        if step.rooms == 0 || step.connections < step.rooms {
            return Err(wrong());
        }
        Ok(step)
    }
}

/// Rooms that the stored messages are spread over.
const STORED_ROOMS: usize = 10;
/// Unanswered sends of each sender while messages are stored.
const IN_FLIGHT: usize = 32;
/// How long one part of the storing takes at most.
const SPELL: Duration = Duration::from_secs(2);

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    let most = options.sizes.iter().map(|step| step.connections).max().unwrap_or(0);
    bench.need_connections(most)?;
    let mut ratios = Vec::new();
    for step in &options.sizes {
        ratios.push(connections(bench, *step, options)?);
    }
    if ratios.len() > 1 {
        let spread = spread(&ratios);
        bench.outcome.at_most("P10", "ratios to the floor, largest by smallest", spread, 1.15);
    }
    if !options.stored.is_empty() {
        stored(bench, options)?;
    }
    Ok(())
}

fn spread(values: &[f64]) -> f64 {
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    high / low.max(1e-9)
}

/// The ratio at this size.
fn connections(bench: &mut Bench, step: Step, options: &Options) -> Done<f64> {
    let group = format!("{} rooms, {} connections", step.rooms, step.connections);
    bench.progress(&format!("{group}: opening"));
    let both = 2 * step.connections as u64 + SPARE_DESCRIPTORS;
    let found = if both <= allowed_descriptors() {
        together(bench, &group, step, options)?
    } else {
        one_after_the_other(bench, &group, step, options)?
    };
    let each = found.grown / step.connections as f64;
    let entrants = entrants(step, &[], options);
    bench.row(found.rounds.row(&group, &entrants[0], 0));
    bench.row(found.rounds.row(&group, &entrants[1], 1).with("RSS each", "bytes", vec![each]));
    found.done?;
    Ok(median(&found.rounds.ratios(1)))
}

/// What was measured at a size, of a part of it where that was not `done`.
struct Found {
    rounds: Rounds,
    /// Bytes that connections added to the node's memory.
    grown: f64,
    done: Done<()>,
}

fn size(step: Step, options: &Options) -> Size {
    let rate = options.deliveries / step.connections as f64;
    Size { connections: step.connections, rate, payload: 128 }
}

fn entrants(step: Step, ids: &[String], options: &Options) -> [Entrant; 2] {
    let entrant = |server, name: &str, rooms| Entrant {
        name: name.to_owned(),
        note: String::new(),
        server,
        load: size(step, options).load(rooms, Kind::Signal, &options.timing),
    };
    let plain = plain_rooms(step.rooms);
    [entrant(0, "floor", plain), entrant(1, "node, signal", ids.to_vec())]
}

/// Floor and node take turns.
fn together(bench: &mut Bench, group: &str, step: Step, options: &Options) -> Done<Found> {
    let (floor, size) = (Floor::start()?, size(step, options));
    let (node, ids) = node_with_rooms(&bench.launch, "node", step.connections, step.rooms)?;
    let before = node.watch().usage()?.resident_bytes as f64;
    let mut servers = vec![open_floor(&floor, step.rooms, &size)?, open_node(&node, &ids, &size)?];
    let grown = node.watch().usage()?.resident_bytes as f64 - before;
    let entrants = entrants(step, &ids, options);
    let mut rounds = Rounds::default();
    let done = run_rounds(&mut servers, &entrants, options.timing.pairs, &mut rounds, |text| {
        bench.progress(&format!("{group} {text}"));
    });
    Ok(Found { rounds, grown, done })
}

/// Where the generator cannot hold the connections of both: the floor, the node, the floor again. A
/// window of the node is held against one of the floor before it and one after it, as ever.
fn one_after_the_other(
    bench: &mut Bench,
    group: &str,
    step: Step,
    options: &Options,
) -> Done<Found> {
    let size = size(step, options);
    let remark = format!("{group}: more than can be open to both at once, so one after the other");
    bench.outcome.remarks.push(remark);
    let floor = |bench: &mut Bench| {
        let floor = Floor::start()?;
        let server = open_floor(&floor, step.rooms, &size)?;
        let entrants = entrants(step, &[], options);
        alone(bench, group, server, &entrants[0], options)
    };
    let before = floor(bench)?;
    let (node, ids) = node_with_rooms(&bench.launch, "node", step.connections, step.rooms)?;
    let empty = node.watch().usage()?.resident_bytes as f64;
    let server = open_node(&node, &ids, &size)?;
    let grown = node.watch().usage()?.resident_bytes as f64 - empty;
    let entrant = Entrant { server: 0, ..entrants(step, &ids, options)[1].clone() };
    let mut of_node = alone(bench, group, server, &entrant, options)?;
    of_node.truncate(options.timing.pairs);
    drop(node);
    let after = floor(bench)?;
    let floors = before.into_iter().zip(after).flat_map(|(before, after)| [before, after]);
    let rounds = Rounds { windows: vec![floors.collect(), of_node] };
    Ok(Found { rounds, grown, done: Ok(()) })
}

/// The windows of one that has the machine to itself.
fn alone(
    bench: &mut Bench,
    group: &str,
    server: Server,
    entrant: &Entrant,
    options: &Options,
) -> Done<Vec<Window>> {
    let mut rounds = Rounds::default();
    let entrants = std::slice::from_ref(entrant);
    run_rounds(&mut [server], entrants, options.timing.pairs, &mut rounds, |text| {
        bench.progress(&format!("{group} {text}"));
    })?;
    Ok(rounds.windows.remove(0))
}

/// What is stored, and what was measured of it.
struct Stock {
    node: Node,
    rooms: Vec<String>,
    messages: u64,
}

fn stored(bench: &mut Bench, options: &Options) -> Done<()> {
    // The last part comes on a schedule, whatever the answers do.
    let node = bench.launch.clone().with("in-flight-sends", "0").start("node", STORED_ROOMS)?;
    let rooms = make_rooms(&mut node.http()?, &node.users, STORED_ROOMS)?;
    let mut stock = Stock { node, rooms, messages: 0 };
    let mut medians = vec![Vec::new(); 3];
    for wanted in &options.stored {
        stock.fill(bench, *wanted)?;
        let crowd = &mut connect(&stock.node)?;
        let mut row = Row::new("stored messages", &format!("{} stored", stock.messages), "");
        for (place, kind) in ["send", "history", "room list"].into_iter().enumerate() {
            let times = stock.ask(crowd, kind, options.requests)?;
            medians[place].push(median(&times));
            row = row.with(kind, "us", times);
        }
        let ready = stock.node.kill_and_restart()?.as_secs_f64();
        bench.row(row.with("ready after kill -9", "s", vec![ready]));
        let claim = format!("ready again with {} messages, s", stock.messages);
        bench.outcome.at_most("P14", &claim, ready, 10.0);
    }
    for (kind, medians) in ["send", "history", "room list"].into_iter().zip(&medians) {
        if medians.len() > 1 {
            let claim = format!("{kind}, largest median by smallest");
            bench.outcome.at_most("P14", &claim, spread(medians), 1.15);
        }
    }
    Ok(())
}

impl Stock {
    /// Sends until there are so many.
    fn fill(&mut self, bench: &mut Bench, wanted: u64) -> Done<()> {
        let crowd = &mut connect(&self.node)?;
        let span = Span { warm_up: Duration::ZERO, measure: SPELL };
        let body = "x".repeat(128);
        while self.messages < wanted {
            bench.progress(&format!("{} of {wanted} messages stored", self.messages));
            let (rooms, mut number) = (&self.rooms, self.messages);
            let make = |turn: Turn, out: &mut String| {
                number += 1;
                write_send(turn, &rooms[turn.connection % rooms.len()], number, &body, out);
            };
            let left = (wanted - self.messages) as f64;
            // The last part is stored slowly enough to end near what is wanted.
            let pace = if left > 20_000.0 {
                Pace::InFlight(IN_FLIGHT)
            } else {
                Pace::Rate((left / SPELL.as_secs_f64()).ceil())
            };
            let run = ask(crowd, pace, span, &self.node.watch(), make)?;
            refuse_errors(&run)?;
            self.messages = number;
        }
        Ok(())
    }

    /// Microseconds of each of so many requests, one at a time: the means of ten parts.
    fn ask(&mut self, crowd: &mut Crowd, kind: &str, count: usize) -> Done<Vec<f64>> {
        let mut times = Vec::new();
        let mut http = self.node.http()?;
        for _ in 0..10 {
            let begun = std::time::Instant::now();
            let part = (count / 10).max(1);
            for _ in 0..part {
                match kind {
                    "room list" => drop(http.get("/v1/rooms", &self.node.users[0].token)?),
                    _ => self.one(crowd, kind)?,
                }
            }
            times.push(begun.elapsed().as_secs_f64() * 1e6 / part as f64);
        }
        Ok(times)
    }

    /// A request over the first connection, and its answer.
    fn one(&mut self, crowd: &mut Crowd, kind: &str) -> Done<()> {
        let (mut text, mut frame) = (String::new(), Vec::new());
        self.messages += 1;
        let turn = Turn { connection: 0, number: 0, id: 1 };
        match kind {
            "send" => write_send(turn, &self.rooms[0], self.messages, "one more", &mut text),
            _ => {
                let room = &self.rooms[1 % self.rooms.len()];
                let asked = "{\"op\":\"history\",\"id\":1,\"limit\":50,\"room\":";
                let token = write!(text, "{asked}\"{room}\"}}");
                debug_assert!(token.is_ok(), "a string takes everything");
                self.messages -= 1;
            }
        }
        let owner = usize::from(kind != "send");
        crate::frame::encode_client(crate::frame::TEXT, text.as_bytes(), &mut frame);
        crowd.send(owner, &frame)?;
        crowd.answer(Duration::from_secs(30)).and_then(|answer| {
            let is_good = answer.starts_with(b"{\"op\":\"ok\"");
            let said = || String::from_utf8_lossy(&answer).into_owned();
            if is_good { Ok(()) } else { Err(BenchError::target("node", said())) }
        })
    }
}
