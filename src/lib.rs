//! The node.
pub mod config;
