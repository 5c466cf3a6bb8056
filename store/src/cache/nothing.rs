//! No cache.

use super::{Cache, Caches, Key};
use crate::StoreError;
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Holds no copies: every read is one of the store, and identical ones at once are still one.
pub struct Nothing;

#[async_trait]
impl<K: Key> Cache<K> for Nothing {
    async fn get(&self, keys: &[K]) -> Result<Vec<Option<K::Value>>, StoreError> {
        Ok(vec![None; keys.len()])
    }

    async fn put(&self, _: Vec<(K, K::Value)>, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn forget(&self, _: &[K]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Caches {
    /// None at all.
    pub fn nothing() -> Self {
        let nothing = Arc::new(Nothing);
        Self { sessions: nothing.clone(), profiles: nothing.clone(), members: nothing }
    }
}
