//! Nodes on real servers: a single one on MongoDB, and clusters, as their users meet them.

mod bad_surroundings;
mod ground;
mod single;
mod talking;

/// The binary under test.
fn launch() -> madang_testkit::Launch {
    madang_testkit::Launch::new(env!("CARGO_BIN_EXE_madang"))
}
