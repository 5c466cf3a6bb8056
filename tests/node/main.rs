//! The whole node as its users meet it: the real binary, real sockets, real files, and a client
//! that shares no type with it.

mod accounts;
mod bad_frames;
mod bad_requests;
mod command_line;
mod cost;
mod durability;
mod http_edge;
mod limits;
mod liveness;
mod operations;
mod resume;
mod rooms;
mod strangers;
mod talking;

use madang_testkit::Launch;

/// The binary under test.
fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_madang"))
}
