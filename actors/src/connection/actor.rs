//! Frames and answers in, effects out.

mod asking;
mod live;
mod pages;
mod wishes;

use super::{
    Attached, ConnectionLimits, Flow, INBOX_BOUND, Incoming, Source, Speech, TURN_FRAMES,
    logic::{Asked, Effect, Live, Logic, Wished},
    replay::{RETRY, Step},
    source::Authenticator,
};
use crate::{
    batcher::Awaiting,
    hub::{Identity, LocalHub, Received, SlotId, Socket},
    kernel::{Actor, Address, Clock, Context, Lost, start_unsupervised},
    metrics::{Bound, Metrics, Sent},
    route::{Receipt, Router, lost_send},
    store_reader::Reader,
};
use madang_protocol::{
    CloseCode, ErrorCode, Heads, MemberChange, Place, Refusal, Role, RoomId, UserId,
    codec::Codec,
    frame::NodeFrame,
    object::MessageObject,
    operation::{Subscription, Wish},
    websocket::{self, Opcode},
};
use madang_store::rooms::Access;
use std::{
    rc::Rc,
    sync::Arc,
    task::{self, Poll},
};
use tokio::time::Instant;

/// What all connections of an arbiter share.
pub struct ConnectionServices {
    /// To the rooms.
    pub router: Router,
    /// To the store.
    pub reader: Reader,
    /// Who a token speaks for.
    pub authenticator: Box<dyn Authenticator>,
    /// The settings.
    pub limits: ConnectionLimits,
    /// Wall-clock time.
    pub clock: Clock,
    /// Told to clients in `hello`.
    pub node: String,
    /// The node's.
    pub metrics: Arc<Metrics>,
    /// Where monotonic milliseconds begin.
    pub started: Instant,
}

/// What a connection is told.
pub enum ConnectionMessage {
    /// Its user became a member of a room, and it wants all of them.
    Joined(RoomId, Heads, Role),
    /// Its user is in a room that it does not receive, and it wants all of them.
    Found(RoomId),
    /// The hub detached it from a room its user is out of.
    Detached(RoomId),
    /// The time to ask again whether a room was joined anew.
    Return(RoomId),
    /// The audience of a room lost membership changes.
    Recheck(RoomId),
    /// The hub closes it.
    Closing,
    /// The hub turned it back in rooms for which its out-queue had no place.
    Behind,
    /// The out-queue is below half.
    Low,
    /// Answers to what the connection itself asked.
    Answer(Answer),
}

/// Answers to a connection's own questions.
pub enum Answer {
    /// To `Effect::Authenticate`.
    Authenticated(Option<u64>, Wish, Result<Option<Identity>, Refusal>),
    /// To `Effect::AskRooms`.
    Entered(Option<u64>, Result<Vec<Wished>, Refusal>),
    /// To `Effect::AskAccess`.
    Access(Option<u64>, Subscription, Result<Option<Access>, Refusal>),
    /// To `Effect::AskReturn`.
    Returned(RoomId, Result<Option<Access>, Refusal>),
    /// To `Effect::ReadHistory`.
    History(Option<u64>, Result<PageRead, Refusal>),
    /// To `Effect::Submit`.
    Sent(Option<u64>, Asked, Result<Result<Receipt, Refusal>, Lost>),
    /// To `Effect::AskLive`.
    Live(Option<u64>, Live, Result<Option<Access>, Refusal>, Option<Awaiting>),
    /// To `Effect::AskOnline`.
    Online(Option<u64>, Result<(Vec<UserId>, bool), Refusal>),
    /// To `Step::Attach`.
    Attached(Result<Attached, Lost>),
    /// To `Step::ReadPage`.
    Page(Result<PageRead, Refusal>),
    /// To `Step::ReadChanges`.
    Changes(Result<ChangesRead, Refusal>),
    /// To `Step::Recheck`.
    Rechecked(RoomId, Result<Option<Access>, Refusal>),
    /// To `Step::ReadPage` or `Step::ReadChanges`: we are no member any more.
    Ended(RoomId, MemberChange),
    /// The time of `Step::Later`.
    Later,
}

/// Messages as the reader may see them, and the room's newest `seq`.
type PageRead = (Vec<MessageObject>, u64);
/// Messages that changed, up to which `rev` they are all there, and where the room stands.
type ChangesRead = (Vec<MessageObject>, u64, Heads);

/// Starts the actor of a connection on the arbiter of the caller, which is the hub's. One that is
/// `refused` is told why and closed. `lease` lives as long as the actor does.
pub fn start(
    services: Rc<ConnectionServices>,
    hub: LocalHub,
    socket: Rc<dyn Socket>,
    source: Box<dyn Source>,
    speech: Speech,
    refused: Option<CloseCode>,
    lease: Box<dyn std::any::Any>,
) -> Address<ConnectionMessage> {
    start_unsupervised(INBOX_BOUND, |address| {
        let slot = hub.open(socket, address.clone(), speech.codec());
        let logic = Logic::new(&services.limits);
        if let Some(code) = refused {
            hub.close(slot, code); // the actor learns of it by its first message
        }
        ConnectionActor {
            services,
            hub,
            slot,
            source,
            speech,
            logic,
            is_done: false,
            _lease: lease,
        }
    })
}

/// See the module.
pub struct ConnectionActor {
    services: Rc<ConnectionServices>,
    hub: LocalHub,
    slot: SlotId,
    source: Box<dyn Source>,
    speech: Speech,
    logic: Logic,
    /// The transport ended, or both sides said goodbye.
    is_done: bool,
    _lease: Box<dyn std::any::Any>,
}

impl ConnectionActor {
    fn incoming(&mut self, incoming: Incoming<'_>, effects: &mut Vec<Effect>) {
        self.hub.touch(self.slot);
        match incoming {
            Incoming::End => self.is_done = true,
            Incoming::Close => {
                self.hub.received(Received::CLOSE, 0);
                self.hub.farewell(self.slot);
                self.is_done = true;
            }
            _ if self.logic.is_closing() => {}
            Incoming::Broken(code) => self.logic.close(code, effects),
            Incoming::Pong => self.hub.received(Received::PONG, 0),
            Incoming::Ping(payload) => {
                self.hub.received(Received::PING, payload.len());
                if self.logic.ping(self.now_ms(), effects) {
                    self.hub.push(self.slot, Sent::Pong, websocket::pong(payload));
                }
            }
            Incoming::Text(bytes) => self.message(Opcode::Text, bytes, effects),
            Incoming::Binary(bytes) => self.message(Opcode::Binary, bytes, effects),
        }
    }

    fn message(&mut self, opcode: Opcode, bytes: &[u8], effects: &mut Vec<Effect>) {
        match self.speech {
            Speech::Protocol(codec) if codec.opcode() == opcode => {
                self.frame(codec, bytes, effects);
            }
            Speech::Protocol(_) => self.logic.close(CloseCode::WrongType, effects),
            Speech::Echo => {
                self.hub.received(Received::ECHO, bytes.len());
                let back = websocket::frame(opcode, |buffer| buffer.extend_from_slice(bytes));
                self.hub.push(self.slot, Sent::Echo, back);
            }
        }
    }

    fn frame(&mut self, codec: Codec, bytes: &[u8], effects: &mut Vec<Effect>) {
        let decoded = codec.decode(bytes);
        let what = decoded.as_ref().map(|request| Received::request(&request.operation));
        self.hub.received(what.unwrap_or(Received::INVALID), bytes.len());
        let (now_ms, server_time) = (self.now_ms(), self.services.clock.now());
        let known = effects.len();
        self.logic.frame(decoded, now_ms, server_time, &self.services.limits, effects);
        // Of what is refused before anybody was asked, only this is for want of place.
        if effects[known..].iter().any(is_overloaded) {
            self.services.metrics.overloaded(Bound::InFlightSends);
        }
    }

    fn answer(&mut self, answer: Answer, effects: &mut Vec<Effect>) {
        let limits = &self.services.limits;
        match answer {
            Answer::Authenticated(id, wish, found) => {
                self.logic.authenticated(id, wish, found, effects);
            }
            Answer::Entered(id, rooms) => {
                let (node, time) = (&self.services.node, self.services.clock.now());
                self.logic.entered(id, rooms, node, time, limits, effects);
            }
            Answer::Access(id, subscription, access) => {
                self.logic.access(id, subscription, access, limits, effects);
            }
            Answer::Returned(room, Ok(access)) => {
                self.logic.returned(room, access, limits, effects);
            }
            // Until there is an answer: nobody else tells of the new membership.
            Answer::Returned(room, Err(_)) => effects.push(Effect::Replay(Step::ReturnLater(room))),
            Answer::History(id, read) => self.logic.history(id, read, effects),
            Answer::Sent(id, asked, answer) => {
                let answer = answer.unwrap_or_else(|lost| Err(lost_send(lost)));
                if let (Asked::Send, Ok(receipt), Some(identity)) =
                    (asked, &answer, self.logic.identity())
                {
                    let positions = self.services.reader.positions();
                    positions.stored(receipt.room, identity.user, receipt.seq);
                }
                self.logic.sent(id, asked, answer, effects);
            }
            Answer::Live(id, live, mut access, awaiting) => {
                if let (Ok(Some(access)), Some(awaiting)) = (&mut access, awaiting) {
                    access.read_seq = awaiting.latest(access.read_seq);
                }
                self.logic.live_access(id, live, access, effects);
            }
            Answer::Online(id, found) => self.logic.online(id, found, effects),
            Answer::Attached(outcome) => self.logic.attached(outcome.ok(), effects),
            Answer::Page(page) => {
                let messages = page.as_ref().map_or(0, |(messages, _)| messages.len());
                self.services.metrics.replayed[0].increment(messages as u64);
                self.logic.page(page.ok(), effects);
            }
            Answer::Changes(page) => {
                let changes = page.as_ref().map_or(0, |(messages, ..)| messages.len());
                self.services.metrics.replayed[1].increment(changes as u64);
                self.logic.changes(page.ok(), effects);
            }
            Answer::Rechecked(room, access) => self.logic.rechecked(room, access, effects),
            Answer::Ended(room, end) => self.logic.ended(room, end, effects),
            Answer::Later => self.logic.go(effects),
        }
    }

    fn perform(&mut self, effects: &mut Vec<Effect>, context: &mut Context<ConnectionMessage>) {
        // A step may bring the next one at once, which comes after the others.
        while !effects.is_empty() {
            for effect in std::mem::take(effects) {
                self.perform_one(effect, effects, context);
            }
        }
    }

    fn perform_one(
        &mut self,
        effect: Effect,
        effects: &mut Vec<Effect>,
        context: &mut Context<ConnectionMessage>,
    ) {
        match effect {
            Effect::Push(frame) => self.push(&frame),
            Effect::Close(code) => self.hub.close(self.slot, code),
            Effect::Identify(identity, all) => self.hub.identify(self.slot, identity, all),
            Effect::AskRooms(id, user, wish) => self.ask_rooms(id, user, wish, context),
            Effect::AwaitHello => self.hub.awaits_hello(self.slot),
            Effect::Authenticate(id, hello) => {
                self.hub.hello_was_said(self.slot);
                self.authenticate(id, hello, context);
            }
            Effect::AskAccess(id, subscription) => self.ask_access(id, subscription, context),
            Effect::AskReturn(room) => {
                let access = self.access(room);
                context.spawn(access, move |access| {
                    ConnectionMessage::Answer(Answer::Returned(room, access))
                });
            }
            Effect::ReadHistory(id, history) => self.read_history(id, history, context),
            Effect::Submit(id, room, work) => {
                let Some(identity) = self.logic.identity() else {
                    return;
                };
                let asked = Asked::of(&work);
                let reply = context.reply(move |answer| {
                    ConnectionMessage::Answer(Answer::Sent(id, asked, answer))
                });
                self.services.router.submit(identity.user, room, work, reply);
            }
            Effect::Live(id, live) => self.live(id, live, effects),
            Effect::AskLive(id, live) => self.ask_live(id, live, context),
            Effect::Advance(id, target, stored) => self.advance(id, target, stored, effects),
            Effect::AskOnline(id, room) => self.ask_online(id, room, context),
            Effect::Tell(room, ephemeral) => {
                self.services.router.publish_ephemeral(room, ephemeral);
            }
            Effect::Replay(step) => self.step(step, effects, context),
        }
    }

    fn step(
        &mut self,
        step: Step,
        effects: &mut Vec<Effect>,
        context: &mut Context<ConnectionMessage>,
    ) {
        match step {
            Step::WhenLow => {
                if self.hub.is_low(self.slot, true) {
                    self.logic.go(effects);
                }
            }
            Step::Hear { room, member_rev } => {
                self.hub.want(self.slot, room);
                if !self.logic.is_attaching(room) {
                    self.ask_audience(room, member_rev, Place::default(), None);
                }
            }
            Step::Attach { room, after, member_rev } => {
                self.hub.ask(self.slot, room);
                let reply =
                    context.reply(|outcome| ConnectionMessage::Answer(Answer::Attached(outcome)));
                self.ask_audience(room, member_rev, after, Some(reply));
            }
            Step::ReadPage { room, after } => self.read_page(room, after, context),
            Step::ReadChanges { room, after } => self.read_changes(room, after, context),
            Step::Recheck(room) => self.recheck(room, context),
            Step::ReturnLater(room) => context.after(RETRY, ConnectionMessage::Return(room)),
            Step::RecheckLater(room) => context.after(RETRY, ConnectionMessage::Recheck(room)),
            Step::Later => context.after(RETRY, ConnectionMessage::Answer(Answer::Later)),
            Step::Detach(room) => self.hub.detach(self.slot, room),
        }
    }

    fn push(&self, frame: &NodeFrame) {
        if let NodeFrame::Error { code, .. } = frame {
            self.services.metrics.refusal(*code);
        }
        self.hub.push(self.slot, Sent::of(frame), self.speech.codec().encode(frame));
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.services.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Actor for ConnectionActor {
    type Message = ConnectionMessage;
    const KIND: &'static str = "connection";
    const KEEPS_QUEUES: bool = false;

    fn handle(&mut self, message: ConnectionMessage, context: &mut Context<ConnectionMessage>) {
        let mut effects = Vec::new();
        match message {
            ConnectionMessage::Joined(room, heads, role) => {
                self.logic.joined(room, heads, role, &self.services.limits, &mut effects);
            }
            ConnectionMessage::Found(room) => {
                self.logic.found(room, &self.services.limits, &mut effects);
            }
            ConnectionMessage::Detached(room) => self.logic.detached(room, &mut effects),
            ConnectionMessage::Return(room) => effects.push(Effect::AskReturn(room)),
            ConnectionMessage::Recheck(room) => self.recheck(room, context),
            ConnectionMessage::Closing => self.logic.closing(),
            ConnectionMessage::Behind => {
                for (room, after) in self.hub.take_behind(self.slot) {
                    self.logic.fell_behind(room, after, &mut effects);
                }
            }
            ConnectionMessage::Low => self.logic.go(&mut effects),
            ConnectionMessage::Answer(answer) => self.answer(answer, &mut effects),
        }
        self.perform(&mut effects, context);
    }

    fn poll_input(
        &mut self,
        task: &mut task::Context<'_>,
        context: &mut Context<ConnectionMessage>,
    ) -> Poll<()> {
        if !self.logic.wants_input() {
            return Poll::Pending; // the answer that is waited for brings the next turn
        }
        let mut effects = Vec::new();
        let mut frames = 0;
        // The source is taken out for the call: what it reads is worked off by the rest of us.
        let mut source = std::mem::replace(&mut self.source, Box::new(Nothing));
        let poll = source.poll_read(task, &mut |incoming| {
            self.incoming(incoming, &mut effects);
            self.perform(&mut effects, context);
            frames += 1;
            let goes_on = self.logic.wants_input() && !self.is_done && frames < TURN_FRAMES;
            if goes_on { Flow::More } else { Flow::Pause }
        });
        self.source = source;
        if self.is_done {
            context.stop();
        }
        if self.logic.wants_input() { poll } else { Poll::Pending }
    }
}

impl Drop for ConnectionActor {
    /// Ended without a goodbye means ended by a fault: the client is told to resume. A hub that
    /// closes already knows why and takes no second reason.
    fn drop(&mut self) {
        if !self.is_done {
            self.hub.close(self.slot, CloseCode::Internal);
            self.hub.farewell(self.slot);
        }
        self.hub.remove(self.slot);
    }
}

fn is_overloaded(effect: &Effect) -> bool {
    matches!(effect, Effect::Push(NodeFrame::Error { code: ErrorCode::Overloaded, .. }))
}

/// Stands in for a source while it is being read.
struct Nothing;

impl Source for Nothing {
    fn poll_read(
        &mut self,
        _: &mut task::Context<'_>,
        _: &mut dyn FnMut(Incoming<'_>) -> Flow,
    ) -> Poll<()> {
        Poll::Pending
    }
}
