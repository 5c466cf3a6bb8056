//! [`Cache`] in the memory of one process.

use super::{Cache, Caches, FORGOTTEN, Key};
use crate::{StoreError, recent::Recent};
use async_trait::async_trait;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Copies of one kind at most. Past it those go that were not put in lately.
const COPIES_MAX: usize = 16_384;

/// Copies in memory, bounded in number.
pub struct InProcess<K: Key> {
    copies: Mutex<Recent<K, Copy<K::Value>>>,
}

/// A copy, or a place that is kept empty, until a time; after it: nothing.
struct Copy<V> {
    value: Option<V>,
    until: Option<Instant>,
}

impl<V> Default for Copy<V> {
    fn default() -> Self {
        Self { value: None, until: None }
    }
}

impl<V> Copy<V> {
    fn is_there(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until > now)
    }
}

impl<K: Key> InProcess<K> {
    /// Empty.
    pub fn new() -> Self {
        Self::of_at_most(COPIES_MAX)
    }

    /// Empty, with another bound.
    pub fn of_at_most(copies_max: usize) -> Self {
        Self { copies: Mutex::new(Recent::new(copies_max)) }
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn copies(&self) -> MutexGuard<'_, Recent<K, Copy<K::Value>>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Key> Default for InProcess<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl Caches {
    /// In the memory of this process: what other nodes change shows here when they tell it, or when
    /// the copy ends.
    pub fn in_process() -> Self {
        Self {
            sessions: Arc::new(InProcess::new()),
            profiles: Arc::new(InProcess::new()),
            members: Arc::new(InProcess::new()),
        }
    }
}

#[async_trait]
impl<K: Key> Cache<K> for InProcess<K> {
    async fn get(&self, keys: &[K]) -> Result<Vec<Option<K::Value>>, StoreError> {
        let (mut copies, now) = (self.copies(), Instant::now());
        let found = keys.iter().map(|key| {
            let copy = copies.get(key).filter(|copy| copy.is_there(now));
            copy.and_then(|copy| copy.value.clone())
        });
        Ok(found.collect())
    }

    async fn put(&self, new: Vec<(K, K::Value)>, ttl: Duration) -> Result<(), StoreError> {
        let (mut copies, now) = (self.copies(), Instant::now());
        for (key, value) in new {
            let copy = copies.entry(key);
            if !copy.is_there(now) {
                *copy = Copy { value: Some(value), until: Some(now + ttl) };
            }
        }
        Ok(())
    }

    async fn forget(&self, keys: &[K]) -> Result<(), StoreError> {
        let (mut copies, now) = (self.copies(), Instant::now());
        for key in keys {
            *copies.entry(key.clone()) = Copy { value: None, until: Some(now + FORGOTTEN) };
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{accounts::Profile, conformance::fixtures::user};

    #[tokio::test]
    async fn holds_no_more_than_its_bound() {
        let cache = InProcess::of_at_most(8);
        for number in 0..100 {
            let (username, display_name) = (String::new(), number.to_string());
            let profile = Profile { user: user(number), username, display_name };
            cache.put(vec![(user(number), profile)], Duration::from_secs(9)).await.unwrap();
        }
        let users: Vec<_> = (0..100).map(user).collect();
        let found = cache.get(&users).await.unwrap();
        assert!((4..=8).contains(&found.iter().flatten().count()));
        assert!(found[99].is_some() && found[0].is_none());
    }
}
