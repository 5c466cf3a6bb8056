//! Phases in turns, and what may be said about them.

use super::felt::{Felt, Kind};
use std::{fmt, time::Duration};

/// By how much a 99th percentile may be larger beside what goes on than without it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of `ping`, `signal` and `typing`, which need no store.
    pub live: f64,
    /// Of messages.
    pub message: f64,
    /// On top of that, whatever the factor.
    pub slack: Duration,
}

/// What users are promised.
impl Default for Limits {
    fn default() -> Self {
        Self { live: 1.2, message: 1.5, slack: Duration::from_millis(1) }
    }
}

impl Limits {
    fn allowed(&self, kind: Kind, quiet: Duration) -> Duration {
        let factor = if kind == Kind::Message { self.message } else { self.live };
        quiet.mul_f64(factor) + self.slack
    }
}

/// Phases in which something went on, each after a quiet one, and a last quiet one.
#[derive(Debug, Default)]
pub struct Rounds {
    /// With nothing going on.
    pub quiet: Vec<Felt>,
    /// Beside it.
    pub beside: Vec<Felt>,
}

/// What the rounds say about one kind, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The median of the phases beside is within what the median of the quiet ones allows.
    Holds,
    /// It is not, but neither are the quiet phases among themselves: others use the machine, and
    /// within what these did it holds.
    NotTold,
    /// It is not, and the machine is not the reason.
    Violated,
}

impl Rounds {
    /// The worst of what is said about the kinds.
    pub fn verdict(&self, limits: &Limits) -> Verdict {
        let all = self.figures(limits).map(|figures| figures.verdict);
        all.into_iter().max().unwrap_or(Verdict::Holds)
    }

    /// A line for each kind.
    pub fn table(&self, limits: &Limits) -> String {
        self.figures(limits).map(|figures| format!("  {figures}\n")).concat()
    }

    fn figures(&self, limits: &Limits) -> [Figures; 4] {
        Kind::ALL.map(|kind| {
            let quiet = sorted(&self.quiet, kind);
            let beside = sorted(&self.beside, kind);
            Figures::of(kind, quiet, beside, limits)
        })
    }
}

/// The 99th percentiles of one kind.
struct Figures {
    kind: Kind,
    quiet: Duration,
    /// The largest quiet one: the A/A spread.
    quiet_max: Duration,
    beside: Duration,
    beside_max: Duration,
    allowed: Duration,
    verdict: Verdict,
}

impl Figures {
    fn of(kind: Kind, quiet: Vec<Duration>, beside: Vec<Duration>, limits: &Limits) -> Self {
        let last = |sorted: &[Duration]| sorted.last().copied().unwrap_or_default();
        let (quiet_max, beside_max) = (last(&quiet), last(&beside));
        let (quiet, beside) = (median(&quiet), median(&beside));
        let allowed = limits.allowed(kind, quiet);
        let verdict = if beside <= allowed {
            Verdict::Holds
        } else if quiet_max > allowed && beside <= limits.allowed(kind, quiet_max) {
            Verdict::NotTold
        } else {
            Verdict::Violated
        };
        Self { kind, quiet, quiet_max, beside, beside_max, allowed, verdict }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, quiet, quiet_max, beside, beside_max, allowed, verdict } = self;
        let verdict = match verdict {
            Verdict::Holds => "holds",
            Verdict::NotTold => "NOT TOLD from what others do on this machine",
            Verdict::Violated => "VIOLATED",
        };
        let spread = quiet_max.as_secs_f64() / quiet.as_secs_f64().max(f64::MIN_POSITIVE);
        write!(
            f,
            "{:7} p99 quiet {quiet:.2?} (A/A x{spread:.2}, to {quiet_max:.2?}), beside {beside:.2?} \
             (to {beside_max:.2?}), allowed {allowed:.2?}: {verdict}",
            kind.name()
        )
    }
}

/// The 99th percentiles of the phases that have this kind, sorted.
fn sorted(phases: &[Felt], kind: Kind) -> Vec<Duration> {
    let with = phases.iter().filter(|felt| felt.count(kind) > 0);
    let mut all: Vec<Duration> = with.map(|felt| felt.percentile(kind, 99)).collect();
    all.sort_unstable();
    all
}

fn median(sorted: &[Duration]) -> Duration {
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(p99_millis: &[u64]) -> Vec<Felt> {
        let phase = |millis: &u64| {
            let mut felt = Felt::default();
            (0..100).for_each(|_| felt.note(Kind::Signal, Duration::from_millis(*millis)));
            felt
        };
        p99_millis.iter().map(phase).collect()
    }

    fn verdict(quiet: &[u64], beside: &[u64]) -> Verdict {
        let rounds = Rounds { quiet: phases(quiet), beside: phases(beside) };
        rounds.verdict(&Limits::default())
    }

    #[test]
    fn the_median_of_the_rounds_is_what_counts() {
        assert_eq!(verdict(&[10, 10, 10, 10], &[13, 12, 90]), Verdict::Holds);
        assert_eq!(verdict(&[10, 10, 10, 10], &[12, 14, 90]), Verdict::Violated);
    }

    #[test]
    fn what_differs_by_itself_proves_nothing() {
        assert_eq!(verdict(&[10, 10, 10, 30], &[20, 20, 20]), Verdict::NotTold);
        assert_eq!(verdict(&[10, 10, 10, 30], &[40, 40, 40]), Verdict::Violated);
    }

    #[test]
    fn one_in_fifty_that_waits_is_felt() {
        let mut waits = phases(&[10, 10, 10]);
        for felt in &mut waits {
            (0..2).for_each(|_| felt.note(Kind::Signal, Duration::from_secs(1)));
        }
        let rounds = Rounds { quiet: phases(&[10, 10, 10, 10]), beside: waits };
        assert_eq!(rounds.verdict(&Limits::default()), Verdict::Violated);
    }
}
