//! A supervisor as an actor: reports in, restarts out.

use super::{
    Child, ChildId, Strategy,
    logic::{Decision, Logic},
};
use crate::{
    kernel::{Actor, Context},
    metrics::Metrics,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// Tells the parent, or ends the node.
pub(super) type Escalate = Arc<dyn Fn(&str) + Send + Sync>;
/// The children there are. It outlives a restart of the supervisor, which would otherwise lose
/// sight of them.
pub(super) type SharedTable = Arc<Mutex<BTreeMap<ChildId, Child>>>;

/// What a supervisor is told.
pub(super) enum SupervisorMessage {
    Add(ChildId, Child),
    Down(ChildId, String),
    Remove(ChildId),
    RestartDue(Vec<ChildId>),
}

pub(super) struct SupervisorActor {
    name: &'static str,
    logic: Logic,
    table: SharedTable,
    escalate: Escalate,
    metrics: Arc<Metrics>,
}

impl SupervisorActor {
    pub(super) fn new(
        name: &'static str,
        strategy: Strategy,
        table: SharedTable,
        escalate: Escalate,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { name, logic: Logic::new(strategy), table, escalate, metrics }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<ChildId, Child>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn down(&mut self, id: ChildId, cause: &str, context: &mut Context<SupervisorMessage>) {
        let Some(child) = self.table().get(&id).cloned() else {
            return;
        };
        self.metrics.panic(child.kind);
        match self.logic.down(id, Instant::now(), fastrand::u64(..)) {
            Decision::Restart(children, delay) => {
                tracing::warn!(supervisor = self.name, actor = child.kind, ?delay, "restarting");
                context.after(delay, SupervisorMessage::RestartDue(children));
            }
            Decision::End(id) => {
                tracing::error!(supervisor = self.name, actor = child.kind, "gave up on actor");
                self.table().remove(&id);
                child.stop();
            }
            Decision::Escalate => {
                tracing::error!(supervisor = self.name, actor = child.kind, "escalating");
                (self.escalate)(&format!("{} keeps failing: {cause}", child.kind));
            }
            Decision::Nothing => {}
        }
    }

    fn restart(&self, children: &[ChildId]) {
        let table = self.table();
        for child in children.iter().filter_map(|id| table.get(id)) {
            self.metrics.restart(child.kind);
            child.restart();
        }
    }
}

impl Actor for SupervisorActor {
    type Message = SupervisorMessage;
    const KIND: &'static str = "supervisor";

    /// After a restart every child starts anew, with a clean history.
    fn started(&mut self, _context: &mut Context<SupervisorMessage>) {
        let children: Vec<_> =
            self.table().iter().map(|(id, child)| (*id, child.exhausted)).collect();
        for (id, exhausted) in &children {
            self.logic.add(*id, *exhausted);
        }
        self.restart(&children.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    }

    fn handle(&mut self, message: SupervisorMessage, context: &mut Context<SupervisorMessage>) {
        match message {
            SupervisorMessage::Add(id, child) => {
                self.logic.add(id, child.exhausted);
                self.table().insert(id, child);
            }
            SupervisorMessage::Remove(id) => {
                self.logic.remove(id);
                self.table().remove(&id);
            }
            SupervisorMessage::Down(id, cause) => self.down(id, &cause, context),
            SupervisorMessage::RestartDue(children) => self.restart(&children),
        }
    }
}
