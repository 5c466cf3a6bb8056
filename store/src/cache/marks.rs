//! Keys that are marked for a time.

use std::{collections::HashMap, hash::Hash};
use tokio::time::Instant;

/// Marked at once at most. Beyond, every key counts as marked until the last of these marks ends:
/// then caches are of no use for a minute, but nothing is wrong.
const MARKS_MAX: usize = 65_536;

pub(super) struct Marks<K> {
    until: HashMap<K, Instant>,
    all_until: Option<Instant>,
    marks_max: usize,
}

impl<K: Eq + Hash> Marks<K> {
    pub(super) fn new() -> Self {
        Self::of_at_most(MARKS_MAX)
    }

    fn of_at_most(marks_max: usize) -> Self {
        Self { until: HashMap::new(), all_until: None, marks_max }
    }

    /// Marks until then, however long it was marked before.
    pub(super) fn set(&mut self, key: K, until: Instant, now: Instant) {
        if self.until.len() >= self.marks_max {
            self.until.retain(|_, until| *until > now);
        }
        if self.until.len() >= self.marks_max {
            let last = self.until.drain().map(|(_, until)| until).max();
            self.all_until = self.all_until.max(last);
        }
        self.until.insert(key, until);
    }

    /// Marks every key until then at least.
    pub(super) fn set_all(&mut self, until: Instant) {
        self.all_until = self.all_until.max(Some(until));
    }

    pub(super) fn has(&self, key: &K, now: Instant) -> bool {
        let all = self.all_until.is_some_and(|until| until > now);
        all || self.until.get(key).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn marks_end_and_too_many_mark_everything() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut marks = Marks::of_at_most(2);
        marks.set(1, at(10), start);
        marks.set(2, at(20), start);
        assert!(marks.has(&1, at(9)) && !marks.has(&1, at(10)) && !marks.has(&3, start));
        marks.set(3, at(20), at(10));
        assert!(!marks.has(&4, at(10)), "the first had ended");
        marks.set(4, at(30), at(10));
        assert!(marks.has(&5, at(19)) && !marks.has(&5, at(20)) && marks.has(&4, at(29)));
        assert!(marks.until.len() <= 2);
        marks.set_all(at(50));
        marks.set_all(at(40));
        assert!(marks.has(&9, at(49)) && !marks.has(&9, at(50)));
    }
}
