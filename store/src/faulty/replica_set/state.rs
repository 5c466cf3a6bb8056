//! What is on its way to the majority.

use madang_protocol::Entry;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// The log of the primary, as far as the majority does not have it.
pub(super) struct State {
    term: u64,
    /// How many documents each earlier term had at the majority in the end.
    earlier: Vec<u64>,
    /// How many of this term are there.
    committed: u64,
    /// The next ones, and when they will be; in order.
    behind: VecDeque<(Instant, Entry)>,
    /// One who should not reads from the last primary until then.
    pub(super) deposed_until: Instant,
    /// The secondary is as it is until then.
    pub(super) secondary_until: Instant,
}

/// A document of the primary: its place in the log of a term.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) term: u64,
    pub(super) place: u64,
    pub(super) due: Instant,
}

impl State {
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    pub(super) fn tail(&self) -> usize {
        self.behind.len()
    }

    /// The primary has one more.
    pub(super) fn write(&mut self, entry: Entry, lag: Duration) -> Written {
        let due = Instant::now() + lag;
        let due = self.behind.back().map_or(due, |(last, _)| due.max(*last));
        self.behind.push_back((due, entry));
        let place = self.committed + self.behind.len() as u64;
        Written { term: self.term, place, due }
    }

    /// The next that the majority has by now.
    pub(super) fn next_due(&mut self, now: Instant) -> Option<Entry> {
        let (_, entry) = self.behind.pop_front_if(|(due, _)| *due <= now)?;
        self.committed += 1;
        Some(entry)
    }

    /// The majority has it: yes, never, or not yet.
    pub(super) fn is_committed(&self, written: &Written) -> Option<bool> {
        let Written { term, place, .. } = *written;
        if term == self.term {
            return (place <= self.committed).then_some(true);
        }
        let committed = usize::try_from(term).ok().and_then(|term| self.earlier.get(term));
        Some(committed.is_some_and(|committed| place <= *committed))
    }

    pub(super) fn fail_over(&mut self, deposed_until: Instant) {
        self.behind.clear();
        self.earlier.push(std::mem::take(&mut self.committed));
        self.term += 1;
        self.deposed_until = deposed_until;
    }
}

impl Default for State {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            term: 0,
            earlier: Vec::new(),
            committed: 0,
            behind: VecDeque::new(),
            deposed_until: now,
            secondary_until: now,
        }
    }
}
