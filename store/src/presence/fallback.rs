//! Leases that all nodes see, and those of one node while the others' are away.

use super::{InProcess, NodeLife, PresenceStore};
use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::UserId;

/// Keeps leases in the shared store and, of this node's users, here as well. A call that gets no
/// answer there is answered from here: a user is then online if this node says so, comes when this
/// node's first lease begins, and goes when it ends. Once the shared store is back, the next flush of
/// each node, which renews everybody's lease, makes it whole again; if it came back empty, users
/// come once more.
pub struct Fallback<S> {
    shared: S,
    local: InProcess,
}

impl<S: PresenceStore> Fallback<S> {
    /// Over `shared`.
    pub fn new(shared: S) -> Self {
        Self { shared, local: InProcess::new() }
    }
}

#[async_trait]
impl<S: PresenceStore> PresenceStore for Fallback<S> {
    async fn renew(
        &self,
        holder: &NodeLife,
        users: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        let local = self.local.renew(holder, users.clone(), ttl_ms).await;
        shared_or(self.shared.renew(holder, users, ttl_ms).await, local)
    }

    async fn end(&self, holder: &NodeLife, users: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        let local = self.local.end(holder, users.clone()).await;
        shared_or(self.shared.end(holder, users).await, local)
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        match self.shared.online(users).await {
            Ok(online) => Ok(online),
            shared => shared_or(shared, self.local.online(users).await),
        }
    }
}

fn shared_or<T>(
    shared: Result<T, StoreError>,
    local: Result<T, StoreError>,
) -> Result<T, StoreError> {
    if let Err(error) = &shared {
        tracing::debug!(%error, "presence of this node alone");
    }
    shared.or(local)
}
