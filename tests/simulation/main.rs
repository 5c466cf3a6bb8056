//! The simulated world: the node's own actors in one thread, with faults, clients, crashes and time
//! from one seed; and what must hold there, one file for each guarantee. `docs/simulation.md` says
//! how it is built and how a world is looked at again.

mod coalesced;
mod degraded;
mod durable;
mod isolation;
mod ledger;
mod membership;
mod mutations;
mod once;
mod order;
mod resume;
mod supervised;

use madang_testkit::world::{Invariant, Mutation, Outcome, Violation, World};
use std::{
    env,
    sync::Once,
    time::{Duration, Instant},
};

/// Worlds that are looked at every time, before new ones.
const FIXED_SEEDS: std::ops::Range<u64> = 1..121;
/// Likewise, of which most have several nodes.
const FIXED_SEEDS_TOGETHER: std::ops::Range<u64> = 1_000..1_021;
/// New ones begin somewhere in here: with one node. Those of several, below, are tried by the night
/// and by `SIM_FROM`.
const NEW_SEEDS: std::ops::Range<u64> = 1 << 40..1 << 41;

/// The same seed, the same history.
#[test]
fn a_seed_is_a_history() {
    for seed in (1..4).chain(1_018..1_021) {
        let (first, second) = (run(&World::new(seed)), run(&World::new(seed)));
        assert_eq!(first, second, "seed {seed}");
        assert!(first.observations > 300, "hardly anything happens: {first:?}");
    }
    assert_ne!(run(&World::new(1)).sum, run(&World::new(2)).sum);
}

/// Where nothing goes wrong, nothing does.
#[test]
fn a_quiet_world_is_clean() {
    for seed in 1..6 {
        expect_clean(&World { is_quiet: true, ..World::new(seed) });
    }
}

/// The fixed seeds, then new ones if they are asked for: for `SIM_SECONDS` in all, or until there are
/// `SIM_SEEDS`.
#[test]
fn worlds_are_clean() {
    let began = Instant::now();
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let wanted = number("SIM_SEEDS");
    let budget = number("SIM_SECONDS").map(Duration::from_secs);
    let fixed = (FIXED_SEEDS_TOGETHER.count() + FIXED_SEEDS.count()) as u64;
    let first_new = number("SIM_FROM").unwrap_or_else(|| fastrand::u64(NEW_SEEDS));
    println!("new seeds from {first_new}");
    let mut count = 0;
    for seed in FIXED_SEEDS_TOGETHER.chain(FIXED_SEEDS).chain(first_new..) {
        let is_done = match (wanted, budget) {
            (Some(wanted), _) => count >= wanted,
            (None, Some(budget)) => began.elapsed() >= budget,
            (None, None) => count >= fixed,
        };
        if is_done {
            break;
        }
        expect_clean(&World::new(seed));
        count += 1;
        if count % 500 == 0 {
            println!("{count} worlds in {:?}", began.elapsed());
        }
    }
    println!("{count} worlds in {:?}", began.elapsed());
}

/// One world again: `SIM_SEED` says which (otherwise the first), `SIM_MUTATION` with which fault,
/// `SIM_TRACE=1` shows everything that happened.
#[test]
fn replay() {
    let seed = env::var("SIM_SEED").map_or(1, |text| text.parse().expect("SIM_SEED is a number"));
    let mutation = env::var("SIM_MUTATION").ok();
    let mutation = mutation.map(|name| Mutation::named(&name).expect("a name of the table"));
    let prints = env::var_os("SIM_TRACE").is_some();
    let world = World { mutation, prints, ..World::new(seed) };
    let began = Instant::now();
    let outcome = run(&world);
    println!("{outcome:#?}\nin {:?}", began.elapsed());
    expect(&world, outcome.violation);
}

/// Runs a world under the eyes of every invariant.
fn run(world: &World) -> Outcome {
    quiet_panics();
    let invariants: Vec<Box<dyn Invariant>> = vec![
        Box::<order::Order>::default(),
        Box::<durable::Durable>::default(),
        Box::<once::Once>::default(),
        Box::<resume::Resume>::default(),
        Box::<membership::Membership>::default(),
        Box::<isolation::Isolation>::default(),
        Box::<degraded::Degraded>::default(),
        Box::<coalesced::Coalesced>::default(),
        Box::<supervised::Supervised>::default(),
    ];
    world.run(invariants)
}

fn expect_clean(world: &World) {
    expect(world, run(world).violation);
}

fn expect(world: &World, violation: Option<Violation>) {
    if let Some(Violation { invariant, at, what }) = violation {
        let World { seed, .. } = world;
        panic!(
            "{invariant} does not hold after {at:?}:\n{what}\n\nlook at it again:\n{}\n",
            replay_line(*seed, None)
        );
    }
}

/// How to see a world again.
fn replay_line(seed: u64, mutation: Option<&str>) -> String {
    let mutation = mutation.map(|name| format!("SIM_MUTATION={name} ")).unwrap_or_default();
    format!(
        "SIM_SEED={seed} {mutation}cargo test --features simulation --test simulation replay -- --nocapture"
    )
}

/// Panics that were asked for are no news.
fn quiet_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let words = panic.payload().downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| panic.payload().downcast_ref::<&str>().copied());
            if words != Some(madang_store::faulty::INJECTED) {
                usual(panic);
            }
        }));
    });
}
