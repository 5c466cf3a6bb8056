//! A place for each call, its deadline, and what is counted.

use super::{Mongo, failure::Failure};
use crate::{
    StoreError,
    cluster::ClusterOptions,
    metrics::{Call, Metrics},
};
use madang_resilience::{BreakerRules, Interrupted};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// So many calls are under way at once, so many wait for their turn; more are refused.
pub(super) struct Gate {
    places: Semaphore,
    places_max: u32,
    waiting: AtomicUsize,
    waiting_max: usize,
    wait_max: Duration,
    pub(super) metrics: Metrics,
}

impl Gate {
    pub(super) fn new(options: &ClusterOptions, metrics: Metrics) -> Self {
        Self {
            places: Semaphore::new(options.connections_max as usize),
            places_max: options.connections_max,
            waiting: AtomicUsize::new(0),
            waiting_max: options.calls_waiting_max,
            wait_max: options.place_wait,
            metrics,
        }
    }

    /// Waits until those inside are gone, at most `limit`; whoever comes meanwhile waits outside.
    /// [`Gate::close`] sends those away.
    pub(super) async fn empty(&self, limit: Duration) -> Option<SemaphorePermit<'_>> {
        let everything = self.places.acquire_many(self.places_max);
        timeout(limit, everything).await.ok()?.ok()
    }

    /// Lets nobody in any more.
    pub(super) fn close(&self) {
        self.places.close();
    }

    async fn enter(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        let began = Instant::now();
        let waits = Waits::begin(self)?;
        let place = timeout(self.wait_max, self.places.acquire()).await;
        drop(waits);
        self.metrics.write_begins(began.elapsed());
        let place = place.map_err(|_| StoreError::Overloaded)?;
        place.map_err(|_| StoreError::Unavailable("closed".into()))
    }
}

/// One that waits; counted off when dropped, also by a caller that went away.
struct Waits<'a>(&'a Gate);

impl<'a> Waits<'a> {
    fn begin(gate: &'a Gate) -> Result<Self, StoreError> {
        let before = gate.waiting.fetch_add(1, Ordering::Relaxed);
        gate.metrics.writes_waiting.increment(1.0);
        let waits = Self(gate);
        if before >= gate.waiting_max { Err(StoreError::Overloaded) } else { Ok(waits) }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.writes_waiting.decrement(1.0);
    }
}

impl Mongo {
    /// Runs `body`, which only reads, within its time, behind the breaker: see [`Mongo::guarded`].
    pub(super) async fn read<T>(
        &self,
        call: Call,
        body: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, StoreError> {
        let limit = self.options.read_timeout;
        let read = Box::pin(self.within(call, limit, Failure::of_read, body));
        self.guarded(call, limit, Failure::of_read, read).await
    }

    /// Runs `body`, which may write, within its time, behind the breaker likewise. An error that does
    /// not say that nothing was sent is `Unknown`.
    pub(super) async fn write<T>(
        &self,
        call: Call,
        body: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, StoreError> {
        let limit = self.options.write_timeout;
        let write = Box::pin(self.within(call, limit, Failure::of_write, body));
        self.guarded(call, limit, Failure::of_write, write).await
    }

    /// While the set gives no answers, what users wait for is refused at once, but for one in a
    /// while that tries. Rooms ask one question at a time and wait: their users' sends are in doubt
    /// meanwhile, not refused. So does what goes on behind the users' backs.
    async fn guarded<T>(
        &self,
        call: Call,
        limit: Duration,
        judge: fn(Failure) -> StoreError,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if waits_anyway(call) {
            return asked.await;
        }
        let is_down = |error: &StoreError| {
            matches!(error, StoreError::Unavailable(_) | StoreError::Unknown(_))
        };
        let asked = self.users.call(limit + self.options.place_wait, is_down, asked).await;
        asked.map_err(|interrupted| match interrupted {
            Interrupted::Failed(error) => error,
            Interrupted::Late => judge(Failure::Late(limit)),
            Interrupted::Open { .. } => StoreError::Unavailable("not asked: no answers".into()),
        })
    }

    async fn within<T>(
        &self,
        call: Call,
        limit: Duration,
        judge: fn(Failure) -> StoreError,
        body: impl Future<Output = Result<T, Failure>> + Send,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = match self.gate.enter().await {
            Err(error) => Err(error),
            Ok(_place) => {
                self.gate.metrics.call(call);
                let answer = timeout(limit, body).await.unwrap_or(Err(Failure::Late(limit)));
                self.condition.heard(&answer);
                answer.map_err(judge)
            }
        };
        self.gate.metrics.answered(call, began.elapsed(), answer.as_ref().err());
        answer
    }
}

/// What is asked for rooms, or behind the users' backs, and tried again until its time is over.
fn waits_anyway(call: Call) -> bool {
    let is_of_rooms = matches!(
        call,
        Call::Append | Call::Activate | Call::FindSent | Call::Marks | Call::Target | Call::News
    );
    let is_of_nodes =
        matches!(call, Call::PutReads | Call::TouchSessions | Call::Register | Call::Probe);
    is_of_rooms || is_of_nodes
}

/// As everywhere, but that a set which elected another primary is used again within a second.
pub(super) fn breaker() -> BreakerRules {
    let default = BreakerRules::default();
    BreakerRules { open_longest_ms: default.open_first_ms, ..default }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(place_wait: Duration) -> Gate {
        let options = ClusterOptions {
            connections_max: 2,
            calls_waiting_max: 1,
            place_wait,
            ..ClusterOptions::at("mongodb://nowhere", "chat")
        };
        Gate::new(&options, Metrics::new())
    }

    #[tokio::test]
    async fn a_call_waits_for_its_place_so_long_and_then_is_refused() {
        let gate = gate(Duration::from_millis(20));
        let first = gate.enter().await.expect("a place");
        let _second = gate.enter().await.expect("a place");
        assert_eq!(gate.enter().await.err(), Some(StoreError::Overloaded));
        drop(first);
        assert!(gate.enter().await.is_ok());
    }

    #[tokio::test]
    async fn so_many_calls_wait_and_more_are_refused_at_once() {
        let gate = gate(Duration::from_secs(3_600));
        let held = (gate.enter().await, gate.enter().await);
        let (waited, refused, ()) =
            tokio::join!(gate.enter(), async { gate.enter().await.err() }, async {
                tokio::task::yield_now().await;
                drop(held);
            });
        assert!(waited.is_ok());
        assert_eq!(refused, Some(StoreError::Overloaded));
    }

    #[tokio::test]
    async fn a_closed_gate_lets_nobody_in() {
        let gate = gate(Duration::from_secs(3_600));
        assert!(gate.empty(Duration::from_secs(1)).await.is_some());
        gate.close();
        assert!(matches!(gate.enter().await, Err(StoreError::Unavailable(_))));
    }
}
