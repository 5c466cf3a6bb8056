//! Asking a part that is broken no more, and finding out when it works again.

/// A circuit breaker. Time is an argument, in milliseconds of any monotonic clock.
///
/// ```text
///            5 failures in a row, or half of at least 10 calls in 10 s
///   closed ────────────────────────────────────────────────────────────▶ open ◀──┐
///     ▲                                                                   │      │ the probe fails, or
///     │ the probe succeeds                              1 s, doubling to 30 s    │ does not come back:
///     └─────────────────────────────── half open ◀────────────────────────┘      │ twice as long
///                                      (one call: the probe) ────────────────────┘
/// ```
///
/// Results of calls that were let through before the last change of state are not counted: they
/// tell of what is known already.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    phase: Phase,
    /// Counts up at each change of phase.
    generation: u64,
    /// How long it stays open the next time.
    open_ms: u64,
    /// Failures since the last success, while closed.
    in_a_row: u32,
    window: Window,
}

/// The numbers of a [`Breaker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// What is counted within, in steps of a tenth of it.
    pub window_ms: u64,
    /// Fewer calls than these within it say nothing.
    pub calls_min: u32,
    /// So many of a hundred open it.
    pub failures_percent: u32,
    /// So do so many without a success between them.
    pub failures_in_a_row: u32,
    /// How long it is open at first, and at most after doubling.
    pub open_first_ms: u64,
    /// See `open_first_ms`.
    pub open_longest_ms: u64,
    /// A probe that takes longer has failed.
    pub probe_longest_ms: u64,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            window_ms: 10_000,
            calls_min: 10,
            failures_percent: 50,
            failures_in_a_row: 5,
            open_first_ms: 1_000,
            open_longest_ms: 30_000,
            probe_longest_ms: 5_000,
        }
    }
}

/// Leave to make one call; to be handed back with its outcome.
#[derive(Debug)]
#[must_use = "an outcome that is not told is a probe that is stuck"]
pub struct Ticket {
    generation: u64,
    is_probe: bool,
}

impl Ticket {
    /// Whether what follows depends on this call alone.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An answer, be it a refusal: the part works.
    Success,
    /// None, or none in time.
    Failure,
    /// Nobody waited for it to the end, so nothing is known.
    Abandoned,
}

/// What a breaker does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Lets all through.
    Closed,
    /// Refuses all.
    Open,
    /// Refuses all but the one that finds out.
    HalfOpen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    /// The next call at or after this time is the probe.
    Open {
        until_ms: u64,
    },
    /// The probe is under way, and has failed at this time.
    HalfOpen {
        until_ms: u64,
    },
}

impl Breaker {
    /// Closed, nothing counted.
    pub fn new(rules: BreakerRules) -> Self {
        Self {
            rules,
            phase: Phase::Closed,
            generation: 0,
            open_ms: rules.open_first_ms,
            in_a_row: 0,
            window: Window::default(),
        }
    }

    /// May a call be made? Otherwise: not before so many milliseconds (at least 1).
    pub fn admit(&mut self, now_ms: u64) -> Result<Ticket, u64> {
        self.let_go_of_stuck_probe(now_ms);
        match self.phase {
            Phase::Closed => Ok(self.ticket(false)),
            Phase::Open { until_ms } if until_ms <= now_ms => {
                let until_ms = now_ms.saturating_add(self.rules.probe_longest_ms);
                self.enter(Phase::HalfOpen { until_ms });
                Ok(self.ticket(true))
            }
            Phase::Open { until_ms } | Phase::HalfOpen { until_ms } => {
                Err(until_ms.saturating_sub(now_ms).max(1))
            }
        }
    }

    /// Counts what became of a call.
    pub fn settle(&mut self, ticket: Ticket, outcome: Outcome, now_ms: u64) {
        self.let_go_of_stuck_probe(now_ms);
        if ticket.generation != self.generation {
            return;
        }
        match (ticket.is_probe, outcome) {
            (true, Outcome::Success) => self.close(),
            (true, Outcome::Failure) => self.open_longer(now_ms),
            (true, Outcome::Abandoned) => self.open(now_ms),
            (false, Outcome::Abandoned) => {}
            (false, Outcome::Success | Outcome::Failure) => {
                self.count(outcome == Outcome::Failure, now_ms);
            }
        }
    }

    /// What it does with calls.
    pub fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    fn count(&mut self, failed: bool, now_ms: u64) {
        self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
        let step_ms = (self.rules.window_ms / STEPS as u64).max(1);
        let (calls, failures) = self.window.count(failed, now_ms / step_ms);
        let in_a_row = self.in_a_row >= self.rules.failures_in_a_row;
        let many = calls >= self.rules.calls_min
            && u64::from(failures) * 100
                >= u64::from(calls) * u64::from(self.rules.failures_percent);
        if failed && (in_a_row || many) {
            self.open(now_ms);
        }
    }

    /// A probe that nobody hears of again must not keep everybody out.
    fn let_go_of_stuck_probe(&mut self, now_ms: u64) {
        if let Phase::HalfOpen { until_ms } = self.phase
            && until_ms <= now_ms
        {
            self.open_longer(until_ms);
        }
    }

    fn open_longer(&mut self, now_ms: u64) {
        self.open_ms = self.open_ms.saturating_mul(2).min(self.rules.open_longest_ms);
        self.open(now_ms);
    }

    fn open(&mut self, now_ms: u64) {
        self.enter(Phase::Open { until_ms: now_ms.saturating_add(self.open_ms) });
    }

    fn close(&mut self) {
        self.open_ms = self.rules.open_first_ms;
        self.in_a_row = 0;
        self.window = Window::default();
        self.enter(Phase::Closed);
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }

    fn ticket(&self, is_probe: bool) -> Ticket {
        Ticket { generation: self.generation, is_probe }
    }
}

/// Steps of the window: the one that has begun, and the nine before it.
const STEPS: usize = 10;

/// Calls of the last [`STEPS`] steps.
#[derive(Debug, Default)]
struct Window {
    steps: [Step; STEPS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Step {
    number: u64,
    calls: u32,
    failures: u32,
}

impl Window {
    /// Counts a call of the step `number`; returns calls and failures of the window that ends there.
    fn count(&mut self, failed: bool, number: u64) -> (u32, u32) {
        let step = &mut self.steps[(number % STEPS as u64) as usize];
        if step.number != number {
            *step = Step { number, ..Step::default() };
        }
        step.calls = step.calls.saturating_add(1);
        step.failures = step.failures.saturating_add(u32::from(failed));
        let oldest = number.saturating_sub(STEPS as u64 - 1);
        let recent = self.steps.iter().filter(|step| step.number >= oldest);
        recent.fold((0, 0), |(calls, failures), step| {
            (calls.saturating_add(step.calls), failures.saturating_add(step.failures))
        })
    }
}

#[cfg(test)]
mod tests;
