//! Messages in, one delivery per hub out.

use super::{
    DELIVERY_ITEMS, KnownHeads, PAGE_MESSAGES, STAYS_FOR, encode,
    live::{self, Held, Typing},
    logic::{Effect, Logic, Member},
    window::Window,
};
use crate::{
    connection::Attached,
    hub::{Adopt, Adopted, Attach, Delivery, HubMessage, Hubs, Item, Items, SlotId},
    kernel::{Actor, Context, Lost, Reply, SendError},
    metrics::{Cache, Coalesced, Shed},
    room::{Caught, Services},
    route::Router,
};
use madang_protocol::{Ephemeral, Event, EventBatch, Heads, Place, RoomId, operation::Range};
use madang_store::{
    StoreError,
    log::{ChangedPage, Page},
};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Wait before a full hub, or one that lost a question, is tried again.
const HUB_RETRY: Duration = Duration::from_millis(2);

/// What an audience is told.
pub enum AudienceMessage {
    /// From the bus.
    Batch(Arc<EventBatch>),
    /// From the bus, without a number.
    Ephemeral(Arc<Ephemeral>),
    /// The time of `live::Effect::WakeAfter`.
    Typing,
    /// A reader wants to be attached.
    Attach(AttachRequest),
    /// Readers left a hub.
    Left {
        /// Which hub.
        hub: usize,
        /// The life of the audience that counted them.
        epoch: u64,
        /// How many.
        readers: usize,
    },
    /// A hub told its readers.
    Adopted(usize, Result<Adopted, Lost>),
    /// A hub that lost the question is asked again.
    AdoptAgain(usize),
    /// The home answered.
    CaughtUp(Result<Caught, Lost>),
    /// The store answered, with changes.
    Changes(Result<Arc<ChangedPage>, StoreError>),
    /// The store answered.
    Page(Result<Arc<Page>, StoreError>),
    /// The time of `Effect::RetryAfter`.
    Retry,
    /// Hubs that were full are tried again.
    HubRetry,
    /// Is anybody there?
    Tick,
}

/// A reader that wants to be attached, or to hear what has no number until then.
pub struct AttachRequest {
    /// Its hub.
    pub hub: usize,
    /// Its place there.
    pub slot: SlotId,
    /// Whose it is, and since when it is known to be a member.
    pub member: Member,
    /// What it has; nothing, if it is only to hear.
    pub after: Place,
    /// Tells it what became of it; `None`: it is only to hear.
    pub reply: Option<Reply<Attached>>,
}

/// See the module.
pub struct AudienceActor {
    room: RoomId,
    services: Arc<Services>,
    router: Router,
    hubs: Hubs,
    /// Tells this life's readers from those an earlier one counted.
    epoch: u64,
    logic: Logic<AttachRequest>,
    /// As `logic` has them, at the end of each turn.
    known: KnownHeads,
    effects: Vec<Effect<AttachRequest>>,
    window: Window,
    typing: Typing,
    /// Came while something was fetched: behind it, so that readers that wait to be attached get it.
    held: Held,
    /// Readers by hub.
    readers: Vec<usize>,
    /// Without a number, told in this turn: what came together goes out together.
    told: Items,
    /// What full hubs did not take yet, in order. While anything is here, nothing new is taken.
    outgoing: Vec<VecDeque<HubMessage>>,
    was_empty: bool,
}

impl AudienceActor {
    /// The audience of `room` on this node.
    pub(crate) fn new(
        room: RoomId,
        services: Arc<Services>,
        router: Router,
        hubs: Hubs,
        known: KnownHeads,
    ) -> Self {
        services.metrics.audiences.increment(1);
        let count = hubs.count();
        Self {
            room,
            services,
            router,
            epoch: fastrand::u64(..),
            logic: Logic::new(count),
            known,
            effects: Vec::new(),
            window: Window::default(),
            typing: Typing::default(),
            held: Held::default(),
            readers: vec![0; count],
            told: Items::new(),
            outgoing: (0..count).map(|_| VecDeque::new()).collect(),
            was_empty: false,
            hubs,
        }
    }

    fn adopt(&mut self, hub: usize, context: &mut Context<AudienceMessage>) {
        let adopt = Adopt {
            room: self.room,
            audience: context.address().clone(),
            epoch: self.epoch,
            reply: context.reply(move |adopted| AudienceMessage::Adopted(hub, adopted)),
        };
        self.send(hub, HubMessage::Adopt(adopt), context);
    }

    fn perform(&mut self, context: &mut Context<AudienceMessage>) {
        let mut effects = std::mem::take(&mut self.effects);
        effects.drain(..).for_each(|effect| self.perform_one(effect, context));
        self.effects = effects;
    }

    fn perform_one(
        &mut self,
        effect: Effect<AttachRequest>,
        context: &mut Context<AudienceMessage>,
    ) {
        match effect {
            Effect::CatchUp(after) => self.catch_up(after, context),
            Effect::ReadPage(after) => self.read_page(after, context),
            Effect::RetryAfter(delay) => context.after(delay, AudienceMessage::Retry),
            Effect::ReadChanges(after) => self.read_changes(after, context),
            Effect::Remember(messages, rev) => self.window.begin(&messages, rev),
            Effect::Deliver(events) => self.deliver(&events, context),
            Effect::Attach { reader, after, head } => self.attach(reader, after, head, context),
            Effect::Recheck(reader) => {
                if let Some(reply) = reader.reply {
                    reply.send(Attached::Recheck);
                }
            }
            Effect::RecheckAll => {
                let room = self.room;
                self.send_all(|| HubMessage::Recheck(room), context);
            }
        }
    }

    fn catch_up(&self, after: Heads, context: &mut Context<AudienceMessage>) {
        self.services.metrics.repairs[usize::from(self.logic.is_fresh())].increment(1);
        let reply = context.reply(AudienceMessage::CaughtUp);
        // A full room drops the question, which says "lost": it is asked again later.
        let known = self.logic.known();
        self.router.catch_up(self.room, after, known, reply);
    }

    fn read_page(&self, after: u64, context: &mut Context<AudienceMessage>) {
        let (reader, room) = (self.services.reader.clone(), self.room);
        context.spawn(
            async move { reader.page_now(room, Range::After(after), PAGE_MESSAGES).await },
            AudienceMessage::Page,
        );
    }

    fn read_changes(&self, after: Place, context: &mut Context<AudienceMessage>) {
        let (reader, room) = (self.services.reader.clone(), self.room);
        let Place { seq, rev } = after;
        context.spawn(
            async move { reader.changed_now(room, rev, seq, PAGE_MESSAGES).await },
            AudienceMessage::Changes,
        );
    }

    fn deliver(&mut self, events: &[Event], context: &mut Context<AudienceMessage>) {
        let items: Items =
            events.iter().map(|event| Arc::new(encode::item(self.room, event))).collect();
        events.iter().zip(&items).for_each(|(event, item)| self.window.add(event, item));
        self.note_positions(events);
        for items in items.chunks(DELIVERY_ITEMS) {
            let delivery = Arc::new(Delivery { room: self.room, items: items.to_vec() });
            self.send_all(|| HubMessage::Deliver(delivery.clone()), context);
        }
    }

    /// A message says that its sender has read up to it.
    fn note_positions(&self, events: &[Event]) {
        let positions = self.services.reader.positions();
        for event in events {
            if let Event::Message(message) = event {
                positions.stored(self.room, message.sender, message.seq);
            }
        }
    }

    fn hold(&mut self, ephemeral: Arc<Ephemeral>) {
        if !self.held.push(ephemeral) {
            self.services.metrics.shed(Shed::AudienceHeld, 1);
        }
    }

    fn tell_held(&mut self, context: &mut Context<AudienceMessage>) {
        while self.logic.is_following()
            && let Some(ephemeral) = self.held.take_oldest()
        {
            self.ephemeral(&ephemeral, context);
        }
    }

    fn ephemeral(&mut self, ephemeral: &Ephemeral, context: &mut Context<AudienceMessage>) {
        if let Ephemeral::Typing { user, on } = ephemeral {
            let mut effects = Vec::new();
            let metrics = &self.services.metrics;
            metrics.gathered(Coalesced::Typing, 1);
            // Switched off, those who are typing are still told to have ended.
            let is_shed = *on && !self.services.switches.typing();
            if is_shed {
                metrics.shed(Shed::SwitchedOff, 1);
            }
            let on = *on && !is_shed;
            self.typing.said(*user, on, Instant::now(), &mut effects);
            self.tell_typing(effects, context);
        }
        if let Some(item) = live::item(self.room, ephemeral) {
            self.tell(item, context);
        }
    }

    fn tell_typing(&mut self, effects: Vec<live::Effect>, context: &mut Context<AudienceMessage>) {
        for effect in effects {
            match effect {
                live::Effect::Tell(users) => {
                    self.services.metrics.flushed(Coalesced::Typing);
                    self.tell(live::typing_item(self.room, users), context);
                }
                live::Effect::WakeAfter(delay) => context.after(delay, AudienceMessage::Typing),
            }
        }
    }

    fn tell(&mut self, item: Item, context: &mut Context<AudienceMessage>) {
        self.told.push(Arc::new(item));
        if self.told.len() == DELIVERY_ITEMS {
            self.send_told(context);
        }
    }

    fn send_told(&mut self, context: &mut Context<AudienceMessage>) {
        if !self.told.is_empty() {
            let items = std::mem::take(&mut self.told);
            let delivery = Arc::new(Delivery { room: self.room, items });
            self.send_all(|| HubMessage::Deliver(delivery.clone()), context);
        }
    }

    fn attach(
        &mut self,
        reader: AttachRequest,
        after: Place,
        head: Place,
        context: &mut Context<AudienceMessage>,
    ) {
        self.send_told(context); // it gets what is told from now on
        let (mut catch_up, mut reply) = (Items::new(), None);
        if let Some(asked) = reader.reply {
            let missed = self.window.between(after, head);
            if after != head {
                self.services.metrics.looked_up(Cache::AudienceWindow, missed.is_some());
            }
            match missed {
                Some(missed) => (catch_up, reply) = (missed, Some(asked)),
                None => asked.send(Attached::Behind(head)), // and it hears the rest meanwhile
            }
        }
        catch_up.extend(self.typing.item(self.room).map(Arc::new));
        self.readers[reader.hub] += 1;
        let attach = Attach {
            room: self.room,
            slot: reader.slot,
            audience: context.address().clone(),
            epoch: self.epoch,
            head,
            catch_up,
            reply,
        };
        self.send(reader.hub, HubMessage::Attach(attach), context);
    }

    fn send_all(
        &mut self,
        message: impl Fn() -> HubMessage,
        context: &mut Context<AudienceMessage>,
    ) {
        for hub in 0..self.readers.len() {
            if self.readers[hub] > 0 {
                self.send(hub, message(), context);
            }
        }
    }

    /// Everything for one hub goes the same way, behind what was told before, so it stays in order.
    fn send(&mut self, hub: usize, message: HubMessage, context: &mut Context<AudienceMessage>) {
        self.send_told(context);
        let is_first = self.outgoing[hub].is_empty();
        self.outgoing[hub].push_back(message);
        if is_first && !self.send_outgoing(hub) {
            context.after(HUB_RETRY, AudienceMessage::HubRetry);
        }
    }

    /// True when nothing is left for that hub.
    fn send_outgoing(&mut self, hub: usize) -> bool {
        while let Some(message) = self.outgoing[hub].pop_front() {
            if let Err(SendError::Full(message)) = self.hubs.get(hub).try_send(message) {
                self.outgoing[hub].push_front(message);
                return false;
            }
        }
        true
    }

    fn retry_hubs(&mut self, context: &mut Context<AudienceMessage>) {
        let mut is_done = true;
        for hub in 0..self.outgoing.len() {
            is_done &= self.send_outgoing(hub);
        }
        if !is_done {
            context.after(HUB_RETRY, AudienceMessage::HubRetry);
        }
    }

    fn left(&mut self, hub: usize, epoch: u64, readers: usize) {
        if epoch == self.epoch {
            self.readers[hub] = self.readers[hub].saturating_sub(readers);
        }
    }

    fn tick(&mut self, context: &mut Context<AudienceMessage>) {
        let is_empty = self.readers.iter().all(|count| *count == 0) && !self.logic.is_waited_for();
        if is_empty && self.was_empty && context.stop_if_idle() {
            self.router.forget_audience(self.room, context.address());
        }
        self.was_empty = is_empty;
        context.after(STAYS_FOR, AudienceMessage::Tick);
    }
}

impl Actor for AudienceActor {
    type Message = AudienceMessage;
    const KIND: &'static str = "audience";

    fn started(&mut self, context: &mut Context<AudienceMessage>) {
        for hub in 0..self.hubs.count() {
            self.adopt(hub, context);
        }
        context.after(STAYS_FOR, AudienceMessage::Tick);
    }

    fn handle(&mut self, message: AudienceMessage, context: &mut Context<AudienceMessage>) {
        let effects = &mut self.effects;
        match message {
            AudienceMessage::Batch(batch) => self.logic.batch(batch, effects),
            AudienceMessage::Ephemeral(ephemeral) => self.hold(ephemeral),
            AudienceMessage::Typing => {
                let mut effects = Vec::new();
                self.typing.woken(Instant::now(), &mut effects);
                self.tell_typing(effects, context);
            }
            AudienceMessage::Attach(request) => {
                let (after, member) = (request.after, request.member);
                self.logic.attach(request, after, member, effects);
            }
            AudienceMessage::Left { hub, epoch, readers } => self.left(hub, epoch, readers),
            AudienceMessage::Adopted(hub, Ok(adopted)) => {
                self.readers[hub] += adopted.readers;
                self.logic.adopted(adopted.delivered, effects);
            }
            // Not at once: a hub that has stopped for good loses every question.
            AudienceMessage::Adopted(hub, Err(_)) => {
                context.after(HUB_RETRY, AudienceMessage::AdoptAgain(hub));
            }
            AudienceMessage::AdoptAgain(hub) => self.adopt(hub, context),
            AudienceMessage::CaughtUp(Ok(caught)) => {
                let Caught { heads, messages, changed } = caught;
                self.logic.caught_up(heads, &messages, changed.as_deref(), effects);
                let reads =
                    |effect: &_| matches!(effect, Effect::ReadPage(_) | Effect::ReadChanges(_));
                let is_all = !effects.iter().any(reads);
                self.services.metrics.looked_up(Cache::RoomWindow, is_all);
            }
            AudienceMessage::Changes(Ok(page)) => self.logic.changes(&page, effects),
            AudienceMessage::Page(Ok(page)) => self.logic.page(&page, effects),
            AudienceMessage::CaughtUp(Err(_))
            | AudienceMessage::Changes(Err(_))
            | AudienceMessage::Page(Err(_)) => {
                self.logic.failed(fastrand::u64(..), effects);
            }
            AudienceMessage::Retry => self.logic.retry(effects),
            AudienceMessage::HubRetry => self.retry_hubs(context),
            AudienceMessage::Tick => self.tick(context),
        }
        // At once, so that a batch and a reader attached in one turn keep their order.
        self.perform(context);
        self.tell_held(context);
    }

    fn turn_ended(&mut self, context: &mut Context<AudienceMessage>) {
        self.send_told(context);
        if !self.services.homes.is_alone() {
            self.known.set(self.logic.heads());
        }
    }

    fn is_ready(&self) -> bool {
        self.outgoing.iter().all(VecDeque::is_empty)
    }
}

impl Drop for AudienceActor {
    fn drop(&mut self) {
        self.services.metrics.audiences.decrement(1);
    }
}
