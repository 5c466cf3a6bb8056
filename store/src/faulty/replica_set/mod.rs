//! A store that is several machines: what the primary has is not yet what the majority has, and a
//! fail-over takes back what was not.
//!
//! ```text
//! append ─▶ primary ─ oplog, with a lag ─▶ majority ─▶ every read
//!              │                              ▲
//!              └── fail-over: what is only ───┘
//!                  here never was
//! ```
//!
//! It keeps the contract of the traits, as MongoDB does with `w: majority` and reads of the
//! majority: a command is written document by document, others may come between, and what it wrote
//! of itself is seen as soon as the majority has it; it is answered when the majority has all.
//! A place that is held by a document which may still be taken back counts as taken, and whoever
//! looks finds nobody there. What the primary has, what an old primary still has and what a
//! secondary had a while ago can be read as well, against the contract: [`Reads`].
//!
//! Room changes and read positions are at the majority at once. For tests, in one thread, like the
//! store in memory it is made of.

mod log;
mod rooms;
mod state;
#[cfg(test)]
mod tests;

use crate::{Options, Store, in_process::InProcess};
use madang_protocol::Entry;
use state::State;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How the machines are doing, and who is told what they did.
pub trait Weather: Send + Sync + 'static {
    /// Until the majority has the next document.
    fn lag(&self) -> Duration;

    /// Between two documents of a command.
    fn pause(&self) -> Duration;

    /// Both the place and the name of a message are taken: the place is what the answer names.
    fn names_place(&self) -> bool;

    /// How long a secondary stays as it is.
    fn secondary_stays(&self) -> Duration;

    /// The majority has this entry now.
    fn committed(&self, entry: &Entry);
}

/// Which reads are not of what the majority has; only tests of tests have any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// None.
    #[default]
    Majority,
    /// A room that begins reads what the primary has.
    LocalActivation,
    /// What is in doubt is read from what the primary has.
    LocalReadBack,
    /// Pages come from a secondary that has all messages, whether or not it has all changes.
    StalePages,
}

/// See the module. Cloning shares it.
#[derive(Clone)]
pub struct ReplicaSet(Arc<Machines>);

struct Machines {
    weather: Arc<dyn Weather>,
    reads: Reads,
    /// What cannot be taken back.
    majority: Arc<InProcess>,
    /// That, and what is on its way there.
    primary: InProcess,
    /// What the last primary had when it was replaced.
    deposed: InProcess,
    secondary: InProcess,
    state: Mutex<State>,
}

/// How long one who should not may read from a primary that was replaced.
const DEPOSED_FOR: Duration = Duration::from_secs(3);

impl ReplicaSet {
    /// An empty one.
    pub fn open(options: &Options, reads: Reads, weather: Arc<dyn Weather>) -> Self {
        let machine = || InProcess::new(options);
        Self(Arc::new(Machines {
            weather,
            reads,
            majority: Arc::new(machine()),
            primary: machine(),
            deposed: machine(),
            secondary: machine(),
            state: Mutex::default(),
        }))
    }

    /// The store that they are together.
    pub fn store(&self) -> Store {
        let machines = self.0.clone();
        Store {
            log: machines.clone(),
            rooms: machines.clone(),
            receipts: machines.clone(),
            accounts: machines.majority.clone(),
            control: machines,
        }
    }

    /// Another machine becomes primary: what the majority does not have is gone, and whoever
    /// waits for it is told that the outcome is unknown.
    pub fn fail_over(&self) {
        let Machines { primary, majority, deposed, .. } = &*self.0;
        let mut state = self.0.settled();
        deposed.become_copy_of(primary);
        primary.become_copy_of(majority);
        state.fail_over(Instant::now() + DEPOSED_FOR);
    }

    /// Documents that a fail-over now would take back.
    pub fn tail(&self) -> usize {
        self.0.settled().tail()
    }
}

impl Machines {
    /// The state, when everything has come to the majority whose time it was.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        while let Some(entry) = state.next_due(now) {
            let appended = self.majority.append_now(std::slice::from_ref(&entry));
            assert!(appended.stopped.is_none(), "the primary took it: {appended:?}");
            self.weather.committed(&entry);
        }
        if state.secondary_until <= now {
            state.secondary_until = now + self.weather.secondary_stays();
            self.secondary.become_copy_of(&self.majority);
        }
        state
    }

    /// What everybody may rely on.
    fn majority(&self) -> &InProcess {
        drop(self.settled());
        &self.majority
    }

    /// What whoever asks without care is shown.
    fn local(&self) -> &InProcess {
        let is_deposed = Instant::now() < self.settled().deposed_until;
        if is_deposed { &self.deposed } else { &self.primary }
    }
}
