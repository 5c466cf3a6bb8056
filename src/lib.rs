//! The node.
pub mod accounts;
pub mod clock;
pub mod config;
pub mod edge;
pub mod metrics;
pub mod observability;
pub(crate) mod store_call;
