//! What a supervisor decides: pure, time passed in.

use super::{
    BACKOFF_FIRST_MS, BACKOFF_MAX_MS, ChildId, Exhausted, RESTARTS_MAX, RESTARTS_WINDOW, Strategy,
};
use madang_resilience::Backoff;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::time::Instant;

/// The children's recent history.
pub(super) struct Logic {
    strategy: Strategy,
    /// Ordered by when they were added. Bounded by the children there are.
    children: BTreeMap<ChildId, History>,
}

struct History {
    exhausted: Exhausted,
    /// Panics within the window, oldest first; at most `RESTARTS_MAX` + 1.
    panics: VecDeque<Instant>,
    backoff: Backoff,
}

/// What to do about a panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Rebuild these after the delay, in this order.
    Restart(Vec<ChildId>, Duration),
    /// End this child.
    End(ChildId),
    /// Tell the parent.
    Escalate,
    /// The child is not here any more.
    Nothing,
}

impl Logic {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self { strategy, children: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, child: ChildId, exhausted: Exhausted) {
        let backoff = Backoff::new(BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
        self.children.insert(child, History { exhausted, panics: VecDeque::new(), backoff });
    }

    pub(super) fn remove(&mut self, child: ChildId) {
        self.children.remove(&child);
    }

    /// A child panicked at `now`. `random` is any number, for the backoff's jitter.
    pub(super) fn down(&mut self, child: ChildId, now: Instant, random: u64) -> Decision {
        let Some(history) = self.children.get_mut(&child) else {
            return Decision::Nothing;
        };
        history.panics.retain(|panic| now.duration_since(*panic) < RESTARTS_WINDOW);
        if history.panics.is_empty() {
            history.backoff.reset();
        }
        history.panics.push_back(now);
        if history.panics.len() > RESTARTS_MAX {
            return self.exhausted(child);
        }
        let delay = Duration::from_millis(history.backoff.next_ms(random));
        Decision::Restart(self.restarted_with(child), delay)
    }

    fn exhausted(&mut self, child: ChildId) -> Decision {
        match self.children[&child].exhausted {
            Exhausted::Escalate => Decision::Escalate,
            Exhausted::End => {
                self.children.remove(&child);
                Decision::End(child)
            }
        }
    }

    fn restarted_with(&self, child: ChildId) -> Vec<ChildId> {
        match self.strategy {
            Strategy::OneForOne => vec![child],
            Strategy::RestForOne => self.children.range(child..).map(|(id, _)| *id).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ChildId = ChildId(0);
    const B: ChildId = ChildId(1);
    const C: ChildId = ChildId(2);

    fn three(strategy: Strategy, exhausted: Exhausted) -> Logic {
        let mut logic = Logic::new(strategy);
        for child in [A, B, C] {
            logic.add(child, exhausted);
        }
        logic
    }

    fn restart(children: &[ChildId], millis: u64) -> Decision {
        Decision::Restart(children.to_vec(), Duration::from_millis(millis))
    }

    #[test]
    fn one_for_one_restarts_the_child_alone() {
        let mut logic = three(Strategy::OneForOne, Exhausted::Escalate);
        assert_eq!(logic.down(B, Instant::now(), u64::MAX), restart(&[B], 10));
    }

    #[test]
    fn rest_for_one_restarts_those_after_it_too() {
        let mut logic = three(Strategy::RestForOne, Exhausted::Escalate);
        assert_eq!(logic.down(B, Instant::now(), u64::MAX), restart(&[B, C], 10));
    }

    #[test]
    fn delays_double_then_patience_ends() {
        for (exhausted, end) in
            [(Exhausted::Escalate, Decision::Escalate), (Exhausted::End, Decision::End(A))]
        {
            let mut logic = three(Strategy::OneForOne, exhausted);
            let now = Instant::now();
            for millis in [10, 20, 40, 80, 160] {
                assert_eq!(logic.down(A, now, u64::MAX), restart(&[A], millis));
            }
            assert_eq!(logic.down(A, now, u64::MAX), end);
            assert_eq!(logic.down(B, now, u64::MAX), restart(&[B], 10), "siblings have their own");
        }
    }

    #[test]
    fn the_window_forgets() {
        let mut logic = three(Strategy::OneForOne, Exhausted::Escalate);
        let now = Instant::now();
        for _ in 0..5 {
            logic.down(A, now, 0);
        }
        assert_eq!(logic.down(A, now + RESTARTS_WINDOW, 0), restart(&[A], 0));
    }

    #[test]
    fn a_child_that_left_is_nobodys_business() {
        let mut logic = three(Strategy::OneForOne, Exhausted::Escalate);
        logic.remove(A);
        assert_eq!(logic.down(A, Instant::now(), 0), Decision::Nothing);
    }
}
