//! When what was gathered is written: one write of each kind at a time. Pure.

use std::time::Duration;

/// What is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Read positions.
    Receipts,
    /// Who came and went.
    Presence,
    /// When sessions were used last.
    LastSeen,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Receipts, Self::Presence, Self::LastSeen];
}

/// Wait before what could not be written is tried again while the node stops.
const DRAIN_RETRY: Duration = Duration::from_millis(50);

/// What is to be done. `R` is who waits for the end.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<R> {
    /// Write what is gathered of this kind now; `written` tells what became of it. There is no
    /// other write of the kind under way.
    Write(Kind),
    /// Call `due` after this time.
    DueAfter(Kind, Duration),
    /// Everything gathered before it asked is written.
    Drained(R),
}

/// When each kind is written.
pub struct Logic<R> {
    flushes: [Flush; Kind::ALL.len()],
    draining: Vec<R>,
}

struct Flush {
    every: Option<Duration>,
    in_flight: bool,
    /// The node stops, and what was gathered before the last write began is not all.
    is_owed: bool,
}

impl<R> Logic<R> {
    /// Writes each kind once in its time; one without a time only when the node stops.
    pub fn new(every: impl Fn(Kind) -> Option<Duration>, effects: &mut Vec<Effect<R>>) -> Self {
        let flush = |kind| Flush { every: every(kind), in_flight: false, is_owed: false };
        let mut logic = Self { flushes: Kind::ALL.map(flush), draining: Vec::new() };
        for kind in Kind::ALL {
            logic.wait(kind, effects);
        }
        logic
    }

    /// The time of a `DueAfter` has come.
    pub fn due(&mut self, kind: Kind, effects: &mut Vec<Effect<R>>) {
        self.begin(kind, effects);
        self.wait(kind, effects);
    }

    /// A write ended; what failed is gathered still.
    pub fn written(&mut self, kind: Kind, is_ok: bool, effects: &mut Vec<Effect<R>>) {
        let is_draining = !self.draining.is_empty();
        let flush = self.flush(kind);
        flush.in_flight = false;
        if !is_draining {
            return;
        }
        if !is_ok {
            flush.is_owed = true;
            return effects.push(Effect::DueAfter(kind, DRAIN_RETRY));
        }
        if flush.is_owed {
            return self.begin(kind, effects);
        }
        if self.flushes.iter().all(|flush| !flush.in_flight && !flush.is_owed) {
            effects.extend(self.draining.drain(..).map(Effect::Drained));
        }
    }

    /// The node stops: everything is written as soon as can be.
    pub fn drain(&mut self, reply: R, effects: &mut Vec<Effect<R>>) {
        mutate!(DrainDropsBatch, { return effects.push(Effect::Drained(reply)) });
        self.draining.push(reply);
        for kind in Kind::ALL {
            self.flush(kind).is_owed = true;
            self.begin(kind, effects);
        }
    }

    fn begin(&mut self, kind: Kind, effects: &mut Vec<Effect<R>>) {
        let flush = self.flush(kind);
        if !flush.in_flight {
            flush.in_flight = true;
            flush.is_owed = false;
            effects.push(Effect::Write(kind));
        }
    }

    fn wait(&mut self, kind: Kind, effects: &mut Vec<Effect<R>>) {
        let every = self.flush(kind).every;
        effects.extend(every.map(|every| Effect::DueAfter(kind, every)));
    }

    fn flush(&mut self, kind: Kind) -> &mut Flush {
        &mut self.flushes[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::{Effect::*, Kind::*, *};

    const EVERY: Duration = Duration::from_secs(1);

    fn new() -> Logic<u8> {
        let mut effects = Vec::new();
        let every = |kind| (kind != LastSeen).then_some(EVERY);
        let logic = Logic::new(every, &mut effects);
        assert_eq!(effects, [DueAfter(Receipts, EVERY), DueAfter(Presence, EVERY)]);
        logic
    }

    fn effects(act: impl FnOnce(&mut Vec<Effect<u8>>)) -> Vec<Effect<u8>> {
        let mut effects = Vec::new();
        act(&mut effects);
        effects
    }

    #[test]
    fn one_write_of_a_kind_at_a_time() {
        let mut logic = new();
        assert_eq!(
            effects(|e| logic.due(Receipts, e)),
            [Write(Receipts), DueAfter(Receipts, EVERY)]
        );
        assert_eq!(effects(|e| logic.due(Receipts, e)), [DueAfter(Receipts, EVERY)]);
        assert_eq!(
            effects(|e| logic.due(Presence, e)),
            [Write(Presence), DueAfter(Presence, EVERY)]
        );
        assert_eq!(effects(|e| logic.written(Receipts, false, e)), [], "next time");
        assert_eq!(
            effects(|e| logic.due(Receipts, e)),
            [Write(Receipts), DueAfter(Receipts, EVERY)]
        );
    }

    #[test]
    fn draining_waits_for_a_write_begun_after_it_was_asked_for() {
        let mut logic = new();
        effects(|e| logic.due(Receipts, e));
        assert_eq!(effects(|e| logic.drain(7, e)), [Write(Presence), Write(LastSeen)]);
        assert_eq!(effects(|e| logic.written(LastSeen, true, e)), []);
        assert_eq!(effects(|e| logic.written(Receipts, true, e)), [Write(Receipts)]);
        assert_eq!(effects(|e| logic.written(Presence, true, e)), []);
        assert_eq!(effects(|e| logic.written(Receipts, true, e)), [Drained(7)]);
    }

    #[test]
    fn what_fails_while_draining_is_tried_again_soon() {
        let mut logic = new();
        let all = [Write(Receipts), Write(Presence), Write(LastSeen)];
        assert_eq!(effects(|e| logic.drain(7, e)), all);
        effects(|e| logic.written(Presence, true, e));
        effects(|e| logic.written(LastSeen, true, e));
        let failed = effects(|e| logic.written(Receipts, false, e));
        assert_eq!(failed, [DueAfter(Receipts, DRAIN_RETRY)]);
        assert_eq!(effects(|e| logic.due(Receipts, e))[0], Write(Receipts));
        assert_eq!(effects(|e| logic.written(Receipts, true, e)), [Drained(7)]);
    }
}
