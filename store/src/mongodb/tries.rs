//! Beginning anew, for whoever lost against another.

use super::failure::Failure;
use crate::StoreError;
use madang_resilience::Backoff;
use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};
use tokio::time::sleep;

/// About as long as a commit takes, then longer.
const PAUSES: Backoff = Backoff::new(8, 200);
/// Times a unique index may refuse what was not there when it was looked for. Once or twice the
/// other one was faster; so often it is something that nobody looks for, like an id made twice.
const REFUSALS_MAX: u32 = 6;

/// The tries of one call. Their number has no bound: the deadline of the call ends them.
pub(super) struct Tries {
    pauses: Backoff,
    refusals: u32,
}

impl Default for Tries {
    fn default() -> Self {
        Self { pauses: PAUSES, refusals: 0 }
    }
}

impl Tries {
    /// Waits before the next try, for a random time.
    pub(super) async fn pause(&mut self) {
        let random = RandomState::new().hash_one(self.pauses.failures());
        sleep(Duration::from_millis(self.pauses.next_ms(random))).await;
    }

    /// A unique index refused what was tried.
    pub(super) fn refused(&mut self) -> Result<(), Failure> {
        self.refusals += 1;
        if self.refusals <= REFUSALS_MAX {
            return Ok(());
        }
        Err(StoreError::Unavailable("an id or a token is in use already".into()).into())
    }
}
