//! The kernel and the actors.

pub mod route;
pub mod store_reader;

pub use route::{Receipt, Router};
pub use store_reader::Reader;
