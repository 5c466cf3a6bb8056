//! Three nodes beside one (P11), all on the same MongoDB: processor time of a delivery, and how often
//! a room's commit is published.
//!
//! Only messages are sent; the readers of every room are spread over all nodes. A room that was active
//! within the last minute also announces once a second where it stands, as a batch of nothing, commit or
//! no commit: how many these are is seen while nobody sends, and they are taken off.

use super::{
    ABREAST, Bench, READY_WITHIN, Timing,
    fanout::{Size, node_with_rooms, open_node},
    ground::Ground,
};
use crate::{
    error::{BenchError, Done},
    generator::{Crowd, Deaf},
    process::Watch,
    result::{Row, median},
    rounds::{Entrant, Rounds, Server, run as run_rounds},
    targets::{Dialect, Kind, Metrics, Node, make_rooms, seats},
};
use std::time::{Duration, Instant};

/// How long announcements are counted for themselves.
const QUIET: Duration = Duration::from_secs(10);
/// Their number in a time is known to about one for each room.
const INEXACT: f64 = 0.02;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Rooms; no multiple of the number of nodes, so that each room has readers on all
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Nodes of the cluster
    #[arg(long, default_value_t = 3)]
    pub nodes: usize,
    /// The rate is also multiplied by this; 0: only once
    #[arg(long, default_value_t = 10.0)]
    pub times: f64,
    /// How much.
    #[command(flatten)]
    pub size: Size,
    /// How long.
    #[command(flatten)]
    pub timing: Timing,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    if options.nodes == 0 || options.nodes > 1 && options.rooms.is_multiple_of(options.nodes) {
        let what = "--rooms must be no multiple of --nodes: readers of a room would share a node";
        return Err(BenchError::Options(what.to_owned()));
    }
    let size = &options.size;
    bench.need_connections(2 * size.connections)?;
    bench.progress("starting MongoDB and NATS");
    let ground = Ground::for_cluster()?;
    let alone = ground.on_mongo(&bench.launch, "alone");
    let (node, rooms) = node_with_rooms(&alone, "one node", size.connections, options.rooms)?;
    let nodes = start_nodes(bench, &ground, options)?;
    let shared = make_rooms(&mut nodes[0].http()?, &nodes[0].users, options.rooms)?;
    bench.progress("opening connections");
    let mut servers = vec![open_node(&node, &rooms, size)?, open_nodes(&nodes, &shared, size)?];
    one(bench, "W1", &mut servers, [&rooms, &shared], &nodes, options, (1.0, 1.5))?;
    if options.times > 0.0 {
        let name = format!("W1 at {} times its rate", options.times);
        one(bench, &name, &mut servers, [&rooms, &shared], &nodes, options, (options.times, 1.25))?;
    }
    Ok(())
}

fn start_nodes(bench: &mut Bench, ground: &Ground, options: &Options) -> Done<Vec<Node>> {
    let launch = ground.in_cluster(&bench.launch, "cluster");
    let named = |number: usize| launch.clone().with("node-name", format!("n{number}"));
    let mut nodes = vec![named(1).start("n1", options.size.connections)?];
    for number in 2..=options.nodes {
        bench.progress(&format!("starting node {number}"));
        let directory = tempfile::tempdir()
            .map_err(|source| BenchError::Io { doing: "making a directory".to_owned(), source })?;
        let users = nodes[0].users.clone();
        nodes.push(named(number).start_in(&format!("n{number}"), users, directory)?);
    }
    Ok(nodes)
}

fn open_nodes(nodes: &[Node], rooms: &[String], size: &Size) -> Done<Server> {
    let addresses = nodes.iter().map(Node::address).collect();
    let mut crowd = Crowd::new("cluster", Dialect::Madang, addresses)?;
    crowd.open(seats(&nodes[0].users, rooms, size.connections), ABREAST, READY_WITHIN)?;
    let ids = nodes.iter().map(|node| node.child().id()).collect();
    Ok(Server { crowd, watch: Watch::new("cluster", ids) })
}

fn one(
    bench: &mut Bench,
    group: &str,
    servers: &mut [Server],
    rooms: [&[String]; 2],
    nodes: &[Node],
    options: &Options,
    (times, limit): (f64, f64),
) -> Done<()> {
    let size = Size { rate: options.size.rate * times, ..options.size.clone() };
    let entrant = |server: usize, name: &str, note: &str| Entrant {
        name: name.to_owned(),
        note: note.to_owned(),
        server,
        load: size.load(rooms[server].to_vec(), Kind::Send, &options.timing),
    };
    let several = format!("{} nodes", options.nodes);
    let entrants = [
        entrant(0, "one node", "the floor of this comparison; its ratio is to itself"),
        entrant(1, &several, "the sum of all; NATS and MongoDB are not counted"),
    ];
    let (mut rounds, before) = (Rounds::default(), published(nodes)?);
    let done = run_rounds(servers, &entrants, options.timing.pairs, &mut rounds, |text| {
        bench.progress(&format!("{group} {text}"));
    });
    for (place, entrant) in entrants.iter().enumerate() {
        bench.row(rounds.row(group, entrant, place));
    }
    done?;
    let publishes = published(nodes)?.since(&before);
    bench.progress(&format!("{group}: counting announcements"));
    let quiet = published(nodes)?;
    servers[1].crowd.listen_for(QUIET, &mut Deaf)?;
    servers[0].crowd.settle(QUIET, &mut Deaf)?;
    let announced = published(nodes)?.since(&quiet);
    bench.row(publishes.row(group, &announced));
    let outcome = &mut bench.outcome;
    let claim = format!("{group}: CPU per delivery by that of one node");
    outcome.at_most("P11", &claim, median(&rounds.ratios(1)), limit);
    let (claim, each) = (format!("{group}: publishes of a commit"), publishes.each(&announced));
    outcome.at_most("P11", &claim, each, 1.0 + INEXACT);
    Ok(())
}

/// What all nodes published and committed.
#[derive(Debug, Clone, Copy)]
struct Published {
    at: Instant,
    /// Batches, announcements among them.
    batches: f64,
    /// Batches that their rooms committed.
    commits: f64,
}

impl Published {
    fn since(&self, before: &Self) -> Lately {
        Lately {
            seconds: (self.at - before.at).as_secs_f64(),
            batches: self.batches - before.batches,
            commits: self.commits - before.commits,
        }
    }
}

/// The same in a time.
#[derive(Debug, Clone, Copy)]
struct Lately {
    seconds: f64,
    batches: f64,
    commits: f64,
}

impl Lately {
    /// Batches for each that was committed, without announcements; `quiet` is a time in which there was
    /// nothing else.
    fn each(&self, quiet: &Self) -> f64 {
        (self.batches - self.seconds * quiet.per_second()) / self.commits.max(1.0)
    }

    fn per_second(&self) -> f64 {
        self.batches / self.seconds.max(1e-9)
    }

    fn row(&self, group: &str, quiet: &Self) -> Row {
        Row::new(group, "NATS", "announcements: a room says once a second where it stands")
            .with("batches", "1/s", vec![self.per_second()])
            .with("commits", "1/s", vec![self.commits / self.seconds.max(1e-9)])
            .with("announcements", "1/s", vec![quiet.per_second()])
    }
}

fn published(nodes: &[Node]) -> Done<Published> {
    let mut sum = Published { at: Instant::now(), batches: 0.0, commits: 0.0 };
    for node in nodes {
        let metrics = Metrics::of(&mut node.http()?)?;
        sum.batches += metrics.sum("madang_bus_sent_total", "kind=\"batch\"");
        sum.commits += metrics.sum("madang_room_commit_seconds_count", "");
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_no_publishes_of_commits() {
        let measured = Lately { seconds: 60.0, batches: 7_200.0, commits: 6_000.0 };
        let quiet = Lately { seconds: 10.0, batches: 200.0, commits: 0.0 };
        assert_eq!(measured.each(&quiet), 1.0);
    }
}
