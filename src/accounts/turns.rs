//! One password of an account at a time.
//!
//! Whether a password may be tried depends on how many were wrong before, and that is known only
//! once they are hashed. Tried side by side, a hundred guesses would all be allowed.

use madang_protocol::Refusal;
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard};

/// Locks shared by all accounts: so many that two accounts seldom meet, few enough to keep.
const LOCKS: usize = 1_024;

/// Who is next to try a password.
pub(super) struct Turns {
    locks: Vec<Mutex<()>>,
    /// Random per node, so that nobody can pick a name that waits for a victim's.
    hasher: RandomState,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self {
            locks: std::iter::repeat_with(Mutex::default).take(LOCKS).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Waits for the account's turn, which lasts as long as the guard; beyond `wait`:
    /// `unavailable`. First come, first served.
    pub(super) async fn take(
        &self,
        account: &str,
        wait: Duration,
    ) -> Result<MutexGuard<'_, ()>, Refusal> {
        let index = self.hasher.hash_one(account) as usize % self.locks.len();
        let turn = tokio::time::timeout(wait, self.locks[index].lock()).await;
        turn.map_err(|_| Refusal::unavailable("many logins of this account wait already"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time() {
        let (turns, wait) = (Turns::new(), Duration::from_secs(5));
        let first = turns.take("ann", wait).await.unwrap();
        assert!(turns.take("ann", wait).await.is_err());
        drop(first);
        assert!(turns.take("ann", wait).await.is_ok());
    }
}
