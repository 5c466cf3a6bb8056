//! One module for each question.

pub mod cluster;
pub mod connect;
pub mod fanout;
pub mod ground;
pub mod growth;
pub mod idle;
pub mod receipts;
pub mod reconnect_storm;
pub mod room_list;
pub mod saturate;
pub mod seed;
pub mod sends;
pub mod stall;

use crate::{
    error::{BenchError, Doing, Done},
    process::{cores, need_descriptors, pin},
    result::{Outcome, Row},
    targets::{Launch, peers::PeerKind},
};
use serde_json::Value;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Descriptors that are not connections.
const SPARE_DESCRIPTORS: u64 = 200;
/// A generator that is busier than this measures itself.
pub const GENERATOR_SHARE_MAX: f64 = 0.9;
/// How many connections are opened at a time, before anything is measured.
pub const ABREAST: usize = 200;
/// For all connections to be ready.
pub const READY_WITHIN: Duration = Duration::from_secs(120);

/// What every scenario takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Common {
    /// The node's program [default: `madang` beside this one]
    #[arg(long, value_name = "PATH")]
    pub node: Option<PathBuf>,
    /// Where the result goes [default: target/bench/SCENARIO-TIME.json]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Settings of the node beside those of the scenario, such as `outbox-bytes-max=65536`
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// How windows are measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Timing {
    /// Interleaved rounds
    #[arg(long, default_value_t = 9)]
    pub pairs: usize,
    /// Seconds before each window that do not count
    #[arg(long, default_value_t = 1.0)]
    pub warm_up: f64,
    /// Seconds of each window
    #[arg(long, default_value_t = 4.0)]
    pub seconds: f64,
}

/// What is compared with.
#[derive(Debug, Clone, clap::Args)]
pub struct Peers {
    /// Servers on Node to measure too; installed from their registry into target/peers
    #[arg(long, value_delimiter = ',', num_args = 0.., default_missing_value = "ws,socket-io,socket-io-redis")]
    pub peers: Vec<PeerKind>,
}

impl Timing {
    /// Before each window.
    pub fn warm_up(&self) -> Duration {
        Duration::from_secs_f64(self.warm_up.max(0.0))
    }

    /// Each window.
    pub fn measure(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.max(0.05))
    }
}

/// A run under way: what scenarios put their findings into.
pub struct Bench {
    /// What was found so far.
    pub outcome: Outcome,
    /// How to start nodes.
    pub launch: Launch,
    out: PathBuf,
    begun: Instant,
    shown: Option<Instant>,
}

impl Bench {
    /// Begins one.
    ///
    /// # Errors
    /// When the node is missing, or a setting is none.
    pub fn begin(scenario: &str, common: &Common, parameters: Value) -> Done<Self> {
        pin(std::iter::once(cores() - 1))?;
        let mut launch = Launch::find(common.node.as_deref())?;
        for setting in &common.set {
            let Some((name, value)) = setting.split_once('=') else {
                let what = format!("--set {setting}: must be NAME=VALUE");
                return Err(BenchError::Options(what));
            };
            launch = launch.with(name, value);
        }
        let mut outcome = Outcome::new(scenario, parameters);
        outcome.versions.insert("node".to_owned(), launch.version());
        let default = || default_out(scenario, outcome.began);
        let out = match &common.out {
            Some(out) => out.clone(),
            None => default()?,
        };
        Ok(Self { outcome, launch, out, begun: Instant::now(), shown: None })
    }

    /// Adds a finding.
    pub fn row(&mut self, row: Row) {
        self.outcome.rows.push(row);
    }

    /// Makes sure that so many connections may be open here and in a server.
    pub fn need_connections(&self, connections: usize) -> Done<()> {
        need_descriptors(connections as u64 + SPARE_DESCRIPTORS)
    }

    /// Says how far it is: on a terminal in place, elsewhere at most every five seconds.
    pub fn progress(&mut self, text: &str) {
        const SELDOM: Duration = Duration::from_secs(5);
        let seconds = self.begun.elapsed().as_secs();
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[K{seconds:4} s  {text}");
        } else if self.shown.is_none_or(|shown| shown.elapsed() > SELDOM) {
            self.shown = Some(Instant::now());
            eprintln!("{seconds:4} s  {text}");
        }
    }

    /// Ends it: writes the file and shows the table, also of a part. Returns whether it is whole.
    pub fn end(mut self, done: Done<()>) -> Done<bool> {
        self.outcome.seconds = self.begun.elapsed().as_secs_f64();
        self.outcome.complete = done.is_ok();
        self.outcome.problem = done.err().map(|error| error.to_string());
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
        println!("{}", self.outcome);
        self.outcome.write(&self.out)?;
        println!("written to {}", self.out.display());
        Ok(self.outcome.complete)
    }
}

/// Below `target/bench` of where the program is.
fn default_out(scenario: &str, began: u64) -> Done<PathBuf> {
    let program = std::env::current_exe().doing(|| "finding the own program".to_owned())?;
    let target = program.ancestors().nth(2).unwrap_or(Path::new("."));
    Ok(target.join("bench").join(format!("{scenario}-{began}.json")))
}
