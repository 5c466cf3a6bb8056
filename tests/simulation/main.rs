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

use madang_testkit::world::{Invariant, Mutation, Outcome, Profile, Violation, World};
use std::{
    env,
    ops::Range,
    sync::{
        Once,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

/// Worlds that are looked at every time, before new ones.
const FIXED_SEEDS: Range<u64> = 1..121;
/// Likewise, of which most have several nodes.
const FIXED_SEEDS_TOGETHER: Range<u64> = 1_000..1_021;
/// New ones begin somewhere in here: with one node.
const NEW_SEEDS: Range<u64> = 1 << 40..1 << 41;
/// Likewise, of which most have several nodes.
const NEW_SEEDS_TOGETHER: Range<u64> = 1 << 20..1 << 39;
/// Of real time, of which a world takes about a tenth of a second.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// What a check of a change may take.
const SECONDS: u64 = 100;

/// The same seed, the same history.
#[test]
fn a_seed_is_a_history() {
    for seed in (1..4).chain(FIXED_SEEDS_TOGETHER) {
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

/// The fixed seeds, then new ones of both kinds in turn, or those from `SIM_FROM` on: for
/// `SIM_SECONDS` in all, or until there are `SIM_SEEDS`.
#[test]
fn worlds_are_clean() {
    let began = Instant::now();
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (wanted, from) = (number("SIM_SEEDS"), number("SIM_FROM"));
    let budget = Duration::from_secs(number("SIM_SECONDS").unwrap_or(SECONDS));
    let fixed = FIXED_SEEDS_TOGETHER.chain(FIXED_SEEDS).filter(|_| from.is_none());
    fixed.for_each(|seed| expect_clean(&World::new(seed)));
    for (count, seed) in (1..).zip(new_seeds(from)) {
        if wanted.map_or(began.elapsed() >= budget, |wanted| count > wanted) {
            return println!("{} new worlds in {:?}", count - 1, began.elapsed());
        }
        expect_clean(&World { profile: profile(), ..World::new(seed) });
        if count % 500 == 0 {
            println!("{count} new worlds in {:?}", began.elapsed());
        }
    }
}

fn new_seeds(from: Option<u64>) -> Box<dyn Iterator<Item = u64>> {
    if let Some(from) = from {
        return Box::new(from..);
    }
    let (one, several) = (fastrand::u64(NEW_SEEDS), fastrand::u64(NEW_SEEDS_TOGETHER));
    println!("new seeds from {one} and from {several}");
    Box::new((several..).zip(one..).flat_map(|(several, one)| [several, one]))
}

/// The kind of worlds that are asked for.
fn profile() -> Profile {
    let named = |name: String| Profile::named(&name).expect("a profile of docs/simulation.md");
    env::var("SIM_PROFILE").map_or(Profile::Drawn, named)
}

/// One world again: `SIM_SEED` says which (otherwise the first), `SIM_MUTATION` with which fault,
/// `SIM_PROFILE` of which kind it is, `SIM_TRACE=1` shows everything that happened.
#[test]
fn replay() {
    let seed = env::var("SIM_SEED").map_or(1, |text| text.parse().expect("SIM_SEED is a number"));
    let mutation = env::var("SIM_MUTATION").ok();
    let mutation = mutation.map(|name| Mutation::named(&name).expect("a name of the table"));
    let prints = env::var_os("SIM_TRACE").is_some();
    let world = World { mutation, prints, profile: profile(), ..World::new(seed) };
    let began = Instant::now();
    let outcome = run(&world);
    println!("{outcome:#?}\nin {:?}", began.elapsed());
    expect(&world, outcome.violation);
}

/// Runs a world under the eyes of every invariant.
///
/// # Panics
/// When it does not come to its end: its actors keep each other busy, so its time stands still.
fn run(world: &World) -> Outcome {
    quiet_panics();
    let (ended, end) = mpsc::sync_channel(1);
    let own = world.clone();
    let running = thread::spawn(move || ended.send(watched(&own)));
    match end.recv_timeout(ENDS_WITHIN) {
        Ok(outcome) => outcome,
        Err(RecvTimeoutError::Timeout) => {
            panic!("no end within {ENDS_WITHIN:?}\n\nlook at it again:\n{}\n", replay_line(world))
        }
        Err(RecvTimeoutError::Disconnected) => match running.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("it sends before it ends"),
        },
    }
}

fn watched(world: &World) -> Outcome {
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
        let again = replay_line(world);
        panic!("{invariant} does not hold after {at:?}:\n{what}\n\nlook at it again:\n{again}\n");
    }
}

/// How to see a world again.
fn replay_line(world: &World) -> String {
    let World { seed, mutation, profile, .. } = world;
    let mutation = mutation.map(|it| format!("SIM_MUTATION={} ", it.name())).unwrap_or_default();
    let profile = match profile {
        Profile::Drawn => String::new(),
        other => format!("SIM_PROFILE={} ", other.name()),
    };
    format!(
        "SIM_SEED={seed} {profile}{mutation}cargo test --features simulation --test simulation replay -- --nocapture"
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
