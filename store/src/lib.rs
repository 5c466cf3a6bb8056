//! What is kept, and where: narrow traits, their implementations, and the conformance suite that
//! every implementation passes.
//!
//! | trait | holds |
//! |---|---|
//! | [`MessageLog`] | messages, their changes and reactions: two gapless sequences per room |
//! | [`RoomStore`] | rooms, members |
//! | [`ReceiptStore`] | read positions |
//! | [`AccountStore`] | users, sessions |
//! | [`LoginLimits`] | who may try to log in now |
//! | [`PresenceStore`] | who is online |
//! | [`Cache`] | copies of sessions, profiles and memberships, for a minute at most |
//! | [`StoreControl`] | whether the store works, and its end |
//! | [`Transfer`] | all of it, to be taken out or in |
//!
//! [`open()`] and [`open_cluster()`] choose the implementation, [`redis::open()`] what the nodes of a
//! cluster share beside it; nothing outside this crate names a driver. Whoever holds a
//! [`Store`] may call it from any thread: calls return futures, and writes that arrive while
//! another write is being made durable share the next commit.

pub mod accounts;
pub mod cache;
pub mod check;
pub mod cluster;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod error;
pub mod faulty;
pub mod in_process;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod open;
pub mod presence;
pub mod receipts;
pub mod redis;
pub mod rooms;
pub mod transfer;

mod mongodb;
mod recent;
mod redb;

pub use accounts::AccountStore;
pub use cache::Cache;
pub use check::check;
pub use cluster::{ClusterError, ClusterOptions, ClusterReport, check_cluster, open_cluster};
pub use error::StoreError;
pub use limits::LoginLimits;
pub use log::MessageLog;
pub use open::{Medium, NEIGHBOUR_LEASE, Neighbour, OpenError, Options, Store, StoreControl, open};
pub use presence::PresenceStore;
pub use receipts::ReceiptStore;
#[cfg(feature = "conformance")]
pub use redb::BareLog;
pub use rooms::RoomStore;
pub use transfer::{Transfer, transfer, transfer_cluster};
