//! Announcements in, announcements and the view out.

use super::{
    Announcement, INBOX_BOUND, TICK, Terms,
    logic::{Effect, Logic},
};
use crate::{
    homes::Homes,
    kernel::{
        Actor, Address, Arbiter, Context, Exhausted, Reply, SendError, Supervisor, start_supervised,
    },
    metrics::Metrics,
};
use madang_cluster::{
    Bus, Peer, Subscription,
    bus::{Heard, Topic},
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};

/// What the membership works with.
pub struct MembershipServices {
    /// To the other nodes.
    pub bus: Arc<dyn Bus>,
    /// Where the view is kept; `Homes::joining`.
    pub homes: Homes,
    /// On what all nodes must agree.
    pub terms: Terms,
    /// Of the program.
    pub version: String,
    /// When this life of the node began.
    pub began: Instant,
    /// The node's.
    pub metrics: Arc<Metrics>,
    /// Ends the node, with the reason.
    pub give_up: Box<dyn Fn(&str) + Send + Sync>,
}

/// How the node stands in its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Not a member yet, or not any more since it does not hear itself.
    Joining,
    /// It is one of those that are there.
    Member,
    /// It must not be one, for this reason.
    Refused(String),
}

/// What the membership is told.
pub enum MembershipMessage {
    /// By a node.
    Said(Peer, Announcement),
    /// The node is nobody's home any more.
    Drain,
    /// The node goes: answered when it was said.
    Leave(Reply<()>),
    /// Time has passed.
    Tick,
}

/// A node's membership, from outside. The node is a member until it leaves, or this is dropped.
pub struct Membership {
    address: Address<MembershipMessage>,
    homes: Homes,
    standing: watch::Receiver<Standing>,
    _hearing: Subscription,
}

/// Joins the cluster.
pub fn start(
    arbiter: &Arbiter,
    supervisor: &Supervisor,
    services: MembershipServices,
) -> Membership {
    let homes = services.homes.clone();
    let services = Arc::new(services);
    let (tell, standing) = watch::channel(Standing::Joining);
    let (bus, metrics) = (services.bus.clone(), services.metrics.clone());
    let address =
        start_supervised(arbiter, INBOX_BOUND, supervisor, Exhausted::Escalate, move |_| {
            MembershipActor::new(services.clone(), tell.clone())
        });
    let hearing = hear(&*bus, address.clone(), metrics);
    Membership { address, homes, standing, _hearing: hearing }
}

/// Takes heartbeats off the bus's thread.
fn hear(bus: &dyn Bus, address: Address<MembershipMessage>, metrics: Arc<Metrics>) -> Subscription {
    bus.hear(Box::new(move |heard| {
        let Heard::Said { from, topic: Topic::Heartbeat, body } = heard else {
            return;
        };
        let Ok(said) = Announcement::decode(&body) else {
            return metrics.cluster.not_understood.increment(1);
        };
        if let Err(SendError::Full(_)) = address.try_send(MembershipMessage::Said(from, said)) {
            metrics.cluster.announcements_dropped.increment(1);
        }
    }))
}

impl Membership {
    /// Waits until the node is a member. Otherwise says why it is not: it was refused, or did not
    /// hear itself within `wait`.
    pub async fn joined(&self, wait: Duration) -> Result<(), String> {
        let mut standing = self.standing.clone();
        let decided = standing.wait_for(|standing| *standing != Standing::Joining);
        match tokio::time::timeout(wait, decided).await {
            Ok(Ok(decided)) => match &*decided {
                Standing::Refused(why) => Err(why.clone()),
                Standing::Member | Standing::Joining => Ok(()),
            },
            Ok(Err(_)) => Err("the membership ended".to_owned()),
            Err(_) => Err("the node does not hear its own heartbeats".to_owned()),
        }
    }

    /// How the node stands now.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// The node is nobody's home from now on, if others are there; all are told.
    pub fn drain(&self) {
        self.homes.drain();
        self.address.urge(MembershipMessage::Drain);
    }

    /// Tells all that the node goes. Nobody asks it anything any more.
    pub async fn leave(&self) {
        let (reply, answer) = Reply::channel();
        self.address.urge(MembershipMessage::Leave(reply));
        let _ = answer.await; // one that was restarted is missed after its silence
    }
}

/// See the module.
pub struct MembershipActor {
    services: Arc<MembershipServices>,
    standing: watch::Sender<Standing>,
    logic: Logic,
    effects: Vec<Effect>,
}

impl MembershipActor {
    /// Joins, once it is started. `standing` outlives it.
    pub fn new(services: Arc<MembershipServices>, standing: watch::Sender<Standing>) -> Self {
        let was_member = *standing.borrow() == Standing::Member;
        let logic = Logic::new(
            services.homes.me().clone(),
            services.terms.clone(),
            &services.version,
            services.began,
            was_member,
            Instant::now(),
        );
        Self { services, standing, logic, effects: Vec::new() }
    }

    fn perform(&mut self) {
        let mut effects = std::mem::take(&mut self.effects);
        effects.drain(..).for_each(|effect| self.perform_one(effect));
        self.effects = effects;
    }

    fn perform_one(&self, effect: Effect) {
        let services = &self.services;
        match effect {
            Effect::Announce(said) => services.bus.announce(Topic::Heartbeat, said.encode()),
            Effect::HeardMyself(sent) => services.homes.heard_myself(sent),
            Effect::View(view) => self.tell_view(view),
            Effect::Joined => {
                tracing::info!(view = %names(&services.homes), "a member of the cluster");
                self.standing.send_replace(Standing::Member);
            }
            Effect::Gone(peer) => {
                tracing::info!(node = %peer.name, "a node is gone");
            }
            Effect::BusLost => {
                tracing::error!("the node does not hear itself any more: it is nobody's home");
                services.metrics.cluster.bus_losses.increment(1);
                self.standing.send_replace(Standing::Joining);
            }
            Effect::PassedOver(peer, difference) => {
                tracing::error!(node = %peer.name, difference, "a node with other settings");
            }
            Effect::GiveUp(why) => {
                self.standing.send_replace(Standing::Refused(why.clone()));
                (services.give_up)(&why);
            }
        }
    }

    fn tell_view(&self, view: madang_cluster::View) {
        let services = &self.services;
        services.metrics.cluster.nodes.set(view.nodes().len() as f64);
        if services.homes.update(view) {
            services.metrics.cluster.view_changes.increment(1);
            tracing::info!(view = %names(&services.homes), "who is there");
        }
    }

    fn measure(&self, now: Instant) {
        let metrics = &self.services.metrics.cluster;
        let silence = self.logic.silence(now).as_secs_f64();
        metrics.heartbeat_age.set(silence);
        metrics.bus_lost.set(if self.logic.is_member() { 0.0 } else { silence });
    }
}

/// For logs.
fn names(homes: &Homes) -> String {
    let view = homes.view();
    let names: Vec<&str> = view.nodes().iter().map(|peer| peer.name.as_str()).collect();
    names.join(" ")
}

impl Actor for MembershipActor {
    type Message = MembershipMessage;
    const KIND: &'static str = "membership";

    fn started(&mut self, context: &mut Context<MembershipMessage>) {
        context.after(Duration::ZERO, MembershipMessage::Tick);
    }

    fn handle(&mut self, message: MembershipMessage, context: &mut Context<MembershipMessage>) {
        let (now, effects) = (Instant::now(), &mut self.effects);
        match message {
            MembershipMessage::Said(from, said) => self.logic.heard(from, &said, now, effects),
            MembershipMessage::Drain => self.logic.drain(now, effects),
            MembershipMessage::Leave(reply) => {
                self.logic.leave(now, effects);
                self.perform();
                reply.send(());
            }
            MembershipMessage::Tick => {
                if self.services.homes.is_draining() {
                    self.logic.drain(now, effects);
                }
                self.logic.tick(now, effects);
                self.measure(now);
                context.after(TICK, MembershipMessage::Tick);
            }
        }
        self.perform();
    }
}
