//! New connections (P7): what one costs with its upgrade, `hello` and one room, and how long a
//! thousand take that come at once.

use super::{Bench, READY_WITHIN, fanout::node_with_rooms};
use crate::{
    error::Done,
    generator::{Crowd, Deaf},
    process::Watch,
    result::{Row, median},
    targets::{Dialect, Floor, Seat, plain_rooms, seats},
};
use std::time::Duration;

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections that come at once
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Rooms they read, one each
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Times, the floor and the node in turn
    #[arg(long, default_value_t = 9)]
    pub pairs: usize,
}

/// What was found of one server, time after time.
#[derive(Default)]
struct Found {
    processor_us: Vec<f64>,
    all_ms: Vec<f64>,
    p99_ms: Vec<f64>,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.connections)?;
    let floor = Floor::start()?;
    let users = options.connections;
    let (node, rooms) = node_with_rooms(&bench.launch, "node", users, options.rooms)?;
    let mut plain = Crowd::new("floor", Dialect::Plain, vec![floor.address])?;
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![node.address()])?;
    let (mut beneath, mut found) = (Found::default(), Found::default());
    let plain_seats = seats(&[], &plain_rooms(options.rooms), options.connections);
    let node_seats = seats(&node.users, &rooms, options.connections);
    let mut done = Ok(());
    for round in 0..options.pairs {
        done = storm(&mut plain, plain_seats.clone(), &floor.child.watch(), &mut beneath)
            .and_then(|()| storm(&mut crowd, node_seats.clone(), &node.watch(), &mut found));
        if done.is_err() {
            break;
        }
        let took = found.all_ms[round];
        bench.progress(&format!("round {}: all ready after {took:.0} ms", round + 1));
    }
    let ratios = found.processor_us.iter().zip(&beneath.processor_us);
    let ratios: Vec<f64> = ratios.map(|(node, floor)| node / floor).collect();
    bench.row(beneath.row("floor", "upgrade and JOIN; no session to look up"));
    bench.row(found.row("node", "upgrade, hello, one room").with("ratio to the floor", "", ratios));
    done?;
    let outcome = &mut bench.outcome;
    outcome.at_most("P7", "CPU of a new connection, us", median(&found.processor_us), 250.0);
    let claim = "all that came at once are ready, ms";
    outcome.at_most("P7", claim, median(&found.all_ms), 1_000.0);
    Ok(())
}

/// All at once, and gone again.
fn storm(crowd: &mut Crowd, seats: Vec<Seat>, watch: &Watch, found: &mut Found) -> Done<()> {
    let count = seats.len();
    let before = watch.usage()?;
    let opened = crowd.open(seats, count, READY_WITHIN)?;
    let used = watch.usage()?.since(&before);
    crowd.settle(Duration::from_secs(2), &mut Deaf)?;
    crowd.cut();
    quiet(watch)?;
    found.processor_us.push(used.processor_ns as f64 / 1e3 / count as f64);
    found.all_ms.push(opened.took_ns as f64 / 1e6);
    found.p99_ms.push(opened.each_us.value_at_quantile(0.99) as f64 / 1e3);
    Ok(())
}

/// Waits until the server has buried its dead, ten seconds at most.
fn quiet(watch: &Watch) -> Done<()> {
    const LOOK: Duration = Duration::from_millis(100);
    const IDLE_NS: u64 = 5_000_000;
    let mut before = watch.usage()?;
    for _ in 0..100 {
        crate::targets::pause(LOOK);
        let now = watch.usage()?;
        if now.since(&before).processor_ns < IDLE_NS {
            break;
        }
        before = now;
    }
    Ok(())
}

impl Found {
    fn row(&self, subject: &str, note: &str) -> Row {
        Row::new("connect", subject, note)
            .with("CPU each", "us", self.processor_us.clone())
            .with("all ready", "ms", self.all_ms.clone())
            .with("p99 ready", "ms", self.p99_ms.clone())
    }
}
