//! Limits of all nodes, and of each by itself while those are away.

use super::{InProcess, LoginLimits, Rules, SharedLimits, Verdict};
use crate::{StoreError, accounts::AddressKey};
use async_trait::async_trait;
use madang_protocol::Millis;

/// Counts with the other nodes. A call that gets no answer there is counted here: while it lasts,
/// each node allows what the rules say, and no login fails for it. What was counted on one side is
/// not carried to the other, so an address may get the rules' number once more when the shared
/// counts go away, and when they come back. A right password is forgotten on both sides.
pub struct Fallback<S> {
    shared: S,
    local: InProcess,
}

impl<S: SharedLimits> Fallback<S> {
    /// Over `shared`, by the rules that it has.
    pub fn new(shared: S, rules: Rules) -> Self {
        Self { shared, local: InProcess::new(rules) }
    }

    async fn or<T>(
        &self,
        shared: impl Future<Output = Result<T, StoreError>>,
        local: impl Future<Output = T>,
    ) -> T {
        match shared.await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "limits of this node alone");
                local.await
            }
        }
    }
}

#[async_trait]
impl<S: SharedLimits> LoginLimits for Fallback<S> {
    async fn count_login(&self, address: AddressKey, now: Millis) -> Verdict {
        let local = self.local.count_login(address, now);
        self.or(self.shared.count_login(address, now), local).await
    }

    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Verdict {
        let local = self.local.is_blocked(address, now);
        self.or(self.shared.is_blocked(address, now), local).await
    }

    async fn count_signup(&self, address: AddressKey, now: Millis) -> Verdict {
        let local = self.local.count_signup(address, now);
        self.or(self.shared.count_signup(address, now), local).await
    }

    async fn may_try(&self, account: &str, now: Millis) -> Verdict {
        self.or(self.shared.may_try(account, now), self.local.may_try(account, now)).await
    }

    async fn count_wrong(&self, account: &str, now: Millis) {
        let local = self.local.count_wrong(account, now);
        self.or(self.shared.count_wrong(account, now), local).await;
    }

    async fn forget_wrong(&self, account: &str) {
        self.local.forget_wrong(account).await;
        self.or(self.shared.forget_wrong(account), async {}).await;
    }
}
