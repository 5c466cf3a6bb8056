//! From an HTTP request to a connection actor: the upgrade, our own framing, the raw socket.
//!
//! hyper reads the request and hands the stream back ([`upgrade`]); from then on nothing of
//! HTTP is left in memory. The [`poller`] tells when there is something to read; frames are read by
//! [`source`] into one buffer per thread and decoded by [`decoder`]; the hub writes.

pub mod decoder;
pub mod poller;
mod socket;
mod source;
mod tls;
pub mod upgrade;

pub use upgrade::{Handshake, handshake, start};
