//! What goes wrong, and how often: drawn from the seed, one plan for each world.

use super::{
    bus::Passage,
    observation::{Observation, Recorder},
    together::Together,
};
use fastrand::Rng;
use madang_protocol::Entry;
use madang_store::faulty::{Call, Effect, Fate, Outcome, Script, Share, replica_set::Weather};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::time::Instant;

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
    /// Clients act so many times more seldom.
    pub pace: u64,
    /// What goes wrong between several nodes; `None`: there is one.
    pub together: Option<Together>,
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
            pace: 1,
            together: None,
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
            pace: 1,
            together: None,
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
    cuts: Mutex<Cuts>,
}

/// Who cannot reach what now.
#[derive(Default)]
struct Cuts {
    from_bus: BTreeSet<usize>,
    from_store: BTreeSet<usize>,
    /// The store has no primary until then.
    no_primary_until: Option<Instant>,
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
            cuts: Mutex::default(),
        })
    }

    /// A node is cut off from the others, or is not any more.
    pub(super) fn cut_from_bus(&self, node: usize, is_cut: bool) {
        let from_bus = &mut self.cuts().from_bus;
        if is_cut {
            from_bus.insert(node)
        } else {
            from_bus.remove(&node)
        };
    }

    /// A node is cut off from the store, or is not any more.
    pub(super) fn cut_from_store(&self, node: usize, is_cut: bool) {
        let from_store = &mut self.cuts().from_store;
        if is_cut {
            from_store.insert(node)
        } else {
            from_store.remove(&node)
        };
    }

    pub(super) fn is_cut_from_bus(&self, node: usize) -> bool {
        self.cuts().from_bus.contains(&node)
    }

    /// Nobody writes, or reads what the majority has, for a while.
    pub(super) fn elect_for(&self, time: Duration) {
        self.cuts().no_primary_until = Some(Instant::now() + time);
    }

    fn is_without_store(&self, node: usize) -> bool {
        let cuts = self.cuts();
        let elects = cuts.no_primary_until.is_some_and(|until| Instant::now() < until);
        elects || cuts.from_store.contains(&node)
    }

    fn cuts(&self) -> MutexGuard<'_, Cuts> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on everything works.
    pub(super) fn end(&self) {
        self.is_over.store(true, Relaxed);
        *self.cuts() = Cuts::default();
    }

    /// What goes wrong between several nodes; `None`: there is one.
    pub(super) fn together(&self) -> Option<&Together> {
        self.plan.together.as_ref()
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    fn dice(&self) -> MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a parcel from one node to another, or the same.
    pub(super) fn passage(&self, from: usize, to: usize) -> Passage {
        if self.is_cut_from_bus(from) || self.is_cut_from_bus(to) {
            return Passage::Lost;
        }
        self.chance()
    }

    /// What becomes of the next publication.
    pub(super) fn chance(&self) -> Passage {
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

/// The trouble of one node with the store.
pub(super) struct Side {
    /// The world's.
    pub(super) trouble: Arc<Trouble>,
    /// Which node.
    pub(super) node: usize,
}

impl Trouble {
    fn fate(&self, node: usize, call: Call) -> Fate {
        let is_without = self.is_without_store(node);
        let (mut dice, plan) = (self.dice(), &self.plan);
        if self.is_over() {
            let after = Duration::from_micros(200);
            return Fate { before: after, outcome: Outcome::Done, after };
        }
        if is_without {
            return dice.without_store(call);
        }
        let mut before = dice.about(plan.store_ms);
        if dice.hits(plan.stalls) {
            before += Duration::from_millis(dice.rng.u64(0..=plan.stall_ms));
        }
        let outcome = dice.outcome(plan, call);
        let after = dice.about(plan.store_ms);
        Fate { before, outcome, after }
    }
}

impl Dice {
    /// A request is lost, or its answer is, after which nobody knows.
    fn without_store(&mut self, call: Call) -> Fate {
        let before = Duration::from_millis(self.rng.u64(1..3_000));
        let outcome = match call {
            Call::Read => Outcome::Refused { done: Share(0) },
            Call::Append | Call::Change | Call::PutReads => {
                let done = if self.rng.u8(0..4) == 0 { Share(255) } else { Share(0) };
                Outcome::Unknown { done, told: Share(0), rest: None }
            }
        };
        Fate { before, outcome, after: Duration::ZERO }
    }
}

impl Script for Side {
    fn fate(&self, call: Call) -> Fate {
        if call == Call::PutReads {
            self.trouble.recorder.note(Observation::BulkBegun(self.node));
        }
        self.trouble.fate(self.node, call)
    }

    fn shows_uncommitted(&self) -> bool {
        self.trouble.is_dirty
    }

    fn took_effect(&self, effect: Effect<'_>) {
        let recorder = &self.trouble.recorder;
        match effect {
            Effect::Appended(entries, appended, is_late) => {
                let (entries, committed) = (entries.into(), appended.committed);
                recorder.note(Observation::Appended { entries, committed, is_late });
            }
            Effect::Arrived(entries, is_late) => {
                let (entries, node) = (entries.into(), self.node);
                recorder.note(Observation::Arrived { entries, node, is_late });
            }
            Effect::Changed(room, changed) => {
                let (changed, node) = (changed.clone(), self.node);
                recorder.note(Observation::Changed { room, changed, node });
            }
            Effect::Created(_) => {}
            Effect::Read(reads) => {
                let mut reads = reads.to_vec();
                reads.sort_unstable_by_key(|read| (read.room, read.user));
                recorder.note(Observation::ReadsStored(reads));
            }
        }
    }
}

impl Weather for Trouble {
    fn lag(&self) -> Duration {
        let lag_ms = self.plan.together.as_ref().map_or(0, |together| together.lag_ms);
        let mut dice = self.dice();
        if self.is_over() { Duration::from_micros(100) } else { dice.about(lag_ms) }
    }

    fn pause(&self) -> Duration {
        let mut dice = self.dice();
        if self.is_over() { Duration::ZERO } else { dice.about(1) }
    }

    fn names_place(&self) -> bool {
        self.dice().rng.bool()
    }

    fn secondary_stays(&self) -> Duration {
        Duration::from_millis(self.dice().rng.u64(100..8_000))
    }

    fn committed(&self, entry: &Entry) {
        let entries = [entry.clone()].into();
        self.recorder.note(Observation::Appended { entries, committed: 1, is_late: true });
    }
}
