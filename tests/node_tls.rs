//! The tests of `tests/node` over TLS, and what is of TLS alone.

include!("node/suite.rs");

#[path = "node/tls.rs"]
mod tls;
