//! What nodes say to each other. A single node speaks to itself, in process, by the same trait.
//!
//! The bus may lose, repeat and reorder; nothing is ever acknowledged by having been published.
//! What makes that enough is in [`madang_protocol::EventBatch`]: every batch says where it begins
//! and ends, so a reader sees that it missed something and fetches it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bus;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod envelope;
pub mod in_process;
mod listeners;
pub mod metrics;
pub mod nats;
pub mod peer;
pub mod subjects;
pub mod view;
pub mod wire;

pub use bus::{Bus, Subscription};
pub use in_process::InProcess;
pub use nats::Nats;
pub use peer::{NodeName, Peer};
pub use view::View;
