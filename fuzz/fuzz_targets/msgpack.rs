#![no_main]
//! `cargo +nightly fuzz run msgpack`

#[path = "../bodies.rs"]
#[allow(dead_code, reason = "one body each")]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::msgpack(bytes));
