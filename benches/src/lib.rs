//! Benches of real nodes over real sockets, and micro benches of the parts.
//!
//! `cargo run --release -p madang-bench -- SCENARIO` starts the node, drives it, and writes what it
//! found as a table and a file of JSON; `report` makes pages with plots of such files. Users size
//! machines by it, developers keep the node fast by it.
//!
//! * [`generator`] is the load: one thread, open loop, latency counted from the schedule.
//! * [`targets`] is what is measured: the node, and beside it in the same run the [`floor`], the bare
//!   store, and the peers a user might pick instead.
//! * [`scenario`] has a module for each question, [`rounds`] interleaves what they compare.
//! * [`result`] is what a run leaves behind, [`report`] the page made of it.
//! * [`micro`] are the parts, each beside the floor it stands on; `cargo bench -p madang-bench`.
//!
//! Machines are shared and noisy: only ratios of what ran in turn mean something, and each comes with
//! the floor's ratio to itself. `tests/` runs everything small, so that none rots. No bench gates
//! anything.

pub mod cli;
pub mod clock;
pub mod error;
pub mod floor;
pub mod frame;
pub mod generator;
pub mod micro;
pub mod pairs;
pub mod process;
pub mod report;
pub mod result;
pub mod rounds;
pub mod scenario;
pub mod targets;
