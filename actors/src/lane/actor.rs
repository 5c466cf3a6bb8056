//! Submits in, requests out.

use super::{
    TICK,
    logic::{Effect, Logic, NoAnswer},
};
use crate::{
    fail_points,
    kernel::{Actor, Context, Reply},
    remote::{self, Outcome},
    room::{
        Services,
        pending::{Submit, Work},
    },
    route::{Receipt, Router},
};
use madang_cluster::Peer;
use madang_protocol::{Refusal, RoomId};
use std::sync::Arc;
use tokio::time::Instant;

/// A submit of this node, and the way to answer it.
pub type Given = (Submit, Reply<Result<Receipt, Refusal>>);

/// What a lane is told.
pub enum LaneMessage {
    /// Something to be committed.
    Submit(Submit, Reply<Result<Receipt, Refusal>>),
    /// What a room gave back when it went, in order. Before any submit.
    Begin(Vec<Given>),
    /// The home answered a request.
    Answered(u64, Result<Vec<(u64, Outcome)>, NoAnswer>),
    /// The time of `Effect::WakeAfter`.
    Woken,
    /// Homes may have moved.
    ViewChanged,
    /// Now and then.
    Tick,
}

/// See the module.
pub struct LaneActor {
    room: RoomId,
    services: Arc<Services>,
    router: Router,
    /// Tells this life of the lane from any other, of any node.
    life: u64,
    logic: Logic<Reply<Result<Receipt, Refusal>>>,
    effects: Vec<Effect<Reply<Result<Receipt, Refusal>>>>,
}

impl LaneActor {
    /// The lane to `room`.
    pub fn new(room: RoomId, services: Arc<Services>, router: Router) -> Self {
        services.metrics.lanes.increment(1);
        let logic = Logic::new(Instant::now());
        Self { room, services, router, life: fastrand::u64(..), logic, effects: Vec::new() }
    }

    fn perform(&mut self, context: &mut Context<LaneMessage>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Ask { to, attempt, entries } => self.ask(to, attempt, &entries, context),
                Effect::Answer(reply, answer) => reply.send(answer),
                Effect::WakeAfter(delay) => context.after(delay, LaneMessage::Woken),
                Effect::HandOver => self.hand_over(context),
                Effect::Stop => {
                    if context.stop_if_idle() {
                        self.router.forget_lane(self.room, context.address());
                    }
                }
            }
        }
        self.effects = effects;
    }

    fn ask(
        &self,
        to: Peer,
        attempt: u64,
        entries: &[(u64, Submit)],
        context: &mut Context<LaneMessage>,
    ) {
        for (n, submit) in entries {
            tracing::debug!(
                trace = submit.trace, room = %self.room, home = %to.name, n, attempt, "forwarded"
            );
        }
        let (bus, room, lane) = (self.services.bus.clone(), self.room, self.life);
        let ask = remote::Forwarding { room, lane, attempt }.ask(bus, to, entries, Instant::now());
        context.spawn(ask, move |answer| LaneMessage::Answered(attempt, answer));
    }

    /// Everything goes to the room, in order, before anybody can send past the lane.
    fn hand_over(&mut self, context: &mut Context<LaneMessage>) {
        let logic = &mut self.logic;
        self.router.end_lane(self.room, || {
            let mut all: Vec<Given> = logic.drain().collect();
            for message in context.stop_taking() {
                match message {
                    LaneMessage::Submit(submit, reply) => all.push((submit, reply)),
                    LaneMessage::Begin(given) => all.extend(given),
                    _ => {}
                }
            }
            all
        });
    }

    fn count(&self, answer: &Result<Vec<(u64, Outcome)>, NoAnswer>) {
        let metrics = &self.services.metrics;
        match answer {
            Ok(outcomes) => outcomes.iter().for_each(|(_, outcome)| metrics.forwarded(outcome)),
            Err(_) => metrics.forwards_unanswered.increment(1),
        }
    }
}

impl Actor for LaneActor {
    type Message = LaneMessage;
    const KIND: &'static str = "lane";

    fn started(&mut self, context: &mut Context<LaneMessage>) {
        context.after(TICK, LaneMessage::Tick);
    }

    fn handle(&mut self, message: LaneMessage, context: &mut Context<LaneMessage>) {
        let (now, effects) = (Instant::now(), &mut self.effects);
        match message {
            LaneMessage::Submit(submit, reply) => {
                if let Work::Send { body, .. } = &submit.work {
                    fail_points::pass_saying(Self::KIND, "submit", body);
                }
                self.logic.submit(submit, reply, now, effects);
            }
            LaneMessage::Begin(given) => {
                given.into_iter().for_each(|(submit, reply)| self.logic.take(submit, reply, now));
            }
            LaneMessage::Answered(attempt, answer) => {
                self.count(&answer);
                let effects = &mut self.effects;
                self.logic.answered(attempt, answer, fastrand::u64(..), effects);
            }
            LaneMessage::Woken => self.logic.woken(),
            LaneMessage::ViewChanged => self.logic.view_changed(),
            LaneMessage::Tick => {
                self.logic.tick(now, effects);
                context.after(TICK, LaneMessage::Tick);
            }
        }
    }

    fn turn_ended(&mut self, context: &mut Context<LaneMessage>) {
        let homes = &self.services.homes;
        let is_there = |peer: &Peer| homes.view().node(&peer.name) == Some(peer);
        self.logic.go_on(&homes.home(self.room), is_there, &mut self.effects);
        self.services.metrics.lane_depth.record(self.logic.len() as f64);
        self.perform(context);
    }
}

impl Drop for LaneActor {
    fn drop(&mut self) {
        self.services.metrics.lanes.decrement(1);
    }
}
