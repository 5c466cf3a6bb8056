//! From an HTTP request to a connection actor: the upgrade, our own framing, the raw socket.
//!
//! hyper reads the request and hands the stream back ([`upgrade`]); from then on nothing of
//! HTTP is left in memory. Frames are read by [`source`] into one buffer per thread and decoded
//! by [`decoder`]; the hub writes.

pub mod decoder;
mod socket;
mod source;
mod tls;
pub mod upgrade;

pub use upgrade::{Handshake, handshake, start};
