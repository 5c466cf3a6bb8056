//! Faults that are put back, to show that they would be found.

use crate::{profile, replay_line, run};
use madang_testkit::world::{Mutation, Profile, World};
use std::env;

/// A fault, the world it is found in, which the profile and the seed say, and by which invariant. The
/// same table is in `docs/simulation.md`.
const FOUND: &[(&str, &str, u64, &str)] = &[
    ("ack_before_commit", "drawn", 1, "durable"),
    ("publish_before_commit", "drawn", 1, "durable"),
    ("dedupe_filled_on_accept", "drawn", 2, "durable"),
    ("burnt_seq", "drawn", 1, "order"),
    ("two_writes_in_flight", "drawn", 1, "order"),
    ("non_majority_read", "drawn", 9, "durable"),
    ("no_hole_repair", "drawn", 1, "order"),
    ("lost_member_change", "drawn", 2, "membership"),
    ("late_retry_overtakes", "drawn", 13, "order"),
    ("receipt_goes_down", "drawn", 1, "coalesced"),
    ("drain_drops_batch", "drawn", 115, "coalesced"),
    ("no_fence", "drawn", 1013, "durable"),
    ("read_back_by_seq", "drawn", 1013, "durable"),
    ("tail_keeps_numbers", "drawn", 2, "order"),
    ("lane_does_not_wait", "drawn", 1001, "order"),
    ("never_stale", "stands_still", 124, "membership"),
    ("no_noticing", "silent_rooms", 485, "resume"),
    ("no_recheck", "drawn", 1038, "resume"),
    ("heads_read_last", "drawn", 1, "resume"),
    ("changed_counted_early", "drawn", 1028, "order"),
    ("local_read_back", "drawn", 1009, "durable"),
    ("local_activation", "fails_over", 5, "durable"),
    ("stale_pages", "comes_elsewhere", 222, "resume"),
];

fn world(profile: &str, seed: u64, mutation: Option<Mutation>) -> World {
    let profile = Profile::named(profile).expect("a profile");
    World { mutation, profile, ..World::new(seed) }
}

/// Each is found in its world, by the invariant it breaks; without it the world is clean.
#[test]
fn each_is_found() {
    for (name, profile, seed, invariant) in FOUND {
        let mutation = Mutation::named(name);
        assert!(mutation.is_some(), "{name} is no mutation");
        let (with, without) = (world(profile, *seed, mutation), world(profile, *seed, None));
        let found = run(&with).violation.map(|violation| violation.invariant);
        assert_eq!(found, Some(*invariant), "{}", replay_line(&with));
        assert_eq!(run(&without).violation, None, "{}", replay_line(&without));
    }
}

/// All of them are in the table, and the table is what people read.
#[test]
fn the_table_is_whole() {
    let page = include_str!("../../docs/simulation.md");
    for (name, _) in Mutation::ALL {
        assert!(FOUND.iter().any(|(found, ..)| *found == name), "{name} is not in the table");
    }
    for (name, profile, seed, invariant) in FOUND {
        let row = format!("| `{name}` | `{profile}` | {seed} | `{invariant}` |");
        assert!(page.contains(&row), "docs/simulation.md lacks {row}");
    }
}

/// Looks for the first world in which each is found: `SIM_SEARCH` says how many are tried,
/// `SIM_PROFILE` of which kind.
#[test]
fn search() {
    let Some(tries) = env::var("SIM_SEARCH").ok().and_then(|text| text.parse::<u64>().ok()) else {
        return; // only when asked for
    };
    let only = env::var("SIM_MUTATION").ok();
    let from = env::var("SIM_FROM").ok().and_then(|text| text.parse::<u64>().ok()).unwrap_or(1);
    for (name, mutation) in Mutation::ALL {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let found = (from..from + tries).find_map(|seed| {
            let world = World { mutation: Some(mutation), profile: profile(), ..World::new(seed) };
            Some((seed, run(&world).violation?))
        });
        println!("{name}: {found:?}");
    }
}
