//! How long everything took during one phase.

use std::{fmt, time::Duration};

/// What takes its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A question to the node, and its answer.
    Ping,
    /// From one connection to another, kept nowhere.
    Signal,
    /// The same, gathered.
    Typing,
    /// The same, committed on the way.
    Message,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 4] = [Self::Ping, Self::Signal, Self::Typing, Self::Message];

    /// As the protocol calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Signal => "signal",
            Self::Typing => "typing",
            Self::Message => "message",
        }
    }
}

/// What one phase took.
#[derive(Default, Clone)]
pub struct Felt([Vec<Duration>; 4]);

impl Felt {
    pub(super) fn note(&mut self, kind: Kind, took: Duration) {
        self.0[kind as usize].push(took);
    }

    /// How many there were.
    pub fn count(&self, kind: Kind) -> usize {
        self.0[kind as usize].len()
    }

    /// So many of a hundred took at most this long; nothing took no time.
    pub fn percentile(&self, kind: Kind, percent: usize) -> Duration {
        let mut sorted = self.0[kind as usize].clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

impl fmt::Debug for Felt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL.into_iter().filter(|kind| self.count(*kind) > 0) {
            let (p50, p99) = (self.percentile(kind, 50), self.percentile(kind, 99));
            write!(f, "{} p50 {p50:.2?} p99 {p99:.2?} ({}) ", kind.name(), self.count(kind))?;
        }
        Ok(())
    }
}
