//! The tests of `tests/node` in MessagePack.

include!("node/suite.rs");
