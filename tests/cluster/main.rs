//! Nodes on real servers: a single one on MongoDB, and clusters, as their users meet them.

mod bad_surroundings;
mod bus;
mod callers;
mod clocks;
mod commands;
mod copies;
mod cost;
mod ground;
mod nodes;
mod partitions;
mod presence;
mod random;
mod redis;
mod redis_cost;
mod redis_masters;
mod secured;
mod shared;
mod single;
mod store;
mod talking;
mod trouble;

/// The binary under test.
fn launch() -> madang_testkit::Launch {
    madang_testkit::Launch::new(env!("CARGO_BIN_EXE_madang"))
}
