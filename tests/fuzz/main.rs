//! The fuzz bodies, driven by seeded mutation of frames that clients send: on stable, for a few
//! seconds each, first from fixed seeds, then from new ones. A failure says how to see it again:
//!
//! ```sh
//! FUZZ_SEED=123 cargo test --test fuzz      # one input for each body
//! FUZZ_SECONDS=600 cargo test --test fuzz   # a long run
//! ```

#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod corpus;
mod mutation;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

/// Inputs that are the same in every run.
const FIXED: u64 = 20_000;
/// What each body gets on top, unless `FUZZ_SECONDS` says otherwise.
const SECONDS: u64 = 3;

#[test]
fn json() {
    drive(&corpus::json(), bodies::json);
}

#[test]
fn msgpack() {
    drive(&corpus::msgpack(), bodies::msgpack);
}

#[test]
fn framing() {
    drive(&corpus::framing(), bodies::framing);
}

#[test]
fn a_fault_is_found_and_its_seed_shows_it_again() {
    // Two frames that are fine each, and a body that cannot stand the one within the other.
    let corpus = [b"abcdefgh".to_vec(), b"12345678".to_vec()];
    let faulty = |bytes: &[u8]| {
        let digit = bytes.iter().position(u8::is_ascii_digit);
        assert!(!digit.is_some_and(|place| place > 0 && bytes[..place].ends_with(b"cd")));
    };
    let seed = (0..FIXED).find(|seed| fault(*seed, &corpus, &faulty).is_some());
    let seed = seed.expect("the fault is found");
    let first = mutation::input(seed, &corpus);
    assert_eq!(mutation::input(seed, &corpus), first);
    assert!(fault(seed, &corpus, &faulty).is_some_and(|text| text.contains("FUZZ_SEED")));
}

/// Runs a body on fixed inputs, then on new ones until the time is up.
fn drive(corpus: &[Vec<u8>], body: fn(&[u8])) {
    corpus.iter().for_each(|bytes| body(bytes));
    if let Some(seed) = number("FUZZ_SEED") {
        return run(seed, corpus, body);
    }
    (0..FIXED).for_each(|seed| run(seed, corpus, body));
    let until = Instant::now() + Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(SECONDS));
    while Instant::now() < until {
        run(fastrand::u64(FIXED..), corpus, body);
    }
}

fn run(seed: u64, corpus: &[Vec<u8>], body: fn(&[u8])) {
    if let Some(fault) = fault(seed, corpus, &body) {
        panic!("{fault}");
    }
}

fn fault(seed: u64, corpus: &[Vec<u8>], body: &dyn Fn(&[u8])) -> Option<String> {
    let input = mutation::input(seed, corpus);
    catch_unwind(AssertUnwindSafe(|| body(&input))).err()?;
    Some(format!("FUZZ_SEED={seed}, {} bytes: {:?}", input.len(), input.escape_ascii().to_string()))
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
