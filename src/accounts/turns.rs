//! One password of an account at a time.
//!
//! Whether a password may be tried depends on how many were wrong before, and that is known only
//! once they are hashed. Tried side by side, a hundred guesses would all be allowed.

use madang_protocol::Refusal;
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

/// Locks shared by all accounts: so many that two accounts seldom meet, few enough to keep.
const LOCKS: usize = 1_024;

/// Who is next to try a password.
pub(super) struct Turns {
    locks: Vec<Arc<Mutex<()>>>,
    /// Random per node, so that nobody can pick a name that waits for a victim's.
    hasher: RandomState,
    /// Logins that may wait, for their turn or for a hashing thread.
    waiting: Arc<Semaphore>,
}

/// An account's turn; lasts until it is dropped.
pub(super) struct Turn {
    _turn: OwnedMutexGuard<()>,
    _waiting: OwnedSemaphorePermit,
}

impl Turns {
    /// At most `waiting_max` logins at once; beyond: `overloaded`.
    pub(super) fn new(waiting_max: usize) -> Self {
        Self {
            locks: std::iter::repeat_with(Arc::default).take(LOCKS).collect(),
            hasher: RandomState::new(),
            waiting: Arc::new(Semaphore::new(waiting_max)),
        }
    }

    /// Waits for the account's turn; beyond `wait`: `unavailable`. First come, first served.
    pub(super) async fn take(&self, account: &str, wait: Duration) -> Result<Turn, Refusal> {
        let permit = self.waiting.clone().try_acquire_owned();
        let waiting = permit.map_err(|_| Refusal::overloaded("too many logins at once"))?;
        let index = self.hasher.hash_one(account) as usize % self.locks.len();
        let turn = tokio::time::timeout(wait, self.locks[index].clone().lock_owned()).await;
        let turn =
            turn.map_err(|_| Refusal::unavailable("many logins of this account wait already"))?;
        Ok(Turn { _turn: turn, _waiting: waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_protocol::ErrorCode;

    const WAIT: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time() {
        let turns = Turns::new(9);
        let first = turns.take("ann", WAIT).await;
        assert!(first.is_ok());
        let second = turns.take("ann", WAIT).await;
        assert_eq!(second.err().map(|refusal| refusal.code), Some(ErrorCode::Unavailable));
        drop(first);
        assert!(turns.take("ann", WAIT).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_may_wait() {
        let turns = Turns::new(2);
        let both = futures_util::future::join(turns.take("ann", WAIT), async {
            let _second = turns.take("ann", Duration::from_millis(1)).await;
        });
        let (first, ()) = both.await;
        let second = futures_util::future::join(turns.take("ann", WAIT), turns.take("ann", WAIT));
        let (waited, refused) = second.await;
        assert_eq!(waited.err().map(|refusal| refusal.code), Some(ErrorCode::Unavailable));
        assert_eq!(refused.err().map(|refusal| refusal.code), Some(ErrorCode::Overloaded));
        drop(first);
    }
}
