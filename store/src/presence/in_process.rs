//! [`PresenceStore`] in the memory of one process.

use super::{NodeLife, PresenceStore};
use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::UserId;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Leases of the nodes of one process. Holds nothing of users that are offline, except those
/// whose leases ran out and of whom that was not told.
#[derive(Default)]
pub struct InProcess {
    leases: Mutex<HashMap<UserId, Vec<Lease>>>,
}

struct Lease {
    holder: NodeLife,
    until: Instant,
}

impl InProcess {
    /// Nobody is online.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn leases(&self) -> MutexGuard<'_, HashMap<UserId, Vec<Lease>>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PresenceStore for InProcess {
    async fn renew(
        &self,
        holder: &NodeLife,
        users: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        let (mut leases, now) = (self.leases(), Instant::now());
        let until = now + Duration::from_millis(ttl_ms);
        let mut came = Vec::new();
        for user in users {
            let of_user = leases.entry(user).or_default();
            of_user.retain(|lease| lease.until > now);
            if of_user.is_empty() {
                came.push(user);
            }
            match of_user.iter_mut().find(|lease| lease.holder == *holder) {
                Some(lease) => lease.until = until,
                None => of_user.push(Lease { holder: holder.clone(), until }),
            }
        }
        Ok(came)
    }

    async fn end(&self, holder: &NodeLife, users: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        let (mut leases, now) = (self.leases(), Instant::now());
        let mut went = Vec::new();
        for user in users {
            if let Some(of_user) = leases.get_mut(&user) {
                of_user.retain(|lease| lease.until > now && lease.holder != *holder);
                if !of_user.is_empty() {
                    continue;
                }
                leases.remove(&user);
            }
            went.push(user);
        }
        Ok(went)
    }

    async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        let (mut leases, now) = (self.leases(), Instant::now());
        let is_over = |of_user: &Vec<Lease>| of_user.iter().all(|lease| lease.until <= now);
        let over = leases.iter().filter(|(_, of_user)| is_over(of_user));
        let mut users: Vec<UserId> = over.map(|(user, _)| *user).take(limit).collect();
        users.iter().for_each(|user| drop(leases.remove(user)));
        users.sort_unstable();
        Ok(users)
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        let (leases, now) = (self.leases(), Instant::now());
        let is_online = |user: &UserId| {
            leases.get(user).is_some_and(|of_user| of_user.iter().any(|lease| lease.until > now))
        };
        Ok(users.iter().map(is_online).collect())
    }
}
