//! Trying again, within the time a caller has.

use crate::Backoff;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The numbers of a [`Retry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryRules {
    /// Attempts after the first.
    pub retries: u32,
    /// The first wait before one is random up to this, and doubles.
    pub first_ms: u64,
    /// Beyond this it is not doubled.
    pub longest_ms: u64,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self { retries: 3, first_ms: 50, longest_ms: 400 }
    }
}

/// When one call is tried again. Pure: time and chance are arguments.
#[derive(Debug)]
pub struct Retry {
    left: u32,
    backoff: Backoff,
    deadline_ms: u64,
}

impl Retry {
    /// For a call whose caller waits until `deadline_ms`.
    pub fn new(rules: RetryRules, deadline_ms: u64) -> Self {
        let backoff = Backoff::new(rules.first_ms, rules.longest_ms);
        Self { left: rules.retries, backoff, deadline_ms }
    }

    /// The attempt failed: how many milliseconds until the next, with full jitter; `None` when
    /// there is none, because enough were made or the deadline would come first. `random` is
    /// uniform over all of `u64`.
    pub fn next_ms(&mut self, random: u64, now_ms: u64) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let wait_ms = self.backoff.next_ms(random);
        (now_ms.saturating_add(wait_ms) < self.deadline_ms).then_some(wait_ms)
    }
}

/// Makes `attempt`s until one succeeds, fails in a way that is not `worth` another, or
/// [`Retry`] says that it is enough; returns what the last one said. An attempt that is under way
/// at the `deadline` is not cut off here.
pub async fn retrying<T, E, A>(
    rules: RetryRules,
    deadline: Instant,
    is_worth: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> A,
) -> Result<T, E>
where
    A: Future<Output = Result<T, E>>,
{
    let began = Instant::now();
    let mut retry = Retry::new(rules, milliseconds(deadline.saturating_duration_since(began)));
    loop {
        let error = match attempt().await {
            Err(error) if is_worth(&error) => error,
            answer => return answer,
        };
        match retry.next_ms(fastrand::u64(..), milliseconds(began.elapsed())) {
            Some(wait_ms) => sleep(Duration::from_millis(wait_ms)).await,
            None => return Err(error),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[test]
    fn three_times_with_growing_waits() {
        let mut retry = Retry::new(RetryRules::default(), 10_000);
        let waits: Vec<_> = (0..4).map(|_| retry.next_ms(u64::MAX, 0)).collect();
        assert_eq!(waits, [Some(50), Some(100), Some(200), None]);
        let mut many = Retry::new(RetryRules { retries: 6, ..RetryRules::default() }, 10_000);
        let waits: Vec<_> = (0..6).filter_map(|_| many.next_ms(u64::MAX, 0)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 400, 400]);
        assert_eq!(Retry::new(RetryRules::default(), 10).next_ms(0, 0), Some(0));
    }

    #[test]
    fn never_beyond_the_deadline() {
        assert_eq!(Retry::new(RetryRules::default(), 150).next_ms(u64::MAX, 100), None);
        assert_eq!(Retry::new(RetryRules::default(), 151).next_ms(u64::MAX, 100), Some(50));
        assert_eq!(Retry::new(RetryRules::default(), 100).next_ms(0, 100), None);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_with_success_with_what_is_final_and_with_the_deadline() {
        let rules = RetryRules::default();
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut made = 0;
        let third = retrying(
            rules,
            deadline,
            |_| true,
            || {
                made += 1;
                ready(if made == 3 { Ok(made) } else { Err(made) })
            },
        );
        assert_eq!(third.await, Ok(3));
        let mut made = 0;
        let last = retrying(
            rules,
            deadline,
            |_| true,
            || {
                made += 1;
                ready(Err::<(), _>(made))
            },
        );
        assert_eq!(last.await, Err(4));
        let first = retrying(rules, deadline, |_| false, || ready(Err::<(), _>("final")));
        assert_eq!(first.await, Err("final"));
        let none = retrying(rules, Instant::now(), |_| true, || ready(Err::<(), _>("too late")));
        assert_eq!(none.await, Err("too late"));
    }
}
