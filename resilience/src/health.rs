//! Which part of the node is in what state, since when.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The parts of a node and their states. Cloning shares it; may be used from any thread.
///
/// Parts are named in code, so their number is fixed by it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, Part>>>,
}

/// How one part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Its state.
    pub state: State,
    /// When it entered that state, milliseconds on the clock of whoever set it.
    pub since: u64,
}

/// From best to worst, so that the worst of several is their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Works.
    Ok,
    /// Works in part; which part that is depends on what it is about.
    Degraded,
    /// Does not work.
    Down,
}

impl State {
    /// The name in answers and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

impl Health {
    /// No part yet, which counts as ok.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the state of a part. `since` moves only when the state changes.
    pub fn set(&self, part: &'static str, state: State, now: u64) {
        let mut parts = self.lock();
        let known = parts.entry(part).or_insert(Part { state, since: now });
        if known.state != state {
            *known = Part { state, since: now };
        }
    }

    /// The worst state of any part.
    pub fn overall(&self) -> State {
        self.lock().values().map(|part| part.state).max().unwrap_or(State::Ok)
    }

    /// Every part, by name.
    pub fn parts(&self) -> Vec<(&'static str, Part)> {
        self.lock().iter().map(|(name, part)| (*name, *part)).collect()
    }

    /// Every change is one assignment, so a panic elsewhere cannot leave it half done.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_when_the_state_changed() {
        let health = Health::new();
        assert_eq!(health.overall(), State::Ok);
        for (state, now, since) in
            [(State::Ok, 1, 1), (State::Ok, 2, 1), (State::Down, 3, 3), (State::Down, 9, 3)]
        {
            health.set("store", state, now);
            assert_eq!(health.parts(), [("store", Part { state, since })]);
        }
    }

    #[test]
    fn the_worst_part_decides() {
        let health = Health::new();
        health.set("store", State::Ok, 1);
        health.clone().set("bus", State::Degraded, 1);
        assert_eq!(health.overall(), State::Degraded);
        health.set("drain", State::Down, 2);
        assert_eq!(health.overall(), State::Down);
        let names: Vec<_> = health.parts().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["bus", "drain", "store"]);
    }
}
