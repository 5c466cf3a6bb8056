//! Whether the store works, noticed by itself.

use super::failure::Failure;
use crate::StoreError;
use ::mongodb::event::sdam::SdamEvent;
use madang_resilience::{Part, State};
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// What is known of the set. Fed by the driver's monitoring and by the outcome of calls.
pub(super) struct Condition(Mutex<Known>);

struct Known {
    has_primary: bool,
    /// The last call that could tell did not get through.
    is_in_doubt: bool,
    is_closed: bool,
    part: Part,
}

impl Condition {
    pub(super) fn new() -> Self {
        let part = Part { state: State::Down, since: now() };
        let known = Known { has_primary: false, is_in_doubt: false, is_closed: false, part };
        Self(Mutex::new(known))
    }

    pub(super) fn part(&self) -> Part {
        self.lock().part
    }

    /// Somebody should try whether it works again.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.lock().is_in_doubt
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// The driver saw something.
    pub(super) fn saw(&self, event: &SdamEvent) {
        if let SdamEvent::TopologyDescriptionChanged(changed) = event {
            let has_primary = changed.new_description.has_writable_server();
            self.update(|known| known.has_primary = has_primary);
        }
    }

    /// A call ended.
    pub(super) fn heard<T>(&self, answer: &Result<T, Failure>) {
        let is_in_doubt = match answer {
            Err(Failure::Driver(_) | Failure::Late(_)) => true,
            Err(Failure::Ours(StoreError::Unknown(_))) => true,
            Ok(_) | Err(Failure::Ours(_)) => false,
        };
        if is_in_doubt != self.lock().is_in_doubt {
            self.update(|known| known.is_in_doubt = is_in_doubt);
        }
    }

    pub(super) fn close(&self) {
        self.update(|known| known.is_closed = true);
    }

    /// `since` moves only when the state changes.
    fn update(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.lock();
        change(&mut known);
        let state = known.state();
        if known.part.state != state {
            tracing::info!(state = state.name(), "MongoDB");
            known.part = Part { state, since: now() };
        }
    }

    /// Every change is complete in itself, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Reads go to the primary as well, so without one there are none.
    fn state(&self) -> State {
        match (self.is_closed || !self.has_primary, self.is_in_doubt) {
            (true, _) => State::Down,
            (false, true) => State::Degraded,
            (false, false) => State::Ok,
        }
    }
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_millis() as u64
}
