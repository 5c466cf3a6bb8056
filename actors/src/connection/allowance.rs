//! How much one connection may ask for: pure, time passed in.

use madang_protocol::{ErrorCode, Refusal};
use madang_resilience::TokenBucket;

/// Refusals within [`WINDOW_MS`] after which a connection is closed.
const REFUSALS_MAX: u32 = 1_000;
const WINDOW_MS: u64 = 10_000;

/// The frame rate of one connection.
pub struct Allowance {
    bucket: TokenBucket,
    refusals: u32,
    window_began_ms: u64,
}

/// Why a frame is not looked at.
#[derive(Debug, PartialEq, Eq)]
pub enum Denied {
    /// Answer this.
    Refused(Refusal),
    /// It goes on like that: close with 4029.
    TooMany,
}

impl Allowance {
    /// `per_second` 0 = off.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { bucket: TokenBucket::new(per_second, burst), refusals: 0, window_began_ms: 0 }
    }

    /// One frame arrived.
    pub fn take(&mut self, now_ms: u64) -> Result<(), Denied> {
        let Err(retry_after_ms) = self.bucket.take(now_ms) else {
            return Ok(());
        };
        if now_ms.saturating_sub(self.window_began_ms) >= WINDOW_MS {
            self.window_began_ms = now_ms;
            self.refusals = 0;
        }
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            return Err(Denied::TooMany);
        }
        let refusal = Refusal::new(ErrorCode::RateLimited, "too many frames");
        Err(Denied::Refused(refusal.after(retry_after_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_with_a_delay_then_closed() {
        let mut allowance = Allowance::new(50, 2);
        assert_eq!(allowance.take(0), Ok(()));
        assert_eq!(allowance.take(0), Ok(()));
        let refusal = Refusal::new(ErrorCode::RateLimited, "too many frames").after(20);
        for _ in 1..REFUSALS_MAX {
            assert_eq!(allowance.take(0), Err(Denied::Refused(refusal.clone())));
        }
        assert_eq!(allowance.take(0), Err(Denied::TooMany));
    }

    #[test]
    fn the_window_forgets() {
        let mut allowance = Allowance::new(1, 1);
        allowance.take(0).unwrap();
        for _ in 1..REFUSALS_MAX {
            assert!(matches!(allowance.take(1), Err(Denied::Refused(_))));
        }
        assert_eq!(allowance.take(WINDOW_MS), Ok(()));
        assert!(matches!(allowance.take(WINDOW_MS + 1), Err(Denied::Refused(_))));
    }
}
