//! What parts of the node cost, each beside the floor it stands on, measured in turn in the same
//! run: machines are shared and noisy, so only the ratio means something.
//!
//! `cargo bench -p madang-bench` runs them in full; `tests/tiny.rs` runs each small, so that none
//! rots. No bench gates anything.

pub mod kernel;
pub mod pairs;
