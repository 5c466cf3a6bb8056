//! What the kernel measures of every kind of actor: how many messages wait and for how long, and
//! what a turn takes. It looks about once in [`SAMPLED_ONE_IN`] times, so that looking costs less
//! than the noise of what it looks at.
//!
//! For which node a thread measures is noted on the thread ([`measure_for`]): an arbiter belongs to
//! one node, and an idle connection has no place left for a reference. A thread of nobody's measures
//! nothing.

use crate::metrics::{ActorKind, Metrics};
use std::{
    cell::{Cell, RefCell},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

/// Of so many turns, and of so many messages, one is looked at.
const SAMPLED_ONE_IN: u32 = 64;

thread_local! {
    static METRICS: RefCell<Option<Arc<Metrics>>> = const { RefCell::new(None) };
    static TURNS: Sampler = const { Sampler::new(1) };
    static MESSAGES: Sampler = const { Sampler::new(2) };
}

/// Measures what happens on the thread of the caller for the node with these metrics.
pub(super) fn measure_for(metrics: Arc<Metrics>) {
    METRICS.set(Some(metrics));
}

/// Whether the turn that begins is to be measured.
pub(super) fn samples_turn() -> bool {
    TURNS.with(Sampler::strikes)
}

/// A turn that began with so many messages waiting ended after that time.
pub(super) fn turned(kind: ActorKind, depth: usize, took: Duration) {
    with_metrics(|metrics| metrics.turn(kind, depth, took));
}

/// A mailbox was full and gave a message back.
pub(super) fn was_full(kind: ActorKind) {
    with_metrics(|metrics| metrics.mailbox_full(kind));
}

/// The message that stood in a mailbox with this stamp is taken.
pub(super) fn waited(kind: ActorKind, since: Stamp) {
    with_metrics(|metrics| metrics.mailbox_wait(kind, since.elapsed()));
}

fn with_metrics(count: impl FnOnce(&Metrics)) {
    // A thread that ends has none any more, and what is dropped then may still be sent somewhere.
    let _ = METRICS.try_with(|metrics| metrics.borrow().as_deref().map(count));
}

/// A moment, in four bytes: microseconds that wrap after 71 minutes, far above any wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u32);

impl Stamp {
    /// Now, if the message at hand is to be measured.
    pub(super) fn sampled() -> Option<Self> {
        MESSAGES.with(Sampler::strikes).then(Self::now)
    }

    fn now() -> Self {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        Self(START.elapsed().as_micros() as u32)
    }

    fn elapsed(self) -> Duration {
        Duration::from_micros(Self::now().0.wrapping_sub(self.0).into())
    }
}

/// Strikes once in [`SAMPLED_ONE_IN`] times on average. At uneven distances, because actors that
/// take turns with each other would otherwise be met in the same place each time; from a source of
/// its own, so that measuring changes no other random choice.
struct Sampler {
    left: Cell<u32>,
    random: Cell<u32>,
}

impl Sampler {
    const fn new(seed: u32) -> Self {
        Self { left: Cell::new(0), random: Cell::new(seed) }
    }

    fn strikes(&self) -> bool {
        let left = self.left.get();
        if left > 0 {
            self.left.set(left - 1);
            return false;
        }
        // xorshift32 (Marsaglia, "Xorshift RNGs", 2003)
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        self.random.set(random);
        self.left.set(random % (2 * SAMPLED_ONE_IN - 1));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_is_sampled() {
        let sampler = Sampler::new(7);
        let times = 1_000_000;
        let strikes = (0..times).filter(|_| sampler.strikes()).count() as u32;
        let expected = times / SAMPLED_ONE_IN;
        assert!(strikes.abs_diff(expected) < expected / 20, "{strikes}, expected {expected}");
    }

    /// Whatever the period of what takes turns, each of its members is met as often.
    #[test]
    fn those_who_take_turns_are_met_alike() {
        for period in [2, 4, 61, 64, 128] {
            let (sampler, mut met) = (Sampler::new(7), vec![0_u32; period]);
            for time in 0..period * 64_000 {
                met[time % period] += u32::from(sampler.strikes());
            }
            let (least, most) = (met.iter().min().unwrap(), met.iter().max().unwrap());
            assert!(*least > 800 && *most < 1_200, "{period}: {least} to {most} of 1,000");
        }
    }

    #[test]
    fn a_stamp_measures_over_its_wrap() {
        let long_ago = Stamp(Stamp::now().0.wrapping_sub(5_000_000));
        let measured = long_ago.elapsed();
        assert!((5..6).contains(&measured.as_secs()), "{measured:?}");
    }
}
