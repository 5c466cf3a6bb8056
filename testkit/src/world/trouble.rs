//! What goes wrong, and how often: drawn from the seed, one plan for each world.

use super::{
    bus::Passage,
    observation::{Observation, Recorder},
};
use fastrand::Rng;
use madang_store::faulty::{Call, Effect, Fate, Outcome, Script, Share};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// Chances, in thousandths, and lengths.
#[derive(Debug, Clone)]
pub struct Plan {
    /// A call of the store takes as long as this, about.
    pub store_ms: u64,
    /// A call stalls, for up to [`Plan::stall_ms`].
    pub stalls: u32,
    /// Longest stall.
    pub stall_ms: u64,
    /// A call is refused.
    pub refusals: u32,
    /// A write is answered with "unknown".
    pub unknowns: u32,
    /// Of those, the rest of it takes effect later.
    pub lates: u32,
    /// Calls that panic, in the whole world.
    pub panics: u32,
    /// A publication is lost.
    pub losses: u32,
    /// It comes later, or twice.
    pub delays: u32,
    /// The node is killed so often.
    pub crashes: u32,
    /// It is drained and started again so often.
    pub drains: u32,
    /// A client's link is cut before its next step.
    pub cuts: u32,
    /// It stops reading for a while.
    pub naps: u32,
}

impl Plan {
    /// Nothing goes wrong.
    pub fn quiet() -> Self {
        Self {
            store_ms: 2,
            stalls: 0,
            stall_ms: 0,
            refusals: 0,
            unknowns: 0,
            lates: 0,
            panics: 0,
            losses: 0,
            delays: 0,
            crashes: 0,
            drains: 0,
            cuts: 5,
            naps: 0,
        }
    }

    /// A mixture: each kind of trouble is absent, rare or frequent by itself, so that some worlds
    /// have one kind alone and some have all.
    pub fn drawn(rng: &mut Rng) -> Self {
        let mut some = |rare: u32, frequent: u32| match rng.u32(0..10) {
            0..4 => 0,
            4..8 => rare,
            _ => frequent,
        };
        let (stalls, refusals, unknowns, lates) =
            (some(5, 40), some(10, 80), some(20, 120), some(300, 700));
        let (losses, delays, cuts, naps) =
            (some(30, 300), some(30, 300), some(10, 60), some(10, 40));
        let (panics, crashes, drains) = (some(1, 3), some(1, 3), some(1, 2));
        let store_ms = [1, 5, 20, 80][rng.usize(0..4)];
        let stall_ms = [500, 2_500, 8_000][rng.usize(0..3)];
        Self {
            store_ms,
            stalls,
            stall_ms,
            refusals,
            unknowns,
            lates,
            panics,
            losses,
            delays,
            crashes,
            drains,
            cuts,
            naps,
        }
    }
}

/// The trouble of one world. Draws in the order of what happens, so the same world has the same.
pub(super) struct Trouble {
    plan: Plan,
    dice: Mutex<Dice>,
    is_over: AtomicBool,
    recorder: Arc<Recorder>,
    /// Reads see what is not committed: a fault of the store that no contract allows.
    is_dirty: bool,
}

struct Dice {
    rng: Rng,
    panics_left: u32,
}

impl Trouble {
    /// As planned, until it is over.
    pub(super) fn new(plan: Plan, seed: u64, is_dirty: bool, recorder: Arc<Recorder>) -> Arc<Self> {
        let dice =
            Dice { rng: Rng::with_seed(seed ^ 0x7175_6172_7265_6c73), panics_left: plan.panics };
        Arc::new(Self {
            plan,
            dice: Mutex::new(dice),
            is_over: AtomicBool::new(false),
            recorder,
            is_dirty,
        })
    }

    /// From now on everything works.
    pub(super) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of the next publication.
    pub(super) fn passage(&self) -> Passage {
        let rng = &mut self.dice().rng;
        if self.is_over.load(Relaxed) {
            return Passage::Through;
        }
        let after = Duration::from_millis(rng.u64(1..300));
        let drawn = rng.u32(0..1_000);
        let Plan { losses, delays, .. } = self.plan;
        match drawn {
            _ if drawn < losses => Passage::Lost,
            _ if drawn < losses + delays && drawn.is_multiple_of(2) => Passage::Twice(after),
            _ if drawn < losses + delays => Passage::Late(after),
            _ => Passage::Through,
        }
    }
}

impl Dice {
    fn hits(&mut self, thousandths: u32) -> bool {
        self.rng.u32(0..1_000) < thousandths
    }

    fn about(&mut self, ms: u64) -> Duration {
        Duration::from_micros(self.rng.u64(0..=2_000 * ms))
    }

    fn outcome(&mut self, plan: &Plan, call: Call) -> Outcome {
        if self.hits(plan.refusals) {
            return Outcome::Refused { done: Share(self.rng.u8(..)) };
        }
        if call != Call::Read && self.hits(plan.unknowns) {
            let done = [Share(0), Share(255), Share(self.rng.u8(..))][self.rng.usize(0..3)];
            let told = if self.rng.bool() { Share(0) } else { Share(self.rng.u8(..)) };
            let is_late = self.hits(plan.lates);
            let rest = is_late.then(|| Duration::from_millis(self.rng.u64(1..4_000)));
            return Outcome::Unknown { done, told, rest };
        }
        if self.panics_left > 0 && self.hits(4) {
            self.panics_left -= 1;
            return Outcome::Panic;
        }
        Outcome::Done
    }
}

impl Script for Trouble {
    fn fate(&self, call: Call) -> Fate {
        if call == Call::PutReads {
            self.recorder.note(Observation::BulkBegun);
        }
        let (mut dice, plan) = (self.dice(), &self.plan);
        if self.is_over.load(Relaxed) {
            let after = Duration::from_micros(200);
            return Fate { before: after, outcome: Outcome::Done, after };
        }
        let mut before = dice.about(plan.store_ms);
        if dice.hits(plan.stalls) {
            before += Duration::from_millis(dice.rng.u64(0..=plan.stall_ms));
        }
        let outcome = dice.outcome(plan, call);
        let after = dice.about(plan.store_ms);
        Fate { before, outcome, after }
    }

    fn shows_uncommitted(&self) -> bool {
        self.is_dirty
    }

    fn took_effect(&self, effect: Effect<'_>) {
        match effect {
            Effect::Appended(entries, appended, is_late) => {
                let (entries, committed) = (entries.into(), appended.committed);
                self.recorder.note(Observation::Appended { entries, committed, is_late });
            }
            Effect::Changed(room, changed) => {
                self.recorder.note(Observation::Changed { room, changed: changed.clone() });
            }
            Effect::Created(_) => {}
            Effect::Read(reads) => {
                let mut reads = reads.to_vec();
                reads.sort_unstable_by_key(|read| (read.room, read.user));
                self.recorder.note(Observation::ReadsStored(reads));
            }
        }
    }
}
