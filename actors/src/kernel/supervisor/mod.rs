//! The supervisor tree: who is restarted, how soon, and when a parent has to decide.
//!
//! A supervisor is an actor itself. It is told of each panic of its children, waits a backoff and
//! has the child rebuilt from its factory ([`Strategy`] says who else with it). A child that
//! panics more than [`RESTARTS_MAX`] times within [`RESTARTS_WINDOW`] exhausts its supervisor's
//! patience ([`Exhausted`] says what follows); the root's patience ends the node.

mod actor;
mod logic;
pub mod tree;

use super::{
    Actor, Address, Arbiter,
    inbox::{Control, Controlled},
    meter, shell,
};
use crate::metrics::{ActorKind, Metrics};
pub(super) use actor::Escalate;
use actor::{SupervisorActor, SupervisorMessage};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tree::State;

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
    state: State,
    restarts: u32,
    /// What it supervises itself.
    branch: Option<Arc<Branch>>,
}

impl Child {
    pub(super) fn new(
        kind: &'static str,
        exhausted: Exhausted,
        shell: Arc<dyn Controlled>,
    ) -> Self {
        Self { kind, exhausted, shell, state: State::Up, restarts: 0, branch: None }
    }
}

/// One supervisor's part of the tree. It outlives a restart of the supervisor, which would
/// otherwise lose sight of its children.
struct Branch {
    name: &'static str,
    strategy: Strategy,
    next_child: AtomicU64,
    children: Mutex<BTreeMap<ChildId, Child>>,
}

impl Branch {
    fn new(name: &'static str, strategy: Strategy) -> Arc<Self> {
        Arc::new(Self { name, strategy, next_child: AtomicU64::new(0), children: Mutex::default() })
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<ChildId, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark_down(&self, id: ChildId) -> Option<Child> {
        let mut children = self.children();
        let child = children.get_mut(&id)?;
        child.state = State::Restarting;
        Some(child.clone())
    }
}

/// Adds children to a supervisor and reports to it. Cloning shares it.
#[derive(Clone)]
pub struct Supervisor {
    address: Address<SupervisorMessage>,
    branch: Arc<Branch>,
}

impl Supervisor {
    /// The top of the tree, on the arbiter of the caller, which measures for these metrics from now
    /// on. `give_up` is called once, with the reason, when nothing more can be done.
    pub fn root(metrics: Arc<Metrics>, give_up: impl Fn(&str) + Send + Sync + 'static) -> Self {
        meter::measure_for(metrics.clone());
        let branch = Branch::new("root", Strategy::OneForOne);
        let give_up: Escalate = Arc::new(give_up);
        let of_actor = branch.clone();
        let address = shell::start_root(INBOX_BOUND, give_up.clone(), move |_| {
            SupervisorActor::new(of_actor, give_up, metrics)
        });
        Self { address, branch }
    }

    /// A subtree below this one, on the arbiter of the caller.
    pub fn subtree(
        &self,
        name: &'static str,
        strategy: Strategy,
        metrics: Arc<Metrics>,
    ) -> Supervisor {
        let address = Address::new(ActorKind::of(SupervisorActor::KIND), INBOX_BOUND);
        let parent = self.clone();
        let branch = Branch::new(name, strategy);
        let child = Child::new(name, Exhausted::Escalate, address.controlled());
        let child = Child { branch: Some(branch.clone()), ..child };
        let id = self.add(child.clone());
        let escalate: Escalate = {
            let (parent, child) = (parent.clone(), child.clone());
            Arc::new(move |cause: &str| parent.down(id, child.clone(), cause.to_owned()))
        };
        let of_actor = branch.clone();
        let make = move |_: &Address<SupervisorMessage>| {
            SupervisorActor::new(of_actor.clone(), escalate.clone(), metrics.clone())
        };
        shell::start_child(&Arbiter::here(), &address, parent, id, child, move || make);
        Self { address, branch }
    }

    pub(super) fn add(&self, child: Child) -> ChildId {
        let id = ChildId(self.branch.next_child.fetch_add(1, Ordering::Relaxed));
        self.tell(SupervisorMessage::Add(id, child));
        id
    }

    /// A child panicked. It comes along, for a supervisor that did not hear of it before.
    pub(super) fn down(&self, id: ChildId, child: Child, cause: String) {
        self.tell(SupervisorMessage::Down(id, child, cause));
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
    /// What it is, for metrics: a subtree goes by its name otherwise.
    fn actor_kind(&self) -> ActorKind {
        ActorKind::of(if self.branch.is_some() { SupervisorActor::KIND } else { self.kind })
    }

    fn restart(&self) {
        self.shell.control(Control::Restart);
    }

    fn stop(&self) {
        self.shell.control(Control::Stop);
    }
}
