//! The command line.

use crate::{
    error::Done,
    floor, report,
    scenario::{
        Bench, Common, cluster, connect, fanout, growth, idle, receipts, reconnect_storm,
        room_list, saturate, seed, sends, stall,
    },
    targets::{BareStore, serve_bare_store},
};
use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value};
use std::{net::SocketAddr, process::ExitCode, time::Duration};

const ABOUT: &str = "Measures Madang nodes over real sockets, beside a floor and beside others.";
const AFTER: &str = "\
Every scenario starts what it needs, prints a table, and writes a file of JSON, also when it could \
not be finished (exit code 1). docs/performance.md says which shows which target.";

/// What was asked for.
#[derive(Debug, Parser)]
#[command(name = "madang-bench", version, about = ABOUT, after_help = AFTER)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deliveries: W1 is 20 rooms of 50, W2 is one room of 1,000 (P1, P4)
    Fanout(With<fanout::Options>),
    /// Connections that are silent: memory and processor time (P2)
    Idle(With<idle::Options>),
    /// Acknowledged messages a second, beside the bare store (P5)
    Sends(With<sends::Options>),
    /// New connections, one by one and all at once (P7)
    Connect(With<connect::Options>),
    /// The most deliveries a second on one core (P3)
    Saturate(With<saturate::Options>),
    /// Read receipts: processor time, and how many share a write (P6)
    Receipts(With<receipts::Options>),
    /// The list of a user's rooms (P8)
    RoomList(With<room_list::Options>),
    /// Everybody comes back at once and resumes
    ReconnectStorm(With<reconnect_storm::Options>),
    /// What a store that stands still does to those who do not need it (P9)
    Stall(With<stall::Options>),
    /// Three nodes beside one, on the same MongoDB (P11)
    Cluster(With<cluster::Options>),
    /// More connections, rooms and stored messages (P10, P14)
    Growth(With<growth::Options>),
    /// The chat of a school: users come until answers are slow
    Seed(With<seed::Options>),
    /// One page of HTML with plots from files of results
    Report(report::Options),
    /// The floor, as a server
    #[command(hide = true)]
    FloorServer {
        #[arg(long)]
        listen: SocketAddr,
        #[arg(long)]
        ping_every_ms: Option<u64>,
    },
    /// The bare store, for one run
    #[command(hide = true)]
    BareStore(BareStore),
}

/// Options of a scenario and those of all.
#[derive(Debug, Args)]
struct With<T: Args> {
    #[command(flatten)]
    own: T,
    #[command(flatten)]
    common: Common,
}

/// Does what the command line asks for. 0: done, 1: failed or incomplete, 2: not understood.
pub fn run() -> ExitCode {
    match obey(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("madang-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn obey(command: Command) -> Done<bool> {
    match command {
        Command::Fanout(with) => scenario("fanout", with, fanout::run),
        Command::Idle(with) => scenario("idle", with, idle::run),
        Command::Sends(with) => scenario("sends", with, sends::run),
        Command::Connect(with) => scenario("connect", with, connect::run),
        Command::Saturate(with) => scenario("saturate", with, saturate::run),
        Command::Receipts(with) => scenario("receipts", with, receipts::run),
        Command::RoomList(with) => scenario("room-list", with, room_list::run),
        Command::ReconnectStorm(with) => scenario("reconnect-storm", with, reconnect_storm::run),
        Command::Stall(with) => scenario("stall", with, stall::run),
        Command::Cluster(with) => scenario("cluster", with, cluster::run),
        Command::Growth(with) => scenario("growth", with, growth::run),
        Command::Seed(with) => scenario("seed", with, seed::run),
        Command::Report(options) => report::run(&options).map(|()| true),
        Command::FloorServer { listen, ping_every_ms } => {
            crate::process::need_descriptors(1_024)?;
            floor::serve(listen, ping_every_ms.map(Duration::from_millis)).map(|()| true)
        }
        Command::BareStore(wanted) => serve_bare_store(&wanted).map(|()| true),
    }
}

fn scenario<T: Args + std::fmt::Debug>(
    name: &str,
    with: With<T>,
    run: impl FnOnce(&mut Bench, &T) -> Done<()>,
) -> Done<bool> {
    let mut bench = Bench::begin(name, &with.common, parameters(&with.own))?;
    let done = run(&mut bench, &with.own);
    bench.end(done)
}

/// The options as they were understood, and the command line as it was given.
fn parameters(options: &impl std::fmt::Debug) -> Value {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let mut parameters = Map::new();
    parameters.insert("command".to_owned(), given.join(" ").into());
    parameters.insert("options".to_owned(), format!("{options:?}").into());
    Value::Object(parameters)
}
