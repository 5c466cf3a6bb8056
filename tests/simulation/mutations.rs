//! Faults that are put back, to show that they would be found.

use crate::{replay_line, run};
use madang_testkit::world::{Mutation, World};
use std::env;

/// A fault, the world it is found in, and by which invariant. The same table is in
/// `docs/simulation.md`.
const FOUND: &[(&str, u64, &str)] = &[
    ("ack_before_commit", 1, "durable"),
    ("publish_before_commit", 1, "durable"),
    ("dedupe_filled_on_accept", 3, "durable"),
    ("burnt_seq", 1, "order"),
    ("two_writes_in_flight", 1, "order"),
    ("non_majority_read", 4, "durable"),
    ("no_hole_repair", 1, "order"),
    ("lost_member_change", 16, "membership"),
    ("late_retry_overtakes", 6, "order"),
    ("receipt_goes_down", 1, "coalesced"),
    ("drain_drops_batch", 115, "coalesced"),
    ("no_fence", 1013, "durable"),
    ("read_back_by_seq", 1012, "durable"),
    ("local_read_back", 1008, "durable"),
];

/// Each is found in its world, by the invariant it breaks; without it the world is clean.
#[test]
fn each_is_found() {
    for (name, seed, invariant) in FOUND {
        let mutation = Mutation::named(name);
        assert!(mutation.is_some(), "{name} is no mutation");
        let found = run(&World { mutation, ..World::new(*seed) }).violation;
        let found = found.map(|violation| violation.invariant);
        assert_eq!(found, Some(*invariant), "{}", replay_line(*seed, Some(name)));
        assert_eq!(run(&World::new(*seed)).violation, None, "{}", replay_line(*seed, None));
    }
}

/// All of them are in the table, and the table is what people read.
#[test]
fn the_table_is_whole() {
    let page = include_str!("../../docs/simulation.md");
    for (name, _) in Mutation::ALL {
        assert!(FOUND.iter().any(|(found, ..)| *found == name), "{name} is not in the table");
    }
    for (name, seed, invariant) in FOUND {
        let row = format!("| `{name}` | {seed} | `{invariant}` |");
        assert!(page.contains(&row), "docs/simulation.md lacks {row}");
    }
}

/// Looks for the first world in which each is found: `SIM_SEARCH` says how many are tried.
#[test]
fn search() {
    let Some(tries) = env::var("SIM_SEARCH").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return; // only when asked for
    };
    let only = env::var("SIM_MUTATION").ok();
    let from = env::var("SIM_FROM").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    for (name, mutation) in Mutation::ALL.into_iter().chain(Mutation::SOUGHT) {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let found = (from..from + tries).find_map(|seed| {
            let found = run(&World { mutation: Some(mutation), ..World::new(seed) }).violation;
            Some((seed, found?))
        });
        println!("{name}: {found:?}");
    }
}
