//! Pings for a floor that is compared where nothing else happens.

use crate::clock::{nanos, now_ns};
use std::time::Duration;

/// Each connection is pinged once in so many ticks, as by a node.
const TICKS: usize = 100;

/// When to ping whom.
pub(super) struct Pings {
    tick_ns: u64,
    next_ns: u64,
    tick: usize,
}

impl Pings {
    /// Everybody once in `every`.
    pub(super) fn new(every: Duration) -> Self {
        let tick_ns = nanos(every) / TICKS as u64;
        Self { tick_ns, next_ns: now_ns() + tick_ns, tick: 0 }
    }

    /// Nanoseconds until somebody is due.
    pub(super) fn wait(&self) -> u64 {
        self.next_ns.saturating_sub(now_ns())
    }

    /// Those of `count` connections that are due, if it is time.
    pub(super) fn due(&mut self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let is_due = now_ns() >= self.next_ns;
        if is_due {
            self.next_ns += self.tick_ns;
            self.tick = (self.tick + 1) % TICKS;
        }
        (self.tick..if is_due { count } else { 0 }).step_by(TICKS)
    }
}
