//! What a connection costs that is logged in, reads one room, and is silent (P2).

use super::{ABREAST, Bench, READY_WITHIN, fanout::node_with_rooms};
use crate::{
    error::Done,
    generator::{Crowd, Deaf},
    process::Watch,
    result::Row,
    targets::{Dialect, Floor, Node, Seat, plain_rooms, seats},
};
use std::time::Duration;

/// The node's own heartbeat, as it is set by default.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections to each server, one server after the other
    #[arg(long, default_value_t = 10_000)]
    pub connections: usize,
    /// Users they belong to
    #[arg(long, default_value_t = 1_000)]
    pub users: usize,
    /// Rooms the users are in, one each
    #[arg(long, default_value_t = 5)]
    pub rooms: usize,
    /// Seconds of silence
    #[arg(long, default_value_t = 10.0)]
    pub silence: f64,
}

/// What was found of one server.
struct Found {
    bytes_each: f64,
    processor_each_us: f64,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.connections)?;
    let users = options.users.min(options.connections);
    let floor = Floor::start_pinging(HEARTBEAT)?;
    let sits = seats(&[], &plain_rooms(options.rooms), options.connections);
    let crowd = Crowd::new("floor", Dialect::Plain, vec![floor.address])?;
    measure(bench, "floor", crowd, &floor.child.watch(), sits, options)?;
    drop(floor);
    let (node, rooms) = node_with_rooms(&bench.launch, "node", users, options.rooms)?;
    // On its data again: the imports and calls that made them are no part of a connection.
    let mut node = node;
    node.kill_and_restart()?;
    let found = node_idle(bench, "node", &node, &rooms, options)?;
    node.restart_over_tls()?;
    node_idle(bench, "node, TLS", &node, &rooms, options)?;
    bench.outcome.at_most("P2", "resident bytes of an idle connection", found.bytes_each, 3_072.0);
    let claim = "CPU of an idle connection, us a second";
    bench.outcome.at_most("P2", claim, found.processor_each_us, 1.0);
    Ok(())
}

fn node_idle(
    bench: &mut Bench,
    name: &str,
    node: &Node,
    rooms: &[String],
    options: &Options,
) -> Done<Found> {
    let crowd = Crowd::new(name, Dialect::Madang, vec![node.address()])?.over(node.tls());
    let seats = seats(&node.users, rooms, options.connections);
    measure(bench, name, crowd, &node.watch(), seats, options)
}

fn measure(
    bench: &mut Bench,
    name: &str,
    mut crowd: Crowd,
    watch: &Watch,
    seats: Vec<Seat>,
    options: &Options,
) -> Done<Found> {
    let count = seats.len() as f64;
    let before = watch.usage()?;
    bench.progress(&format!("{name}: opening {count} connections"));
    crowd.open(seats, ABREAST, READY_WITHIN)?;
    crowd.settle(Duration::from_secs(2), &mut Deaf)?;
    let opened = watch.usage()?;
    bench.progress(&format!("{name}: silent for {} s", options.silence));
    crowd.listen_for(Duration::from_secs_f64(options.silence), &mut Deaf)?;
    crowd.all_live()?;
    let after = watch.usage()?;
    let grown = after.resident_bytes.saturating_sub(before.resident_bytes) as f64;
    let busy_us = after.since(&opened).processor_ns as f64 / 1e3 / options.silence.max(1e-9);
    let opening_us = opened.since(&before).processor_ns as f64 / 1e3;
    let found = Found { bytes_each: grown / count, processor_each_us: busy_us / count };
    let row = Row::new("idle", name, "")
        .with("connections", "", vec![count])
        .with("RSS each", "bytes", vec![found.bytes_each])
        .with("CPU each", "us/s", vec![found.processor_each_us])
        .with("CPU to open", "us", vec![opening_us / count])
        .with("RSS before", "MiB", vec![before.resident_bytes as f64 / f64::from(1 << 20)]);
    bench.row(row);
    Ok(found)
}
