//! The suites, against each kind of Redis. No call may have been answered by a node alone.

use crate::rig;
use async_trait::async_trait;
use madang_protocol::{Millis, UserId};
use madang_resilience::State;
use madang_store::{
    LoginLimits, PresenceStore, StoreError,
    accounts::AddressKey,
    cache::Caches,
    limits::{Rules, Verdict},
    presence::{Edges, Flush, NodeLife},
    redis::Parts,
};
use std::sync::Arc;

/// Answers of Redis alone: where there was none, the fallback stepped in, and this panics.
struct Strict(Parts);

impl Strict {
    fn answered<T>(&self, answer: T) -> T {
        assert_eq!(self.0.control.health().state, State::Ok, "Redis gave no answer");
        answer
    }
}

#[async_trait]
impl LoginLimits for Strict {
    async fn count_login(&self, address: AddressKey, now: Millis) -> Verdict {
        self.answered(self.0.limits.count_login(address, now).await)
    }

    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Verdict {
        self.answered(self.0.limits.is_blocked(address, now).await)
    }

    async fn count_signup(&self, address: AddressKey, now: Millis) -> Verdict {
        self.answered(self.0.limits.count_signup(address, now).await)
    }

    async fn may_try(&self, account: &str, now: Millis) -> Verdict {
        self.answered(self.0.limits.may_try(account, now).await)
    }

    async fn count_wrong(&self, account: &str, now: Millis) {
        self.answered(self.0.limits.count_wrong(account, now).await);
    }

    async fn forget_wrong(&self, account: &str) {
        self.answered(self.0.limits.forget_wrong(account).await);
    }
}

#[async_trait]
impl PresenceStore for Strict {
    async fn renew(
        &self,
        holder: &NodeLife,
        users: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        self.answered(self.0.presence.renew(holder, users, ttl_ms).await)
    }

    async fn end(&self, holder: &NodeLife, users: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        self.answered(self.0.presence.end(holder, users).await)
    }

    async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        self.answered(self.0.presence.run_out(limit).await)
    }

    async fn flush(&self, holder: &NodeLife, flush: Flush) -> Result<Edges, StoreError> {
        self.answered(self.0.presence.flush(holder, flush).await)
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        self.answered(self.0.presence.online(users).await)
    }
}

macro_rules! against {
    ($kind:ident, $url:expr) => {
        mod $kind {
            use super::*;

            fn parts(rules: Rules) -> Parts {
                rig::patient($url, rules)
            }

            fn limits(rules: Rules) -> Arc<dyn LoginLimits> {
                Arc::new(Strict(parts(rules)))
            }

            fn presence_store() -> Arc<dyn PresenceStore> {
                Arc::new(Strict(parts(rig::RULES)))
            }

            fn caches() -> Caches {
                parts(rig::RULES).caches
            }

            madang_store::login_limits_conformance!(super::limits);
            madang_store::presence_conformance!(super::presence_store);
            madang_store::cache_conformance!(super::caches);
        }
    };
}

against!(standalone, madang_servers::redis::url(rig::alone()));
against!(sentinel, rig::sentinels().url());
against!(cluster, rig::cluster().url());
