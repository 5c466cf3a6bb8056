//! Messages in, effects out.

mod asking;
mod leaving;

use super::{
    TICK, UNSURE_FOR, WINDOW_MESSAGES,
    logic::{Effect, Logic, ReadBack, pending},
    pending::{Submit, Work},
    standing::{Change, Standing},
};
use crate::{
    fail_points,
    homes::{Home, Homes},
    kernel::{Actor, Clock, Context, Lost, Reply},
    metrics::{Bound, Cache, Coalesced, Metrics},
    notices::Notices,
    remote::{Asked, Outcome},
    route::{Receipt, Router},
    store_reader::Reader,
    store_writer::{Append, Writers},
    switches::Switches,
};
use asking::Asking;
use leaving::SendReply;
use madang_cluster::Bus;
use madang_protocol::{
    ChangeKind, ClientId, Entry, ErrorCode, Heads, Message, Place, Publication, Refusal, RoomId,
    UserId, operation::Range,
};
use madang_store::{
    RoomStore, StoreError,
    log::{Activation, Appended, ChangedPage, Page, Stopped, Target},
    rooms::{Access, RoomChanged},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Entries of one page when what is true is read back.
const READ_BACK_MAX: usize = 1_000;

/// What rooms and audiences share.
pub struct Services {
    /// Reads.
    pub reader: Reader,
    /// Messages into the log.
    pub writers: Writers,
    /// Membership changes.
    pub rooms: Arc<dyn RoomStore>,
    /// To the readers.
    pub bus: Arc<dyn Bus>,
    /// Wall-clock time.
    pub clock: Clock,
    /// The node's.
    pub metrics: Arc<Metrics>,
    /// What an operator has switched off.
    pub switches: Arc<Switches>,
    /// Where rooms are at home.
    pub homes: Homes,
    /// To the other nodes.
    pub notices: Arc<dyn Notices>,
}

/// What an audience missed.
#[derive(Debug)]
pub struct Caught {
    /// Where the room stands.
    pub heads: Heads,
    /// The newest messages above what the audience has, as far as they are kept.
    pub messages: Vec<Arc<Message>>,
    /// The messages that changed since, by rising `rev`; `None`: not all of them are kept.
    pub changed: Option<Vec<Arc<Message>>>,
}

/// What a room is told.
pub enum RoomMessage {
    /// Something to be committed.
    Submit(Submit, Reply<Result<Receipt, Refusal>>),
    /// A change of the room, or of who is in it.
    Change(Change, Reply<Outcome>),
    /// The same from another node, in order.
    Forwarded(Vec<(Asked, Reply<Outcome>)>),
    /// Another node knows that the room is at least there, and asks where it is. Dropped when
    /// there is no room.
    Heads(Heads, Reply<Heads>),
    /// The room may be at home elsewhere now.
    ViewChanged,
    /// An audience that stands here, and heard that the room is as far as there, asks what it
    /// missed. Dropped when there is no room.
    CatchUp(Heads, Place, Reply<Caught>),
    /// Answers to what the room itself asked.
    Answer(Answer),
}

/// Answers to a room's own questions.
pub enum Answer {
    /// To `Effect::Activate`.
    Activated(Result<Option<Activation>, StoreError>),
    /// To `Effect::AskStanding`.
    Standing(UserId, Result<Option<Access>, StoreError>),
    /// To `Effect::Append`.
    Appended(Vec<Entry>, Result<Appended, Lost>),
    /// To `Effect::Recheck`.
    Rechecked(Result<Option<Activation>, StoreError>),
    /// To `Effect::ReadBack`.
    ReadBack(Result<Box<ReadBack>, StoreError>),
    /// To `Effect::Look`.
    Looked((u64, UserId, u64), Result<Option<Target>, StoreError>),
    /// To `Effect::Change`, about this user.
    Changed(UserId, Result<RoomChanged, StoreError>),
    /// The heads were read because the node was not sure of its view when it was asked.
    Confirmed(Result<Option<Activation>, StoreError>),
    /// The node was not sure of its view when there was something to write.
    Unsure,
    /// The time of `Effect::RetryAfter`.
    Retry,
    /// The time of `Effect::AskAgainAfter`.
    AskAgain,
    /// Once a second.
    Tick,
}

type ChangeReply = Reply<Outcome>;

/// See the module.
pub struct RoomActor {
    room: RoomId,
    services: Arc<Services>,
    router: Router,
    logic: Logic<SendReply, ChangeReply>,
    effects: Vec<Effect<SendReply, ChangeReply>>,
    asking: Asking,
    /// `Answer::Unsure` is under way.
    is_unsure: bool,
}

impl RoomActor {
    /// The home of `room`.
    pub fn new(room: RoomId, services: Arc<Services>, router: Router) -> Self {
        services.metrics.rooms.increment(1);
        let mut logic = Logic::new(room, Instant::now());
        if !services.homes.is_alone() {
            logic.share();
        }
        Self {
            room,
            services,
            router,
            logic,
            effects: Vec::new(),
            asking: Asking::default(),
            is_unsure: false,
        }
    }

    fn answer(&mut self, answer: Answer, context: &mut Context<RoomMessage>) {
        if matches!(answer, Answer::Appended(..)) {
            fail_points::pass(Self::KIND, "appended"); // committed, and nobody knows yet
        }
        let (effects, now) = (&mut self.effects, Instant::now());
        match answer {
            Answer::Activated(read) => self.logic.activated(read, fastrand::u64(..), effects),
            Answer::Standing(user, access) => {
                if let Ok(Some(access)) = &access {
                    self.logic.noticed(access.heads.member_rev, effects);
                }
                match access {
                    Ok(access) => {
                        self.logic.standing(user, Standing::from_access(access), effects);
                    }
                    Err(error) => {
                        self.logic.standing_unknown(user, &error, fastrand::u64(..), effects);
                    }
                }
            }
            Answer::Appended(batch, Ok(outcome)) => {
                count_reactions(&batch[..outcome.committed], &self.services.metrics);
                self.logic.appended(&batch, outcome, now, effects)
            }
            Answer::Appended(batch, Err(_)) => {
                // The store writer was restarted: the batch may be under way still.
                let error = StoreError::Unknown("the store writer was restarted".into());
                let outcome = Appended { committed: 0, stopped: Some(Stopped::Unknown(error)) };
                self.logic.appended(&batch, outcome, now, effects);
            }
            Answer::ReadBack(read) => {
                self.logic.read_back_done(read.map(|read| *read), fastrand::u64(..), effects)
            }
            Answer::Rechecked(read) => self.logic.rechecked(read, now, effects),
            Answer::Looked(asked, read) => {
                self.logic.looked(asked, read, fastrand::u64(..), effects);
            }
            Answer::Changed(user, outcome) => {
                if let Err(error) = &outcome {
                    tracing::warn!(room = %self.room, %error, "a change of the room failed");
                }
                self.router.forget_members(self.room, user, &outcome);
                self.logic.changed(user, outcome, effects);
            }
            Answer::Confirmed(read) => {
                if self.asking.was_read(read.is_ok()) {
                    self.logic.rechecked(read, now, effects);
                }
            }
            Answer::Unsure => self.is_unsure = false,
            Answer::Retry => self.logic.retry(effects),
            Answer::AskAgain => self.logic.ask_again(effects),
            Answer::Tick => {
                self.logic.tick(now, effects);
                context.after(TICK, RoomMessage::Answer(Answer::Tick));
            }
        }
    }

    fn perform(&mut self, context: &mut Context<RoomMessage>) {
        let mut effects = std::mem::take(&mut self.effects);
        effects.drain(..).for_each(|effect| self.perform_one(effect, context));
        self.effects = effects; // the buffer is used again
    }

    fn perform_one(
        &mut self,
        effect: Effect<SendReply, ChangeReply>,
        context: &mut Context<RoomMessage>,
    ) {
        mutate!(NoRecheck, {
            if matches!(effect, Effect::Recheck) {
                return;
            }
        });
        match effect {
            Effect::AnswerSend(reply, answer) => reply.send(answer),
            Effect::AnswerChange(reply, answer) => reply.send(Outcome::Role(answer)),
            Effect::TellHome(heads) => self.router.tell_home(self.room, heads),
            Effect::Leave(left) => self.leave(left, context),
            Effect::Publish(batch) => {
                self.services.bus.publish(&Publication::Batch(Arc::new(batch)))
            }
            Effect::Append(batch) => self.append(batch, context),
            Effect::Activate => self.activate(WINDOW_MESSAGES, Answer::Activated, context),
            Effect::Recheck => self.activate(0, Answer::Rechecked, context),
            Effect::AskStanding(user) => self.ask_standing(user, context),
            Effect::ReadBack { sent, after } => self.read_back(sent, after, context),
            Effect::Look { seq, user, life } => self.look((seq, user, life), context),
            Effect::Change(change) => self.change(change, context),
            Effect::AnnounceJoined(user, role, heads) => {
                self.router.announce_joined(self.room, heads, vec![(user, role)]);
            }
            Effect::RetryAfter(delay) => context.after(delay, RoomMessage::Answer(Answer::Retry)),
            Effect::AskAgainAfter(delay) => {
                context.after(delay, RoomMessage::Answer(Answer::AskAgain));
            }
            Effect::Stop => self.stop(context),
        }
    }

    fn append(&mut self, batch: Vec<Entry>, context: &mut Context<RoomMessage>) {
        let (given, services, began) = (batch.clone(), self.services.clone(), Instant::now());
        let reply = context.reply(move |answer| {
            services.metrics.room_commit_seconds.record(began.elapsed());
            RoomMessage::Answer(Answer::Appended(given, answer))
        });
        // What is given back by a full writer is dropped, its reply says "lost", and the logic
        // reads back and tries again: the same way as for a writer that was restarted.
        let _ = self.services.writers.of(self.room).try_send(Append::Batch(batch, reply));
    }

    fn activate(
        &self,
        window: usize,
        answer: fn(Result<Option<Activation>, StoreError>) -> Answer,
        context: &mut Context<RoomMessage>,
    ) {
        let (services, room, began) = (self.services.clone(), self.room, Instant::now());
        let activate = async move {
            let read = services.reader.activate(room, window).await;
            services.metrics.room_activation_seconds.record(began.elapsed());
            read
        };
        context.spawn(activate, move |read| RoomMessage::Answer(answer(read)));
    }

    fn ask_standing(&self, user: UserId, context: &mut Context<RoomMessage>) {
        let (reader, room) = (self.services.reader.clone(), self.room);
        let ask = async move {
            Ok(reader.access_now(user, vec![room]).await?.into_iter().next().flatten())
        };
        context.spawn(ask, move |access| RoomMessage::Answer(Answer::Standing(user, access)));
    }

    fn read_back(
        &self,
        sent: Vec<(UserId, ClientId)>,
        after: Heads,
        context: &mut Context<RoomMessage>,
    ) {
        let (reader, room) = (self.services.reader.clone(), self.room);
        let Heads { last_seq, last_rev, .. } = after;
        let read = async move {
            let found = reader.find_sent(room, sent).await?;
            let marks = reader.marks(room, last_rev, READ_BACK_MAX).await?;
            let changed = reader.changed_now(room, last_rev, last_seq, READ_BACK_MAX).await?;
            let newer = reader.page_now(room, Range::After(last_seq), READ_BACK_MAX).await?;
            let (newer, changed) = (Page::clone(&newer), ChangedPage::clone(&changed));
            Ok(Box::new(ReadBack { found, newer, marks, changed }))
        };
        context.spawn(read, |read| RoomMessage::Answer(Answer::ReadBack(read)));
    }

    fn look(&self, asked: (u64, UserId, u64), context: &mut Context<RoomMessage>) {
        let (reader, room) = (self.services.reader.clone(), self.room);
        let (seq, user, _) = asked;
        context.spawn(async move { reader.target(room, seq, user).await }, move |read| {
            RoomMessage::Answer(Answer::Looked(asked, read))
        });
    }

    fn change(&self, change: Change, context: &mut Context<RoomMessage>) {
        let (rooms, room, now) =
            (self.services.rooms.clone(), self.room, self.services.clock.now());
        let user = change.user();
        let write = async move { rooms.change(room, change.by, change.change, now).await };
        context.spawn(write, move |outcome| RoomMessage::Answer(Answer::Changed(user, outcome)));
    }

    fn stop(&self, context: &mut Context<RoomMessage>) {
        if context.stop_if_idle() {
            self.router.forget_room(self.room, context.address());
        }
    }

    /// Writes, if the node is sure to be the room's home; what it wrote otherwise would meet what the
    /// home writes, and a change that was sent again could be made twice.
    fn write(&mut self, context: &mut Context<RoomMessage>) {
        let homes = &self.services.homes;
        if !homes.is_alone() && homes.home(self.room) != Home::Here {
            self.logic.leave();
        } else if !homes.is_fresh(Instant::now()) {
            if !std::mem::replace(&mut self.is_unsure, true) {
                context.after(UNSURE_FOR, RoomMessage::Answer(Answer::Unsure));
            }
            return;
        }
        self.logic.begin_batch(self.services.clock.now(), Instant::now(), &mut self.effects);
    }
}

impl Actor for RoomActor {
    type Message = RoomMessage;
    const KIND: &'static str = "room";

    fn started(&mut self, context: &mut Context<RoomMessage>) {
        self.activate(WINDOW_MESSAGES, Answer::Activated, context);
        // Rooms start together; their ticks need not stay together.
        let first = TICK.mul_f64(fastrand::f64()) + Duration::from_millis(1);
        context.after(first, RoomMessage::Answer(Answer::Tick));
    }

    fn handle(&mut self, message: RoomMessage, context: &mut Context<RoomMessage>) {
        let (now, known) = (Instant::now(), self.effects.len());
        let cause = Cause::of(&message);
        match message {
            RoomMessage::Submit(submit, reply) => {
                if let Work::Send { body, .. } = &submit.work {
                    fail_points::pass_saying(Self::KIND, "submit", body);
                }
                let pending = pending(submit, SendReply::Here(reply));
                self.logic.submit(pending, now, &mut self.effects);
            }
            RoomMessage::Change(change, reply) => {
                self.logic.change(change, reply, now, &mut self.effects);
            }
            RoomMessage::CatchUp(after, known, reply) => {
                self.logic.heard_of(known, &mut self.effects);
                self.asking.audience(after, reply);
            }
            RoomMessage::Heads(known, reply) => {
                self.logic.noticed(known.member_rev, &mut self.effects);
                self.logic.heard_of(known.place(), &mut self.effects);
                self.asking.node(reply);
            }
            RoomMessage::Forwarded(all) => {
                for (asked, reply) in all {
                    self.forwarded(asked, reply, now);
                }
            }
            RoomMessage::ViewChanged => {} // looked at when the turn ends
            RoomMessage::Answer(answer) => self.answer(answer, context),
        }
        cause.count(&self.effects[known..], &self.services.metrics);
    }

    fn turn_ended(&mut self, context: &mut Context<RoomMessage>) {
        self.write(context);
        self.perform(context);
        self.answer_askers(context);
    }
}

/// What brought effects about, as far as metrics tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Submit,
    ReadBack,
    Other,
}

impl Cause {
    fn of(message: &RoomMessage) -> Self {
        match message {
            RoomMessage::Submit(..) | RoomMessage::Forwarded(_) => Self::Submit,
            RoomMessage::Answer(Answer::ReadBack(_)) => Self::ReadBack,
            _ => Self::Other,
        }
    }

    fn count(self, effects: &[Effect<SendReply, ChangeReply>], metrics: &Metrics) {
        let mut has_asked = false;
        for effect in effects {
            match effect {
                Effect::AnswerSend(_, Ok(receipt)) if receipt.duplicate => {
                    metrics.looked_up(Cache::RoomRetries, self != Self::ReadBack);
                }
                Effect::AnswerSend(_, Err(refusal))
                    if self == Self::Submit && refusal.code == ErrorCode::Overloaded =>
                {
                    metrics.overloaded(Bound::RoomQueue);
                }
                Effect::AnswerChange(_, Err(refusal)) if refusal.code == ErrorCode::Overloaded => {
                    metrics.overloaded(Bound::RoomChanges);
                }
                Effect::AskStanding(_) => has_asked = true,
                Effect::ReadBack { .. } => metrics.read_backs.increment(1),
                _ => {}
            }
        }
        if self == Self::Submit {
            metrics.looked_up(Cache::RoomMembers, !has_asked);
        }
    }
}

/// Reactions, and the changes that tell of them.
fn count_reactions(committed: &[Entry], metrics: &Metrics) {
    for entry in committed {
        match entry {
            Entry::Reaction(_) => metrics.gathered(Coalesced::Reactions, 1),
            Entry::Change(change) if change.kind == ChangeKind::Reactions => {
                metrics.flushed(Coalesced::Reactions);
            }
            Entry::Change(_) | Entry::Message(_) => {}
        }
    }
}

impl Drop for RoomActor {
    fn drop(&mut self) {
        self.services.metrics.rooms.decrement(1);
    }
}
