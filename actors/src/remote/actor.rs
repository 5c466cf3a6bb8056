//! Questions in, answers out.

use super::{
    ANSWER_BYTES_MAX, Asked, HEADS_WAIT, INBOX_BOUND, Outcome, ROOMS_ASKED_MAX, TICK,
    USERS_ASKED_MAX,
    logic::{Effect, Logic, Request},
    wire::{
        self, Ask, AskHeads, AskHolds, CatchUp, Forward, RoomHeads, Told, WireCaught, WireOutcome,
    },
};
use crate::{
    kernel::{
        Actor, Address, Arbiter, Context, Exhausted, Lost, Reply, Supervisor, start_supervised,
    },
    metrics::Metrics,
    room::{Caught, RoomMessage, Services, pending::Work},
    route::{Router, lost_send},
};
use madang_cluster::{
    Subscription,
    bus::{self, Answer},
};
use madang_protocol::{Heads, Refusal, RoomId};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

/// What it is told.
pub enum RemoteMessage {
    /// Entries of a lane.
    Forward(Forward, Answer),
    /// An audience elsewhere asks.
    CatchUp(CatchUp, Answer),
    /// Where are these rooms?
    Heads(AskHeads, Answer),
    /// Who of these is online by this node?
    Holds(AskHolds, Answer),
    /// A room settled an entry of a lane, or gave it back.
    Settled(RoomId, u64, u64, Outcome),
    /// A room told what an audience missed.
    Caught(Answer, Result<Caught, Lost>),
    /// Now and then.
    Tick,
}

/// See the module.
pub struct RemoteActor {
    services: Arc<Services>,
    router: Router,
    /// Longest wait that is granted.
    wait_max: Duration,
    logic: Logic<Asked, Answer>,
    effects: Vec<Effect<Asked, Answer>>,
}

/// Serves what other nodes ask, one actor on each of the arbiters of rooms, until it is dropped.
pub(crate) fn serve(
    router: &Router,
    arbiters: &[Arbiter],
    supervisor: &Supervisor,
    services: &Arc<Services>,
    wait_max: Duration,
) -> Subscription {
    let start = |arbiter: &Arbiter| {
        let (services, router) = (services.clone(), router.clone());
        start_supervised(arbiter, INBOX_BOUND, supervisor, Exhausted::Escalate, move |_| {
            RemoteActor::new(services.clone(), router.clone(), wait_max)
        })
    };
    let remotes: Vec<Address<RemoteMessage>> = arbiters.iter().map(start).collect();
    let metrics = services.metrics.clone();
    services.bus.serve(Box::new(move |asked, answer| take(&remotes, &metrics, &asked, answer)))
}

/// On the bus's thread: reads the question and puts it where its room is.
fn take(remotes: &[Address<RemoteMessage>], metrics: &Metrics, asked: &bus::Asked, answer: Answer) {
    let Ok(ask) = wire::decode(&asked.question.body) else {
        tracing::warn!(from = %asked.from.name, "a question that is not understood");
        return; // a later version's: no answer, it is asked of another or again
    };
    let (room, message) = match ask {
        Ask::Forward(forward) => (forward.room, RemoteMessage::Forward(forward, answer)),
        Ask::CatchUp(question) => (question.room, RemoteMessage::CatchUp(question, answer)),
        Ask::Heads(question) => {
            let first = question.rooms.first().map(|known| known.room);
            (first.unwrap_or(RoomId([0; 15])), RemoteMessage::Heads(question, answer))
        }
        Ask::Holds(question) => (RoomId([0; 15]), RemoteMessage::Holds(question, answer)),
    };
    let remote = &remotes[place(room, remotes.len())];
    if remote.try_send(message).is_err() {
        metrics.questions_dropped.increment(1); // it is asked again
    }
}

/// Which of so many arbiters a room lives on.
pub(crate) fn place(room: RoomId, count: usize) -> usize {
    (xxh3_64(&room.0) % count as u64) as usize
}

impl RemoteActor {
    /// Grants waits up to `wait_max`.
    pub fn new(services: Arc<Services>, router: Router, wait_max: Duration) -> Self {
        Self { services, router, wait_max, logic: Logic::new(), effects: Vec::new() }
    }

    fn is_home(&self, room: RoomId) -> bool {
        self.services.homes.is_surely_here(room, Instant::now())
    }

    fn forward(&mut self, forward: Forward, answer: Answer) {
        let Forward { room, lane, attempt, incarnation, items } = forward;
        if incarnation != self.services.homes.me().incarnation {
            return answer(wire::encode(&Told::Moved));
        }
        let now = Instant::now();
        let entries = items.into_iter().map(|item| (item.n, item.read(room, now, self.wait_max)));
        let request = Request { room, lane, attempt, entries: entries.collect(), answer };
        let is_home = self.is_home(room);
        self.logic.asked(request, is_home, now, &mut self.effects);
    }

    fn perform(&mut self, context: &mut Context<RemoteMessage>) {
        while let Some(effect) = (!self.effects.is_empty()).then(|| self.effects.remove(0)) {
            match effect {
                Effect::HandOver { room, lane, entries } => {
                    self.hand_over(room, lane, entries, context);
                }
                Effect::Answer(answer, outcomes) => {
                    let settled = |(n, outcome): &(u64, Outcome)| {
                        self.services.metrics.served(outcome);
                        wire::Settled { n: *n, outcome: WireOutcome::from(outcome) }
                    };
                    let settled = outcomes.iter().map(settled).collect();
                    answer(wire::encode(&Told::Forwarded(settled)));
                }
            }
        }
    }

    /// As one message, so that one room takes them all, whatever becomes of it meanwhile.
    fn hand_over(
        &mut self,
        room: RoomId,
        lane: u64,
        entries: Vec<(u64, Asked)>,
        context: &mut Context<RemoteMessage>,
    ) {
        let with_reply = |(n, asked): (u64, Asked)| {
            if let Asked::Submit(submit) = &asked {
                tracing::debug!(trace = submit.trace, %room, n, "taken for another node");
            }
            let lost = when_lost(&asked);
            let reply = context.reply(move |outcome: Result<Outcome, Lost>| {
                let outcome = outcome.unwrap_or_else(lost);
                RemoteMessage::Settled(room, lane, n, outcome)
            });
            (asked, reply)
        };
        let all = entries.into_iter().map(with_reply).collect();
        if let Err(RoomMessage::Forwarded(all)) =
            self.router.tell(room, RoomMessage::Forwarded(all))
        {
            for (asked, reply) in all {
                reply.send(overloaded(&asked));
            }
        }
    }

    fn catch_up(&self, question: &CatchUp, answer: Answer, context: &mut Context<RemoteMessage>) {
        let room = question.room;
        if !self.services.homes.is_fresh(Instant::now()) || !self.router.is_home(room) {
            return answer(wire::encode(&Told::Moved));
        }
        let (after, known) = (question.after.into(), Heads::from(question.known).place());
        let reply = context.reply(move |caught| RemoteMessage::Caught(answer, caught));
        // A full room drops the question, which says "lost", and so does this.
        let _ = self.router.tell(room, RoomMessage::CatchUp(after, known, reply));
    }

    /// Each room that answers in time is in the answer.
    fn heads(&self, question: AskHeads, answer: Answer) {
        let ask = |known: RoomHeads| {
            let (room, (reply, told)) = (known.room, Reply::channel());
            if self.router.is_home(room) {
                let _ = self.router.tell(room, RoomMessage::Heads(known.heads.into(), reply));
            }
            async move {
                let heads = told.await.ok()?.ok()?.into();
                Some(RoomHeads { room, heads })
            }
        };
        let asked = question.rooms.into_iter().take(ROOMS_ASKED_MAX).map(ask);
        let all = asked.map(|heads| tokio::time::timeout(HEADS_WAIT, heads)).collect::<Vec<_>>();
        let told = futures_util::future::join_all(all);
        tokio::task::spawn_local(async move {
            let rooms = told.await.into_iter().flatten().flatten().collect();
            answer(wire::encode(&Told::Heads(rooms)));
        });
    }
}

/// What a lost answer means. A message may be sent again, its `client_id` finds out.
fn when_lost(asked: &Asked) -> impl FnOnce(Lost) -> Outcome + Send + 'static {
    let (is_send, is_change) = match asked {
        Asked::Submit(submit) => (matches!(submit.work, Work::Send { .. }), false),
        Asked::Change(_) => (false, true),
    };
    move |lost| match lost {
        Lost::Dropped if is_send => Outcome::Moved,
        lost if is_change => Outcome::Role(Err(lost_send(lost))),
        lost => Outcome::Done(Err(lost_send(lost))),
    }
}

fn overloaded(asked: &Asked) -> Outcome {
    let refusal = Refusal::overloaded("the room is busy");
    match asked {
        Asked::Submit(_) => Outcome::Done(Err(refusal)),
        Asked::Change(_) => Outcome::Role(Err(refusal)),
    }
}

impl Actor for RemoteActor {
    type Message = RemoteMessage;
    const KIND: &'static str = "remote";

    fn started(&mut self, context: &mut Context<RemoteMessage>) {
        context.after(TICK, RemoteMessage::Tick);
    }

    fn handle(&mut self, message: RemoteMessage, context: &mut Context<RemoteMessage>) {
        match message {
            RemoteMessage::Forward(forward, answer) => self.forward(forward, answer),
            RemoteMessage::CatchUp(question, answer) => self.catch_up(&question, answer, context),
            RemoteMessage::Heads(question, answer) => self.heads(question, answer),
            RemoteMessage::Holds(AskHolds { mut users }, answer) => {
                users.truncate(USERS_ASKED_MAX);
                self.services.reader.retain_held(&mut users);
                answer(wire::encode(&Told::Holds(users)));
            }
            RemoteMessage::Settled(room, lane, n, outcome) => {
                let is_home = self.is_home(room);
                self.logic.settled(lane, n, outcome, is_home, &mut self.effects);
            }
            RemoteMessage::Caught(answer, Ok(caught)) => {
                let caught = WireCaught::new(&caught, ANSWER_BYTES_MAX);
                answer(wire::encode(&Told::Caught(caught)));
            }
            RemoteMessage::Caught(answer, Err(_)) => answer(wire::encode(&Told::Moved)),
            RemoteMessage::Tick => {
                self.logic.tick(Instant::now());
                context.after(TICK, RemoteMessage::Tick);
            }
        }
        self.perform(context);
    }
}
