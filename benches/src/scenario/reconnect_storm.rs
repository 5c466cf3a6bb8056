//! Everybody is cut off at once, comes back at once, and resumes: what was missed is replayed to each.
//!
//! First a network that broke: the node lives on. Then a node that was killed: it reads its store
//! again before anybody can come.

use super::{ABREAST, Bench, READY_WITHIN, fanout::node_with_rooms};
use crate::{
    error::{BenchError, Done},
    generator::{Crowd, Listener},
    result::Row,
    targets::{Dialect, Node, Seat, seats},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// What to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Connections
    #[arg(long, default_value_t = 1_000)]
    pub connections: usize,
    /// Rooms they read, one each
    #[arg(long, default_value_t = 20)]
    pub rooms: usize,
    /// Messages of each room that they miss
    #[arg(long, default_value_t = 20)]
    pub missed: usize,
    /// Times
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
}

/// For what was missed, once a connection is ready.
const REPLAYED_WITHIN: Duration = Duration::from_secs(60);

/// Counts messages that are replayed.
struct Replayed {
    messages: usize,
}

impl Listener for Replayed {
    fn hear(&mut self, _connection: usize, payload: &[u8], _now: u64) {
        self.messages += usize::from(payload.starts_with(b"{\"op\":\"message\""));
    }
}

/// What one storm was like.
struct Storm {
    down_ms: f64,
    ready_ms: f64,
    p99_ms: f64,
    all_ms: f64,
    processor_us: f64,
}

/// Runs it.
pub fn run(bench: &mut Bench, options: &Options) -> Done<()> {
    bench.need_connections(options.connections)?;
    let (node, rooms) = node_with_rooms(&bench.launch, "node", options.connections, options.rooms)?;
    let mut storms = Storms { node, rooms, seq: 0 };
    let mut crowd = Crowd::new("node", Dialect::Madang, vec![storms.node.address()])?;
    let seats = seats(&storms.node.users, &storms.rooms, options.connections);
    crowd.open(seats, ABREAST, READY_WITHIN)?;
    for (name, kills) in [("the network broke", false), ("the node was killed", true)] {
        let mut found = Vec::new();
        let mut done = Ok(());
        for run in 0..options.runs {
            bench.progress(&format!("{name}: run {}", run + 1));
            match storms.one(&mut crowd, options, kills) {
                Ok(storm) => found.push(storm),
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
        }
        bench.row(row(name, &found));
        done?;
    }
    Ok(())
}

struct Storms {
    node: Node,
    rooms: Vec<String>,
    /// The last seq of every room.
    seq: u64,
}

impl Storms {
    fn one(&mut self, crowd: &mut Crowd, options: &Options, kills: bool) -> Done<Storm> {
        let mut seats = crowd.cut();
        let read = self.seq;
        self.miss(options.missed)?;
        let down = if kills { self.node.kill_and_restart()? } else { Duration::ZERO };
        seats.iter_mut().for_each(|seat: &mut Seat| seat.after_seq = Some(read));
        let (count, before) = (seats.len(), self.node.watch().usage()?);
        let (begun, mut replayed) = (Instant::now(), Replayed { messages: 0 });
        let opened = crowd.open_to(seats, count, READY_WITHIN, &mut replayed)?;
        let wanted = count * options.missed;
        while replayed.messages < wanted && begun.elapsed() < REPLAYED_WITHIN {
            crowd.listen_for(Duration::from_millis(5), &mut replayed)?;
        }
        if replayed.messages != wanted {
            let what = format!("{} messages were replayed instead of {wanted}", replayed.messages);
            return Err(BenchError::target("node", what));
        }
        let used = self.node.watch().usage()?.since(&before);
        Ok(Storm {
            down_ms: down.as_secs_f64() * 1e3,
            ready_ms: opened.took_ns as f64 / 1e6,
            p99_ms: opened.each_us.value_at_quantile(0.99) as f64 / 1e3,
            all_ms: begun.elapsed().as_secs_f64() * 1e3,
            processor_us: used.processor_ns as f64 / 1e3 / count as f64,
        })
    }

    /// Says so much in every room while nobody is there.
    fn miss(&mut self, count: usize) -> Done<()> {
        let mut http = self.node.http()?;
        for (place, room) in self.rooms.iter().enumerate() {
            let path = format!("/v1/rooms/{room}/messages");
            for number in 0..count as u64 {
                let client_id = format!("missed-{}", self.seq + number);
                let body = json!({"client_id": client_id, "body": "x".repeat(100)});
                http.post(&path, &self.node.users[place].token, &body)?;
            }
        }
        self.seq += count as u64;
        Ok(())
    }
}

fn row(name: &str, storms: &[Storm]) -> Row {
    let each = |value: fn(&Storm) -> f64| storms.iter().map(value).collect::<Vec<f64>>();
    Row::new("reconnect storm", name, "")
        .with("node down", "ms", each(|storm| storm.down_ms))
        .with("p99 ready", "ms", each(|storm| storm.p99_ms))
        .with("all ready", "ms", each(|storm| storm.ready_ms))
        .with("all replayed", "ms", each(|storm| storm.all_ms))
        .with("CPU each", "us", each(|storm| storm.processor_us))
}
