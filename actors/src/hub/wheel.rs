//! When to ping whom: one timer for all connections of a hub.

use super::SlotId;
use std::time::Duration;

/// Buckets at most: with more, waking the thread costs more than the few pings of a tick.
const BUCKETS_MAX: u32 = 100;
/// A tick at least.
const TICK_MIN: Duration = Duration::from_millis(20);

/// A ring of buckets that turns once per heartbeat. Each connection stands in one of them, by
/// chance, so that pings (and a herd that connected together) spread over the heartbeat.
pub struct Wheel {
    buckets: Vec<Vec<SlotId>>,
    next: usize,
    tick: Duration,
}

impl Wheel {
    /// Turns once in `heartbeat`.
    pub fn new(heartbeat: Duration) -> Self {
        let fitting = heartbeat.as_nanos() / TICK_MIN.as_nanos();
        let count = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, BUCKETS_MAX);
        let buckets = (0..count).map(|_| Vec::new()).collect();
        Self { buckets, next: 0, tick: heartbeat / count }
    }

    /// How long a bucket takes.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Adds a connection; `random` is any number.
    pub fn add(&mut self, slot: SlotId, random: u64) {
        let bucket = random % self.buckets.len() as u64;
        self.buckets[bucket as usize].push(slot);
    }

    /// Turns by one bucket and visits those in it; they stay as long as `visit` says true.
    pub fn turn(&mut self, mut visit: impl FnMut(SlotId) -> bool) {
        let bucket = &mut self.buckets[self.next];
        bucket.retain(|slot| visit(*slot));
        if bucket.is_empty() {
            *bucket = Vec::new();
        }
        self.next = (self.next + 1) % self.buckets.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(index: u32) -> SlotId {
        SlotId { index, generation: 0 }
    }

    #[test]
    fn everybody_is_visited_once_a_heartbeat() {
        let mut wheel = Wheel::new(Duration::from_millis(100));
        assert_eq!(wheel.tick(), Duration::from_millis(20));
        for index in 0..50 {
            wheel.add(slot(index), u64::from(index) * 7);
        }
        let mut visits = vec![0; 50];
        for _ in 0..10 {
            wheel.turn(|slot| {
                visits[slot.index as usize] += 1;
                true
            });
        }
        assert_eq!(visits, [2; 50]);
    }

    #[test]
    fn those_that_left_are_not_visited_again() {
        let mut wheel = Wheel::new(Duration::from_millis(20));
        wheel.add(slot(1), 0);
        let mut visits = 0;
        for _ in 0..3 {
            wheel.turn(|_| {
                visits += 1;
                false
            });
        }
        assert_eq!(visits, 1);
    }

    #[test]
    fn ticks_are_neither_too_short_nor_too_long() {
        assert_eq!(Wheel::new(Duration::from_millis(5)).tick(), Duration::from_millis(5));
        assert_eq!(Wheel::new(Duration::from_secs(25)).buckets.len(), 100);
    }
}
