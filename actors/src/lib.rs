//! The kernel and the actors.

pub mod audience;
pub mod batcher;
pub mod connection;
pub mod fail_points;
pub mod hub;
pub mod kernel;
pub mod metrics;
pub mod room;
pub mod route;
pub mod session_check;
pub mod store_reader;
pub mod store_writer;
pub mod switches;

pub use route::{Receipt, Router};
pub use store_reader::Reader;
