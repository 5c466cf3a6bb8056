//! A breaker and a deadline around calls.

use crate::{Breaker, BreakerRules, BreakerState, Outcome, Ticket};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// A [`Breaker`] that many calls share. Runs on the clock of tokio, so on a paused one in tests.
#[derive(Debug)]
pub struct Circuit {
    breaker: Mutex<Breaker>,
    began: Instant,
}

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted<E> {
    /// It was not made: the part is broken, and is asked again after this time at the earliest.
    #[error("not asked for {} ms", retry_after.as_millis())]
    Open {
        /// At least a millisecond.
        retry_after: Duration,
    },
    /// It took too long, and was dropped.
    #[error("no answer in time")]
    Late,
    /// It failed.
    #[error("{0}")]
    Failed(E),
}

impl Circuit {
    /// Closed.
    pub fn new(rules: BreakerRules) -> Self {
        Self { breaker: Mutex::new(Breaker::new(rules)), began: Instant::now() }
    }

    /// Awaits `call` for at most `limit`, unless the breaker is open; then it is not even begun.
    /// `is_failure` tells an answer that says the part is broken from one that refuses this call.
    ///
    /// A call that is dropped by its caller says nothing, unless it has outlasted `limit`.
    pub async fn call<T, E>(
        &self,
        limit: Duration,
        is_failure: impl FnOnce(&E) -> bool,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Interrupted<E>> {
        let mut leave = self.admit()?;
        let answer = timeout(limit, call).await;
        let outcome = match &answer {
            Ok(Ok(_)) => Outcome::Success,
            Ok(Err(error)) if !is_failure(error) => Outcome::Success,
            Ok(Err(_)) | Err(_) => Outcome::Failure,
        };
        leave.settle(outcome);
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(Interrupted::Failed(error)),
            Err(_) => Err(Interrupted::Late),
        }
    }

    /// What it does with calls now.
    pub fn state(&self) -> BreakerState {
        self.breaker().state()
    }

    fn admit<E>(&self) -> Result<Leave<'_>, Interrupted<E>> {
        match self.breaker().admit(self.now_ms()) {
            Ok(ticket) => Ok(Leave { circuit: self, ticket: Some(ticket) }),
            Err(wait_ms) => Err(Interrupted::Open { retry_after: Duration::from_millis(wait_ms) }),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave to call, which is handed back also when the call is dropped.
struct Leave<'a> {
    circuit: &'a Circuit,
    ticket: Option<Ticket>,
}

impl Leave<'_> {
    fn settle(&mut self, outcome: Outcome) {
        if let Some(ticket) = self.ticket.take() {
            self.circuit.breaker().settle(ticket, outcome, self.circuit.now_ms());
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.settle(Outcome::Abandoned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};
    use tokio::time::advance;

    const LIMIT: Duration = Duration::from_millis(200);

    async fn fail(circuit: &Circuit) -> Result<(), Interrupted<&'static str>> {
        circuit.call(LIMIT, |_| true, ready(Err("broken"))).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_ends_in_time_and_five_of_them_open() {
        let circuit = Circuit::new(BreakerRules::default());
        for _ in 0..5 {
            let began = Instant::now();
            let answer = circuit.call(LIMIT, |_: &()| true, pending::<Result<(), ()>>()).await;
            assert_eq!((answer, began.elapsed()), (Err(Interrupted::Late), LIMIT));
        }
        let began = Instant::now();
        let refused = fail(&circuit).await;
        assert_eq!(refused, Err(Interrupted::Open { retry_after: Duration::from_secs(1) }));
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn one_probe_of_a_thousand_callers() {
        let circuit = Circuit::new(BreakerRules::default());
        for _ in 0..5 {
            assert_eq!(fail(&circuit).await, Err(Interrupted::Failed("broken")));
        }
        advance(Duration::from_secs(1)).await;
        let asked = std::cell::Cell::new(0);
        let mut calls: Vec<_> = (0..1_000)
            .map(|_| {
                let asked = &asked;
                Box::pin(circuit.call(LIMIT, |_: &()| true, async move {
                    asked.set(asked.get() + 1);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    Ok::<(), ()>(())
                }))
            })
            .collect();
        let mut answered = 0;
        for call in calls.iter_mut().rev() {
            tokio::select! {
                biased;
                answer = call => answered += u32::from(answer.is_err()),
                () = ready(()) => {}
            }
        }
        assert_eq!((asked.get(), answered), (1, 999));
        assert_eq!(calls.pop().expect("the probe").await, Ok(()));
        assert_eq!(circuit.state(), BreakerState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_goes_away_leaves_no_probe_behind() {
        let circuit = Circuit::new(BreakerRules::default());
        for _ in 0..5 {
            assert!(fail(&circuit).await.is_err());
        }
        advance(Duration::from_secs(1)).await;
        let probe = circuit.call(LIMIT, |_: &()| true, pending::<Result<(), ()>>());
        tokio::select! { biased; _ = probe => panic!("it hangs"), () = ready(()) => {} }
        assert_eq!(circuit.state(), BreakerState::Open);
        advance(Duration::from_secs(1)).await;
        let answer = circuit.call(LIMIT, |_: &()| true, ready(Ok::<_, ()>(7))).await;
        assert_eq!((answer, circuit.state()), (Ok(7), BreakerState::Closed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_an_answer() {
        let circuit = Circuit::new(BreakerRules::default());
        for _ in 0..100 {
            let answer = circuit.call(LIMIT, |_| false, ready(Err::<(), _>("no"))).await;
            assert_eq!(answer, Err(Interrupted::Failed("no")));
        }
        assert_eq!(circuit.state(), BreakerState::Closed);
    }
}
