//! The supervisor tree: who is restarted, how soon, and when a parent has to decide.
//!
//! A supervisor is an actor itself. It is told of each panic of its children, waits a backoff and
//! has the child rebuilt from its factory ([`Strategy`] says who else with it). A child that
//! panics more than [`RESTARTS_MAX`] times within [`RESTARTS_WINDOW`] exhausts its supervisor's
//! patience ([`Exhausted`] says what follows); the root's patience ends the node.

mod actor;
mod logic;

use super::{
    Address, Arbiter,
    inbox::{Control, Controlled},
    shell,
};
use crate::metrics::Metrics;
use actor::{SupervisorActor, SupervisorMessage};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Restarts of one child within the window before it counts as hopeless.
pub const RESTARTS_MAX: usize = 5;
/// The window they are counted in.
pub const RESTARTS_WINDOW: Duration = Duration::from_secs(30);
/// Longest wait before the first restart; doubles with each further one in the window.
pub const BACKOFF_FIRST_MS: u64 = 10;
/// Longest wait before any restart.
pub const BACKOFF_MAX_MS: u64 = 2_000;
/// A supervisor takes reports only, and those are bounded by the children there are.
const INBOX_BOUND: usize = 0;

/// Who is restarted when one child panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// That child.
    OneForOne,
    /// That child and those added after it, which depend on it.
    RestForOne,
}

/// What follows when a child cannot be kept up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exhausted {
    /// The supervisor's own parent decides: the node cannot do without this child.
    Escalate,
    /// The child is ended: others do not need it, and it can be started anew when asked for.
    End,
}

/// A child within its supervisor; grows with each one added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ChildId(u64);

/// A child as its supervisor knows it.
#[derive(Clone)]
pub(super) struct Child {
    kind: &'static str,
    exhausted: Exhausted,
    shell: Arc<dyn Controlled>,
}

impl Child {
    pub(super) fn new(
        kind: &'static str,
        exhausted: Exhausted,
        shell: Arc<dyn Controlled>,
    ) -> Self {
        Self { kind, exhausted, shell }
    }
}

/// Adds children to a supervisor and reports to it. Cloning shares it.
#[derive(Clone)]
pub struct Supervisor {
    address: Address<SupervisorMessage>,
    next_child: Arc<AtomicU64>,
}

impl Supervisor {
    /// The top of the tree, on the arbiter of the caller. `give_up` is called once, with the
    /// reason, when nothing more can be done.
    pub fn root(metrics: Arc<Metrics>, give_up: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let table = Arc::default();
        let give_up: actor::Escalate = Arc::new(give_up);
        let address = shell::start_unsupervised(INBOX_BOUND, move |_| {
            SupervisorActor::new("root", Strategy::OneForOne, table, give_up, metrics)
        });
        Self { address, next_child: Arc::default() }
    }

    /// A subtree below this one, on the arbiter of the caller.
    pub fn subtree(
        &self,
        name: &'static str,
        strategy: Strategy,
        metrics: Arc<Metrics>,
    ) -> Supervisor {
        let address = Address::new(INBOX_BOUND);
        let parent = self.clone();
        let child = self.add(Child::new(name, Exhausted::Escalate, address.controlled()));
        let escalate: actor::Escalate = {
            let parent = parent.clone();
            Arc::new(move |cause: &str| parent.down(child, cause.to_owned()))
        };
        let table: actor::SharedTable = Arc::new(Mutex::default());
        let make = move |_: &Address<SupervisorMessage>| {
            SupervisorActor::new(name, strategy, table.clone(), escalate.clone(), metrics.clone())
        };
        shell::start_child(&Arbiter::current(), &address, parent, child, move || make);
        Self { address, next_child: Arc::default() }
    }

    pub(super) fn add(&self, child: Child) -> ChildId {
        let id = ChildId(self.next_child.fetch_add(1, Ordering::Relaxed));
        self.tell(SupervisorMessage::Add(id, child));
        id
    }

    pub(super) fn down(&self, child: ChildId, cause: String) {
        self.tell(SupervisorMessage::Down(child, cause));
    }

    pub(super) fn remove(&self, child: ChildId) {
        self.tell(SupervisorMessage::Remove(child));
    }

    /// Reports are facts about children: as many as there are of those, and none may be lost.
    fn tell(&self, report: SupervisorMessage) {
        self.address.urge(report);
    }
}

impl Child {
    fn restart(&self) {
        self.shell.control(Control::Restart);
    }

    fn stop(&self) {
        self.shell.control(Control::Stop);
    }
}
