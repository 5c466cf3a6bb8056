//! Turns: of the calls of this node that change the same room, or start sessions of the same user,
//! one is under way at a time.
//!
//! Between nodes the database decides. But those of one node would only make each other begin
//! anew, and each of them would hold one of the few places all the while (see [`super::gate`]): a
//! room that a crowd enters must leave places to everybody else. So they queue up before they ask
//! for a place.

use crate::StoreError;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard},
    time::timeout,
};

/// Calls that wait for the same turn at most. Beyond: `Overloaded`, at once.
const WAITING_MAX: usize = 256;

/// Whose turn it is, for each key somebody waits for.
pub(super) struct Turns<K: Eq + Hash + Copy>(Mutex<HashMap<K, Arc<Turn<()>>>>);

/// Ends when dropped.
pub(super) struct Taken<'a, K: Eq + Hash + Copy> {
    turns: &'a Turns<K>,
    key: K,
    /// `None` only while it is dropped.
    turn: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash + Copy> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Copy> Turns<K> {
    /// Waits for the turn, in the order of the calls. `Overloaded` after `wait_max`, or if too
    /// many wait already.
    pub(super) async fn take(
        &self,
        key: K,
        wait_max: Duration,
    ) -> Result<Taken<'_, K>, StoreError> {
        // From here on it is tidied up, also by a caller that goes away while it waits.
        let mut taken = Taken { turns: self, key, turn: None };
        let turn = self.lock().entry(key).or_default().clone();
        if Arc::strong_count(&turn) > WAITING_MAX + 2 {
            return Err(StoreError::Overloaded);
        }
        let turn = timeout(wait_max, turn.lock_owned()).await;
        taken.turn = Some(turn.map_err(|_| StoreError::Overloaded)?);
        Ok(taken)
    }

    /// Every change is complete in itself, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Turn<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Copy> Drop for Taken<'_, K> {
    fn drop(&mut self) {
        self.turn = None;
        let mut turns = self.turns.lock();
        if turns.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future::join_all};

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn one_at_a_time_in_order_and_others_at_once() {
        let turns = Turns::default();
        let first = turns.take(1, SOON).await.unwrap();
        let mut second = Box::pin(turns.take(1, SOON));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(turns.take(2, SOON).now_or_never().is_some());
        drop(first);
        assert!(second.await.is_ok());
        assert!(turns.lock().is_empty(), "nobody waits");
    }

    #[tokio::test]
    async fn waiting_has_an_end_and_a_bound() {
        let turns = Turns::default();
        let _held = turns.take(1, SOON).await.unwrap();
        let late = turns.take(1, Duration::from_millis(10)).await;
        assert_eq!(late.err(), Some(StoreError::Overloaded));
        let mut waiting = Box::pin(join_all((0..WAITING_MAX).map(|_| turns.take(1, SOON))));
        assert!(waiting.as_mut().now_or_never().is_none());
        let one_more = turns.take(1, SOON).now_or_never();
        assert_eq!(one_more.and_then(Result::err), Some(StoreError::Overloaded));
        drop(waiting);
        assert!(turns.take(1, SOON).now_or_never().is_none(), "still held");
    }
}
