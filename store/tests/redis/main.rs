//! Redis: alone, with Sentinels, as a cluster; and what holds while it fails.
#![allow(clippy::unwrap_used, reason = "a test")]

mod away;
mod conformance;
mod cost;
mod failover;
mod herd;
mod inspect;
mod rig;
mod shared;
