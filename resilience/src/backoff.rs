//! Exponential backoff with full jitter.

/// How long to wait before the next attempt: a uniformly random time below a ceiling that doubles
/// with every failure.
///
/// Full jitter spreads the attempts of many callers that failed together over the whole interval,
/// so that they do not come back together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first_ms: u64,
    longest_ms: u64,
    /// Failures since the last success.
    failures: u32,
}

impl Backoff {
    /// The first ceiling and the one it is never doubled beyond, in milliseconds.
    pub const fn new(first_ms: u64, longest_ms: u64) -> Self {
        Self { first_ms, longest_ms, failures: 0 }
    }

    /// Counts a failure; returns the milliseconds to wait, from 0 to the present ceiling.
    /// `random` is any number of the caller's source, uniform over all of `u64`.
    pub fn next_ms(&mut self, random: u64) -> u64 {
        let ceiling = self.ceiling_ms();
        self.failures = self.failures.saturating_add(1);
        // The high half of a widening product maps `random` onto 0..=ceiling without a division.
        ((u128::from(random) * (u128::from(ceiling) + 1)) >> 64) as u64
    }

    /// Forgets the failures.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures counted since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn ceiling_ms(&self) -> u64 {
        let doubled = u128::from(self.first_ms) << self.failures.min(63);
        doubled.min(u128::from(self.longest_ms)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceiling_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new(50, 400);
        let waits: Vec<u64> = (0..6).map(|_| backoff.next_ms(u64::MAX)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 400, 400]);
        backoff.reset();
        assert_eq!(backoff.next_ms(u64::MAX), 50);
    }

    #[test]
    fn jitter_covers_the_whole_interval() {
        for (random, wait) in [(0, 0), (u64::MAX / 2, 50), (u64::MAX, 100)] {
            assert_eq!(Backoff::new(100, 100).next_ms(random), wait, "{random}");
        }
    }

    #[test]
    fn never_overflows() {
        let mut backoff = Backoff::new(u64::MAX, u64::MAX);
        for _ in 0..200 {
            assert_eq!(backoff.next_ms(u64::MAX), u64::MAX);
        }
        assert_eq!(backoff.failures(), 200);
    }
}
