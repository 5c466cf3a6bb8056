//! The floor: the least a server has to do to deliver a message. No accounts, no numbers, no store,
//! no limits; one thread, one epoll.
//!
//! `JOIN room` is answered `OK`, `PUB payload` goes to everybody in the room, the sender too. A
//! message is framed once and shared; every reader gets one write for all that waits for it when the
//! sockets that were readable have been read. That is the cost of the kernel's send and hardly
//! anything else, so a node is measured against it. It may get faster, never slower:
//! `tests/floor.rs` counts its system calls.
//!
//! * `connection` is one socket, what waits for it, and how that is written.
//! * `server` is the loop.
//! * `pings` are sent only where it is asked for.

mod connection;
mod pings;
mod server;

pub use server::{Counts, serve};
