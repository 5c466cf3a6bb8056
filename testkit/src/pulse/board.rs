//! What was sent and not heard yet, and how long everything took.

use super::felt::{Felt, Kind};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// By what a beat is known when it comes back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Beat {
    /// By its id.
    Ping(u32),
    /// By its data.
    Signal(u32),
    /// By its room: one at a time.
    Typing(String),
    /// By its body.
    Message(u32),
}

/// Shared by the threads of a pulse.
#[derive(Default)]
pub(super) struct Board(Mutex<State>);

#[derive(Default)]
struct State {
    /// Beats of the phases; a beat belongs to the one it was sent in.
    under_way: HashMap<Beat, (u32, Instant)>,
    /// Numbered from one; 0 is between two of them, where nothing is noted.
    phase: u32,
    phases: u32,
    felt: HashMap<u32, Felt>,
    without_messages: bool,
    /// The first refusal; there must be none.
    refused: Option<String>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) -> u32 {
        let mut state = self.state();
        state.phases += 1;
        state.phase = state.phases;
        state.phase
    }

    pub(super) fn end(&self) {
        self.state().phase = 0;
    }

    pub(super) fn send_messages(&self, are_sent: bool) {
        self.state().without_messages = !are_sent;
    }

    pub(super) fn sends(&self, kind: Kind) -> bool {
        kind != Kind::Message || !self.state().without_messages
    }

    pub(super) fn sent(&self, beat: Beat, at: Instant) {
        let mut state = self.state();
        let phase = state.phase;
        if phase > 0 {
            state.under_way.insert(beat, (phase, at));
        }
    }

    /// A frame that came at this time, to somebody who is to hear such kinds.
    pub(super) fn heard(&self, frame: &Value, hears: fn(Kind) -> bool, at: Instant) {
        if frame["op"] == "error" {
            self.state().refused.get_or_insert(frame.to_string());
        }
        let Some((beat, kind)) = beat_of(frame).filter(|(_, kind)| hears(*kind)) else { return };
        let mut state = self.state();
        if let Some((phase, sent)) = state.under_way.remove(&beat) {
            let took: Duration = at.saturating_duration_since(sent);
            state.felt.entry(phase).or_default().note(kind, took);
        }
    }

    pub(super) fn is_heard(&self, phase: u32) -> bool {
        let state = self.state();
        assert_eq!(state.refused, None, "nothing is refused");
        state.under_way.values().all(|(sent_in, _)| *sent_in != phase)
    }

    pub(super) fn felt(&self, phase: u32) -> Felt {
        self.state().felt.remove(&phase).unwrap_or_default()
    }
}

/// Which beat comes back by this frame.
fn beat_of(frame: &Value) -> Option<(Beat, Kind)> {
    let number = |text: &Value| text.as_str()?.split(' ').next()?.parse().ok();
    match frame["op"].as_str()? {
        "ok" => Some((Beat::Ping(u32::try_from(frame["id"].as_u64()?).ok()?), Kind::Ping)),
        "signal" => Some((Beat::Signal(number(&frame["data"])?), Kind::Signal)),
        "message" => Some((Beat::Message(number(&frame["body"])?), Kind::Message)),
        "typing" => Some((Beat::Typing(frame["room"].as_str()?.to_owned()), Kind::Typing)),
        _ => None,
    }
}
