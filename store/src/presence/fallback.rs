//! Leases that all nodes see, and those of one node while the others' are away.

use super::{Edges, Flush, InProcess, NodeLife, PresenceStore};
use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::UserId;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Leases live longer than the shared store may be away for, with the time in which nodes come back
/// to it after that.
const SHORT: Duration = Duration::from_secs(2);
/// After a longer time away leases have run out whose holders are only not back yet: the last of them
/// comes when its breaker, open for 30 s at most, lets a call through, and renews soon.
const ALL_ARE_BACK_AFTER: Duration = Duration::from_secs(40);

/// Keeps leases in the shared store and, of this node's users, here as well. A call that gets no
/// answer there is answered from here: a user is then online if this node says so, comes when this
/// node's first lease begins, and goes when it ends, which is partial ([`Edges`]). Once the shared
/// store is back, the next flush of each node, which renews everybody's lease, makes it whole
/// again; if it came back empty, users come once more. Who ran out is not told meanwhile, nor until
/// every node had the time to renew.
pub struct Fallback<S> {
    shared: S,
    local: InProcess,
    known: Mutex<Known>,
}

/// What is known of the shared store.
#[derive(Default)]
struct Known {
    away_since: Option<Instant>,
    /// Some nodes may not be back before.
    whole_at: Option<Instant>,
}

impl Known {
    fn note(&mut self, is_answered: bool, now: Instant) {
        if !is_answered {
            self.away_since.get_or_insert(now);
        } else if let Some(since) = self.away_since.take()
            && since + SHORT < now
        {
            self.whole_at = Some(now + ALL_ARE_BACK_AFTER);
        }
    }

    fn is_whole(&self, now: Instant) -> bool {
        self.away_since.is_none() && self.whole_at.is_none_or(|at| at <= now)
    }
}

impl<S: PresenceStore> Fallback<S> {
    /// Over `shared`.
    pub fn new(shared: S) -> Self {
        Self { shared, local: InProcess::new(), known: Mutex::default() }
    }

    fn noted<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.known().note(answer.is_ok(), Instant::now());
        if let Err(error) = &answer {
            tracing::debug!(%error, "presence of this node alone");
        }
        answer
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: PresenceStore> PresenceStore for Fallback<S> {
    async fn renew(
        &self,
        holder: &NodeLife,
        renew: Vec<UserId>,
        ttl_ms: u64,
    ) -> Result<Vec<UserId>, StoreError> {
        Ok(self.flush(holder, Flush { renew, ttl_ms, ..Flush::default() }).await?.came)
    }

    async fn end(&self, holder: &NodeLife, end: Vec<UserId>) -> Result<Vec<UserId>, StoreError> {
        Ok(self.flush(holder, Flush { end, ..Flush::default() }).await?.went)
    }

    async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
        if !self.known().is_whole(Instant::now()) {
            return Ok(Vec::new());
        }
        Ok(self.noted(self.shared.run_out(limit).await).unwrap_or_default())
    }

    async fn flush(&self, holder: &NodeLife, flush: Flush) -> Result<Edges, StoreError> {
        let own = Flush { run_out_max: 0, ..flush.clone() };
        let is_whole = self.known().is_whole(Instant::now());
        let local = self.local.flush(holder, own.clone()).await;
        let flush = if is_whole { flush } else { own };
        let shared = self.noted(self.shared.flush(holder, flush).await);
        shared.or_else(|_| Ok(Edges { is_partial: true, ..local? }))
    }

    async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        match self.noted(self.shared.online(users).await) {
            Ok(online) => Ok(online),
            Err(_) => self.local.online(users).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };
    use tokio::time::advance;

    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);
    const LEASE_MS: u64 = 10_000;

    /// A store that may be away.
    #[derive(Clone, Default)]
    struct Shared {
        leases: Arc<InProcess>,
        is_away: Arc<AtomicBool>,
    }

    impl Shared {
        fn is_there(&self) -> Result<(), StoreError> {
            match self.is_away.load(Ordering::Relaxed) {
                true => Err(StoreError::Unavailable("away".to_owned())),
                false => Ok(()),
            }
        }

        fn set_away(&self, is_away: bool) {
            self.is_away.store(is_away, Ordering::Relaxed);
        }
    }

    #[async_trait]
    impl PresenceStore for Shared {
        async fn renew(
            &self,
            holder: &NodeLife,
            users: Vec<UserId>,
            ttl_ms: u64,
        ) -> Result<Vec<UserId>, StoreError> {
            self.is_there()?;
            self.leases.renew(holder, users, ttl_ms).await
        }

        async fn end(
            &self,
            holder: &NodeLife,
            users: Vec<UserId>,
        ) -> Result<Vec<UserId>, StoreError> {
            self.is_there()?;
            self.leases.end(holder, users).await
        }

        async fn run_out(&self, limit: usize) -> Result<Vec<UserId>, StoreError> {
            self.is_there()?;
            self.leases.run_out(limit).await
        }

        async fn online(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
            self.is_there()?;
            self.leases.online(users).await
        }
    }

    struct Node {
        leases: Fallback<Shared>,
        life: NodeLife,
        user: UserId,
    }

    impl Node {
        fn new(name: &str, shared: &Shared, user: UserId) -> Self {
            let life = NodeLife { node: name.to_owned(), incarnation: 1 };
            Self { leases: Fallback::new(shared.clone()), life, user }
        }

        async fn flush(&self) -> Edges {
            let renew = vec![self.user];
            let flush = Flush { renew, ttl_ms: LEASE_MS, run_out_max: 10, ..Flush::default() };
            self.leases.flush(&self.life, flush).await.unwrap()
        }
    }

    fn came(user: UserId) -> Edges {
        Edges { came: vec![user], ..Edges::default() }
    }

    async fn pass(seconds: u64) {
        advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_told_to_have_gone_because_the_store_was_away() {
        let shared = Shared::default();
        let (here, there) = (Node::new("a", &shared, ANN), Node::new("b", &shared, BEN));
        here.flush().await;
        there.flush().await;
        shared.set_away(true);
        pass(1).await;
        assert_eq!(here.flush().await, Edges { is_partial: true, ..Edges::default() });
        pass(60).await;
        shared.set_away(false);
        assert_eq!(here.flush().await, came(ANN), "once more");
        for _ in 0..39 {
            pass(1).await;
            assert_eq!(here.flush().await, Edges::default(), "the other is not back yet");
        }
        assert_eq!(there.flush().await, came(BEN), "it is now");
        pass(2).await;
        assert_eq!(here.flush().await, Edges::default());
        pass(9).await;
        assert_eq!(here.flush().await.went, [BEN], "this time it was its lease");
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_without_an_answer_holds_nothing_up() {
        let shared = Shared::default();
        let (here, dead) = (Node::new("a", &shared, ANN), Node::new("b", &shared, BEN));
        here.flush().await;
        dead.flush().await;
        shared.set_away(true);
        here.flush().await;
        shared.set_away(false);
        pass(1).await;
        here.flush().await;
        pass(9).await;
        assert_eq!(here.flush().await.went, [BEN]);
    }
}
