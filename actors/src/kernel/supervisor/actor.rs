//! A supervisor as an actor: reports in, restarts out.

use super::{
    Branch, Child, ChildId,
    logic::{Decision, Logic},
    tree::State,
};
use crate::{
    kernel::{Actor, Context},
    metrics::Metrics,
};
use std::sync::Arc;
use tokio::time::Instant;

/// Tells the parent, or ends the node.
pub(in crate::kernel) type Escalate = Arc<dyn Fn(&str) + Send + Sync>;

/// What a supervisor is told.
pub(super) enum SupervisorMessage {
    Add(ChildId, Child),
    Down(ChildId, Child, String),
    Remove(ChildId),
    RestartDue(Vec<ChildId>),
}

pub(super) struct SupervisorActor {
    logic: Logic,
    branch: Arc<Branch>,
    escalate: Escalate,
    metrics: Arc<Metrics>,
}

impl SupervisorActor {
    pub(super) fn new(branch: Arc<Branch>, escalate: Escalate, metrics: Arc<Metrics>) -> Self {
        Self { logic: Logic::new(branch.strategy), branch, escalate, metrics }
    }

    fn add(&mut self, id: ChildId, child: Child) {
        self.logic.add(id, child.exhausted);
        self.branch.children().insert(id, child);
    }

    fn down(
        &mut self,
        id: ChildId,
        child: Child,
        cause: &str,
        context: &mut Context<SupervisorMessage>,
    ) {
        if !self.branch.children().contains_key(&id) {
            self.add(id, child); // the supervisor panicked when it was to hear of it
        }
        let Some(child) = self.branch.mark_down(id) else {
            return;
        };
        let supervisor = self.branch.name;
        self.metrics.panic(child.actor_kind());
        match self.logic.down(id, Instant::now(), fastrand::u64(..)) {
            Decision::Restart(children, delay) => {
                tracing::warn!(supervisor, actor = child.kind, ?delay, "restarting");
                context.after(delay, SupervisorMessage::RestartDue(children));
            }
            Decision::End(id) => {
                tracing::error!(supervisor, actor = child.kind, "gave up on actor");
                self.branch.children().remove(&id);
                child.stop();
            }
            Decision::Escalate => {
                tracing::error!(supervisor, actor = child.kind, "escalating");
                (self.escalate)(&format!("{} keeps failing: {cause}", child.kind));
            }
            Decision::Nothing => {}
        }
    }

    fn restart(&self, children: &[ChildId]) {
        let mut table = self.branch.children();
        for id in children {
            if let Some(child) = table.get_mut(id) {
                self.metrics.restart(child.actor_kind());
                child.state = State::Up;
                child.restarts += 1;
                child.restart();
            }
        }
    }
}

impl Actor for SupervisorActor {
    type Message = SupervisorMessage;
    const KIND: &'static str = "supervisor";

    /// After a restart every child starts anew, with a clean history. Those that ended meanwhile may
    /// have told what panicked.
    fn started(&mut self, _context: &mut Context<SupervisorMessage>) {
        self.branch.children().retain(|_, child| !child.shell.is_closed());
        let children: Vec<_> =
            self.branch.children().iter().map(|(id, child)| (*id, child.exhausted)).collect();
        for (id, exhausted) in &children {
            self.logic.add(*id, *exhausted);
        }
        self.restart(&children.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    }

    fn handle(&mut self, message: SupervisorMessage, context: &mut Context<SupervisorMessage>) {
        match message {
            SupervisorMessage::Add(id, child) => self.add(id, child),
            SupervisorMessage::Remove(id) => {
                self.logic.remove(id);
                self.branch.children().remove(&id);
            }
            SupervisorMessage::Down(id, child, cause) => self.down(id, child, &cause, context),
            SupervisorMessage::RestartDue(children) => self.restart(&children),
        }
    }
}
