//! Views, gaps and answers in, questions out.

use super::{
    INBOX_BOUND, TICK,
    logic::{Effect, Logic, Rooms},
};
use crate::{
    batcher::in_time,
    homes::Homes,
    kernel::{Actor, Address, Arbiter, Context, Exhausted, Supervisor, start_supervised},
    metrics::Metrics,
    route::Router,
};
use futures_util::future::{BoxFuture, FutureExt};
use madang_cluster::{Bus, NodeName, Peer, Subscription, bus::Heard};
use madang_protocol::{Heads, RoomId};
use madang_store::{MessageLog, StoreError};
use std::sync::Arc;
use tokio::sync::watch;

/// The readers of this node, and the homes of their rooms.
pub trait Readers: Send + Sync + 'static {
    /// Their rooms, by id, and how far they are.
    fn known(&self) -> Rooms;

    /// A room is at least so far.
    fn tell(&self, room: RoomId, heads: Heads);

    /// Asks a node where rooms stand; those it does not answer for in time are not in the answer.
    fn ask(&self, home: Peer, rooms: Rooms) -> BoxFuture<'static, Rooms>;
}

impl Readers for Router {
    fn known(&self) -> Rooms {
        self.known_heads()
    }

    fn tell(&self, room: RoomId, heads: Heads) {
        self.tell_heads(room, heads);
    }

    fn ask(&self, home: Peer, rooms: Rooms) -> BoxFuture<'static, Rooms> {
        let router = self.clone();
        async move { router.ask_heads(home, rooms).await }.boxed()
    }
}

/// What noticing works with.
pub struct NoticingServices {
    /// Who is there.
    pub homes: Homes,
    /// Whose rooms are looked at.
    pub readers: Arc<dyn Readers>,
    /// Where the truth is.
    pub log: Arc<dyn MessageLog>,
    /// The node's.
    pub metrics: Arc<Metrics>,
}

/// What it is told.
pub enum NoticingMessage {
    /// Anything may have been missed.
    Gap,
    /// Questions may be due.
    Tick,
    /// A home answered.
    Answered(NodeName, Rooms),
    /// It is time to look at all rooms.
    Sweep,
    /// The store answered.
    Swept(Result<Rooms, StoreError>),
}

/// Ends when dropped.
pub struct Noticing {
    _hearing: Subscription,
}

/// Notices for as long as the node runs.
pub fn start(
    arbiter: &Arbiter,
    supervisor: &Supervisor,
    bus: &dyn Bus,
    services: NoticingServices,
) -> Noticing {
    let services = Arc::new(services);
    let address: Address<NoticingMessage> =
        start_supervised(arbiter, INBOX_BOUND, supervisor, Exhausted::Escalate, move |_| {
            NoticingActor::new(services.clone())
        });
    let hearing = bus.hear(Box::new(move |heard| {
        if heard == Heard::Gap {
            let _ = address.try_send(NoticingMessage::Gap); // full of others
        }
    }));
    Noticing { _hearing: hearing }
}

/// See the module.
pub struct NoticingActor {
    services: Arc<NoticingServices>,
    changes: watch::Receiver<Arc<madang_cluster::View>>,
    logic: Logic,
    effects: Vec<Effect>,
}

impl NoticingActor {
    /// One that begins does not know what an earlier one knew: it asks about everything.
    pub fn new(services: Arc<NoticingServices>) -> Self {
        let mut effects = Vec::new();
        let logic = Logic::new(fastrand::u64(..), &mut effects);
        let mut changes = services.homes.changes();
        changes.mark_changed();
        Self { services, changes, logic, effects }
    }

    fn rooms(&self) -> impl Iterator<Item = RoomId> + use<> {
        self.services.readers.known().into_iter().map(|(room, _)| room)
    }

    fn tick(&mut self, context: &mut Context<NoticingMessage>) {
        if self.changes.has_changed().unwrap_or(false) {
            let view = self.changes.borrow_and_update().clone();
            let rooms = self.rooms();
            self.logic.view_changed(&view, rooms);
        }
        if self.logic.waiting() > 0 {
            self.logic.tick(&self.services.readers.known(), &mut self.effects);
        }
        context.after(TICK, NoticingMessage::Tick);
    }

    fn perform(&mut self, context: &mut Context<NoticingMessage>) {
        let mut effects = std::mem::take(&mut self.effects);
        effects.drain(..).for_each(|effect| self.perform_one(effect, context));
        self.effects = effects;
    }

    fn perform_one(&self, effect: Effect, context: &mut Context<NoticingMessage>) {
        let services = &self.services;
        mutate!(NoNoticing, {
            return;
        });
        match effect {
            Effect::Ask(home, rooms) => {
                services.metrics.cluster.rooms_asked_about.increment(rooms.len() as u64);
                let name = home.name.clone();
                context.spawn(services.readers.ask(home, rooms), move |told| {
                    NoticingMessage::Answered(name, told)
                });
            }
            Effect::Look(rooms) => {
                let log = services.log.clone();
                let look = in_time(async move { log.news(rooms).await });
                context.spawn(look, NoticingMessage::Swept);
            }
            Effect::Tell(room, heads) => services.readers.tell(room, heads),
            Effect::SweepAfter(delay) => context.after(delay, NoticingMessage::Sweep),
        }
    }

    fn swept(&mut self, news: Result<Rooms, StoreError>) {
        match &news {
            Ok(news) => self.services.metrics.cluster.rooms_noticed.increment(news.len() as u64),
            Err(error) => tracing::warn!(%error, "rooms with readers were not looked at"),
        }
        self.logic.swept(news.ok(), &mut self.effects);
    }
}

impl Actor for NoticingActor {
    type Message = NoticingMessage;
    const KIND: &'static str = "noticing";

    fn started(&mut self, context: &mut Context<NoticingMessage>) {
        self.perform(context);
        context.after(TICK, NoticingMessage::Tick);
    }

    fn handle(&mut self, message: NoticingMessage, context: &mut Context<NoticingMessage>) {
        match message {
            NoticingMessage::Gap => {
                let rooms = self.rooms();
                self.logic.gap(rooms);
            }
            NoticingMessage::Tick => self.tick(context),
            NoticingMessage::Answered(home, told) => {
                self.logic.answered(&home, told, &mut self.effects);
            }
            NoticingMessage::Sweep => {
                let known = self.services.readers.known();
                self.logic.sweep(known, fastrand::u64(..), &mut self.effects);
            }
            NoticingMessage::Swept(news) => self.swept(news),
        }
        self.perform(context);
    }
}
