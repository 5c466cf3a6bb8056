//! The bus over real servers of NATS.

#![allow(clippy::unwrap_used)]

mod bad_surroundings;
mod conformance;
mod faults;
mod payloads;
mod support;
