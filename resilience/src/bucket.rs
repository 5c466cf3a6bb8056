//! A rate limit with a burst.

/// Lets `burst` through at once and `per_second` in the long run.
///
/// Written as one point in time, the moment at which the bucket is full again, so a bucket costs
/// 24 bytes and needs no timer: there is one in every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBucket {
    /// When all tokens are back, nanoseconds on the caller's clock.
    full_at_ns: u64,
    /// Between two tokens; 0 = no limit.
    interval_ns: u64,
    /// How long it takes to fill an empty bucket.
    capacity_ns: u64,
}

impl TokenBucket {
    /// A full bucket. `per_second` 0 = off: everything is let through. A `burst` of 0 counts as 1,
    /// since nothing would ever pass otherwise.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval_ns = if per_second == 0 { 0 } else { SECOND_NS / u64::from(per_second) };
        Self { full_at_ns: 0, interval_ns, capacity_ns: interval_ns * u64::from(burst.max(1)) }
    }

    /// Takes one token, or says after how many milliseconds there will be one (at least 1).
    /// `now_ms` is a monotonic time; one that goes backwards only makes the caller wait longer.
    pub fn take(&mut self, now_ms: u64) -> Result<(), u64> {
        if self.interval_ns == 0 {
            return Ok(());
        }
        let now_ns = now_ms.saturating_mul(MILLISECOND_NS);
        let full_at_ns = self.full_at_ns.max(now_ns).saturating_add(self.interval_ns);
        let over_ns = full_at_ns.saturating_sub(now_ns.saturating_add(self.capacity_ns));
        if over_ns > 0 {
            return Err(over_ns.div_ceil(MILLISECOND_NS));
        }
        self.full_at_ns = full_at_ns;
        Ok(())
    }
}

const SECOND_NS: u64 = 1_000_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bucket: &mut TokenBucket, now_ms: u64) -> usize {
        std::iter::from_fn(|| bucket.take(now_ms).ok()).take(10_000).count()
    }

    #[test]
    fn burst_then_rate() {
        let mut bucket = TokenBucket::new(50, 200);
        assert_eq!(taken(&mut bucket, 1_000), 200);
        assert_eq!(bucket.take(1_000), Err(20));
        assert_eq!(bucket.take(1_019), Err(1));
        assert_eq!(taken(&mut bucket, 1_020), 1);
        assert_eq!(taken(&mut bucket, 2_020), 50);
        assert_eq!(taken(&mut bucket, 60_000), 200);
    }

    #[test]
    fn zero_is_off() {
        assert_eq!(taken(&mut TokenBucket::new(0, 0), 0), 10_000);
    }

    #[test]
    fn a_burst_of_zero_lets_one_through() {
        let mut bucket = TokenBucket::new(1, 0);
        assert_eq!(bucket.take(0), Ok(()));
        assert_eq!(bucket.take(0), Err(1_000));
        assert_eq!(bucket.take(1_000), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_backwards_only_delays() {
        let mut bucket = TokenBucket::new(1, 1);
        assert_eq!(bucket.take(5_000), Ok(()));
        assert_eq!(bucket.take(4_000), Err(2_000));
        assert_eq!(bucket.take(6_000), Ok(()));
    }

    #[test]
    fn stays_small() {
        assert!(size_of::<TokenBucket>() <= 24);
    }
}
