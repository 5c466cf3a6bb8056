//! [`Cache`] in Redis: a string for each copy, MessagePack with named fields; the empty one keeps
//! a key that was forgotten from being filled. One pipeline for all keys of a call.

use super::link::{Batch, Link};
use crate::{
    StoreError,
    cache::{Cache, Caches, FORGOTTEN, Key},
};
use ::redis::{Cmd, Value, cmd};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Copies that all nodes of a cluster share.
struct Redis {
    link: Arc<Link>,
}

pub(super) fn caches(link: &Arc<Link>) -> Caches {
    let redis = Arc::new(Redis { link: link.clone() });
    Caches { sessions: redis.clone(), profiles: redis.clone(), members: redis }
}

impl Redis {
    /// A command for each key, with what `rest` adds behind it.
    fn batch<'a, K: Key>(
        &self,
        name: &str,
        keys: impl Iterator<Item = &'a K>,
        mut rest: impl FnMut(&mut Cmd),
    ) -> Batch {
        let commands = keys.map(|key| {
            let (bucket, key) = self.link.keys().of(K::KIND, &key.bytes());
            let mut command = cmd(name);
            command.arg(key);
            rest(&mut command);
            (bucket, command)
        });
        Batch { prelude: None, commands: commands.collect() }
    }
}

#[async_trait]
impl<K: Key> Cache<K> for Redis {
    async fn get(&self, keys: &[K]) -> Result<Vec<Option<K::Value>>, StoreError> {
        let answers = self.link.ask(self.batch("GET", keys.iter(), |_| {})).await?;
        Ok(answers.into_iter().map(read).collect())
    }

    async fn put(&self, copies: Vec<(K, K::Value)>, ttl: Duration) -> Result<(), StoreError> {
        let mut values = copies.iter().map(|(_, value)| value);
        let batch = self.batch("SET", copies.iter().map(|(key, _)| key), |command| {
            let value = values.next().map(rmp_serde::to_vec_named);
            let value = value.and_then(Result::ok).unwrap_or_default();
            command.arg(value).arg("NX").arg("PX").arg(milliseconds(ttl));
        });
        self.link.ask(batch).await.map(drop)
    }

    async fn forget(&self, keys: &[K]) -> Result<(), StoreError> {
        let batch = self.batch("SET", keys.iter(), |command| {
            command.arg("").arg("PX").arg(milliseconds(FORGOTTEN));
        });
        self.link.ask(batch).await.map(drop)
    }
}

/// What cannot be read is no copy: the store has the truth.
fn read<V: serde::de::DeserializeOwned>(answer: Value) -> Option<V> {
    match answer {
        Value::BulkString(bytes) if !bytes.is_empty() => rmp_serde::from_slice(&bytes).ok(),
        _ => None,
    }
}

/// At least one: Redis takes no other.
fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
