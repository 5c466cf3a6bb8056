//! What a connection decides: pure, time passed in, effects out.

mod entering;
mod live;
mod receiving;

pub use live::Live;
pub use receiving::end_of;

use super::{
    ConnectionLimits, REQUESTS_MAX,
    allowance::{Allowance, Denied},
    replay::{Replay, Step},
};
use crate::{hub::Identity, room::pending::Work, route::Receipt};
use madang_protocol::{
    CloseCode, Ephemeral, ErrorCode, Heads, Millis, Operation, Refusal, Request, Role, RoomId,
    UserId,
    codec::DecodeError,
    frame::NodeFrame,
    object::MessageObject,
    operation::{Edit, Hello, History, Send, Subscription, Target, Wish},
};
use madang_store::{cache::Membership, rooms::Access};
use std::collections::{BTreeSet, VecDeque};

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put this into the out-queue.
    Push(NodeFrame),
    /// Close after what waits in the out-queue.
    Close(CloseCode),
    /// The hub expects `hello` anew.
    AwaitHello,
    /// Find the session.
    Authenticate(Option<u64>, Hello),
    /// The hub has to know who we are, and whether we want every room that is joined.
    Identify(Identity, bool),
    /// Find out what we may do in the rooms that were wished for.
    AskRooms(Option<u64>, UserId, Wish),
    /// Find out what we may do in a room.
    AskAccess(Option<u64>, Subscription),
    /// The membership we were detached for is over: find out whether there is a new one.
    AskReturn(RoomId),
    /// Find out whether we may read a room, and read it.
    ReadHistory(Option<u64>, History),
    /// Ask the room to commit something.
    Submit(Option<u64>, RoomId, Work),
    /// Call `live` with how far the hub has served us in the room.
    Live(Option<u64>, Live),
    /// Find out what we may do in the room; `live_access` tells.
    AskLive(Option<u64>, Live),
    /// Note that we have read up to there, beginning from what is stored, if that was read;
    /// `advanced` tells.
    Advance(Option<u64>, Target, Option<u64>),
    /// Find out who is online; `online` tells.
    AskOnline(Option<u64>, RoomId),
    /// Tell those who listen.
    Tell(RoomId, Ephemeral),
    /// See [`Step`].
    Replay(Step),
}

/// One room that was wished for: a text that names none, or what we may do there.
pub type Wished = Result<(Subscription, Option<Access>), Box<str>>;

/// What a room was asked to commit: which `ok` it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// A message.
    Send,
    /// An edit or a deletion.
    Change,
    /// A reaction.
    React,
}

impl Asked {
    /// For this.
    pub fn of(work: &Work) -> Self {
        match work {
            Work::Send { .. } => Self::Send,
            Work::Edit(_) | Work::Delete(_) => Self::Change,
            Work::React(_) => Self::React,
        }
    }

    fn ok(self, id: u64, receipt: Receipt) -> NodeFrame {
        let Receipt { room, seq, ts, rev, duplicate } = receipt;
        match self {
            Self::Send => NodeFrame::SendOk { id, room, seq, ts, duplicate },
            Self::Change => NodeFrame::ChangeOk { id, room, seq, rev },
            Self::React => NodeFrame::ReactOk { id, room, seq },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Fresh,
    Authenticating,
    /// Waits for what may be done in the rooms that were wished for.
    Entering(Identity),
    Live(Identity),
    Closing,
}

/// The state of a connection. See the module for its invariants.
pub struct Logic {
    phase: Phase,
    /// Every room of the user is wanted, now and whenever one is joined.
    wants_all: bool,
    allowance: Allowance,
    /// Unanswered.
    sends: usize,
    /// Unanswered, other than sends.
    requests: usize,
    replay: Replay,
    is_reading_history: bool,
    /// Boxed, because hardly any connection has some and there are many connections.
    waiting: Option<Box<Waiting>>,
    /// Rooms it does not want, though it wants all. Boxed, as above; at most `subscriptions_max`, then
    /// the lowest is forgotten.
    #[expect(clippy::box_collection, reason = "16 bytes less in every connection")]
    left_out: Option<Box<BTreeSet<RoomId>>>,
    steps: Vec<Step>,
}

/// What waits for its turn.
#[derive(Default)]
struct Waiting {
    /// Pages of history to be read, in the order asked; part of `requests`.
    histories: VecDeque<(Option<u64>, History)>,
    /// Rooms joined while entering. Bounded by `subscriptions_max`.
    joined: Vec<(RoomId, Heads, Role)>,
}

impl Logic {
    /// A connection that has said nothing yet.
    pub fn new(limits: &ConnectionLimits) -> Self {
        Self {
            phase: Phase::Fresh,
            wants_all: false,
            allowance: Allowance::new(limits.frames_per_second, limits.frames_burst),
            sends: 0,
            requests: 0,
            replay: Replay::default(),
            is_reading_history: false,
            waiting: None,
            left_out: None,
            steps: Vec::new(),
        }
    }

    /// False while reading has to pause.
    pub fn wants_input(&self) -> bool {
        let is_entering = matches!(self.phase, Phase::Authenticating | Phase::Entering(_));
        !is_entering && self.requests < REQUESTS_MAX
    }

    /// Nothing that comes in is looked at any more.
    pub fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }

    /// Who we are, after `hello`.
    pub fn identity(&self) -> Option<Identity> {
        match self.phase {
            Phase::Entering(identity) | Phase::Live(identity) => Some(identity),
            Phase::Fresh | Phase::Authenticating | Phase::Closing => None,
        }
    }

    /// A frame was read. `now_ms` is monotonic, `server_time` is not.
    pub fn frame(
        &mut self,
        decoded: Result<Request, DecodeError>,
        now_ms: u64,
        server_time: Millis,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        let (id, operation) = match decoded {
            Ok(Request { id, operation }) => (id, Ok(operation)),
            Err(DecodeError::Refused { id, refusal }) => (id, Err(refusal)),
            Err(DecodeError::Undecodable) => {
                return self.close(CloseCode::Undecodable, effects);
            }
        };
        if let Err(denied) = self.allowance.take(now_ms) {
            return self.denied(id, denied, effects);
        }
        match (self.phase, operation) {
            (Phase::Live(_), Ok(operation)) => {
                self.operation(id, operation, server_time, limits, effects);
            }
            (Phase::Live(_), Err(refusal)) => refuse(id, refusal, effects),
            (Phase::Fresh, Ok(Operation::Hello(hello))) => {
                self.phase = Phase::Authenticating;
                effects.push(Effect::Authenticate(id, hello));
            }
            (Phase::Fresh, Ok(_)) => {
                let refusal = Refusal::new(ErrorCode::Unauthenticated, "say hello first");
                self.refuse_and_close(id, refusal, effects);
            }
            (Phase::Fresh, Err(refusal)) => self.refuse_and_close(id, refusal, effects),
            (Phase::Authenticating | Phase::Entering(_) | Phase::Closing, _) => {}
        }
    }

    /// A ping was read. True: answer it.
    pub fn ping(&mut self, now_ms: u64, effects: &mut Vec<Effect>) -> bool {
        match self.allowance.take(now_ms) {
            Ok(()) => !self.is_closing(),
            Err(Denied::Refused(_)) => false,
            Err(Denied::TooMany) => {
                self.close(CloseCode::TooManyFrames, effects);
                false
            }
        }
    }

    /// The connection has to go.
    pub fn close(&mut self, code: CloseCode, effects: &mut Vec<Effect>) {
        if !self.is_closing() {
            self.phase = Phase::Closing;
            effects.push(Effect::Close(code));
        }
    }

    /// The hub closes it.
    pub fn closing(&mut self) {
        self.phase = Phase::Closing;
    }

    /// A page of history was read.
    pub fn history(
        &mut self,
        id: Option<u64>,
        read: Result<(Vec<MessageObject>, u64), Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        self.requests -= 1;
        self.is_reading_history = false;
        if self.waiting.is_some() {
            effects.push(Effect::Replay(Step::WhenLow));
        }
        match (read, id) {
            (Err(refusal), _) => refuse(id, refusal, effects),
            (Ok((messages, last_seq)), Some(id)) => {
                effects.push(Effect::Push(NodeFrame::HistoryOk { id, messages, last_seq }));
            }
            (Ok(_), None) => {}
        }
    }

    /// A room answered what it was asked to commit.
    pub fn sent(
        &mut self,
        id: Option<u64>,
        asked: Asked,
        answer: Result<Receipt, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        self.sends -= 1;
        match (answer, id) {
            (Err(refusal), _) => refuse(id, refusal, effects),
            (Ok(receipt), Some(id)) => effects.push(Effect::Push(asked.ok(id, receipt))),
            (Ok(_), None) => {}
        }
    }

    fn operation(
        &mut self,
        id: Option<u64>,
        operation: Operation,
        server_time: Millis,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        match operation {
            Operation::Send(send) => self.send(id, send, limits, effects),
            Operation::Ping => {
                if let Some(id) = id {
                    effects.push(Effect::Push(NodeFrame::PingOk { id, server_time }));
                }
            }
            Operation::Subscribe(subscription) => {
                self.requests += 1;
                self.leave_out_no_more(subscription.room);
                effects.push(Effect::AskAccess(id, subscription));
            }
            Operation::Unsubscribe(room) => {
                self.leave_out(room, limits);
                self.replay.unwant(room, &mut self.steps);
                self.take_steps(effects);
                if let Some(id) = id {
                    effects.push(Effect::Push(NodeFrame::UnsubscribeOk { id, room }));
                }
            }
            Operation::History(history) => {
                self.requests += 1;
                self.waiting.get_or_insert_default().histories.push_back((id, history));
                effects.push(Effect::Replay(Step::WhenLow));
            }
            Operation::Read(target) => effects.push(Effect::Live(id, Live::Read(target))),
            Operation::Presence(room) => effects.push(Effect::Live(id, Live::Presence(room))),
            Operation::Typing(typing) => effects.push(Effect::Live(id, Live::Typing(typing))),
            Operation::Signal(signal) => effects.push(Effect::Live(id, Live::Signal(signal))),
            Operation::Edit(edit) => self.edit(id, edit, limits, effects),
            Operation::Delete(target) => {
                self.submit(id, target.room, Work::Delete(target), limits, effects);
            }
            Operation::React(react) => {
                self.submit(id, react.target.room, Work::React(react), limits, effects);
            }
            Operation::Hello(_) => {
                refuse(id, Refusal::new(ErrorCode::Conflict, "hello was said"), effects);
            }
        }
    }

    fn send(
        &mut self,
        id: Option<u64>,
        send: Send,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = check_body(&send.body, limits.body_bytes_max) {
            return refuse(id, refusal, effects);
        }
        let (room, work) = Work::send(send);
        self.submit(id, room, work, limits, effects);
    }

    fn edit(
        &mut self,
        id: Option<u64>,
        edit: Edit,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(refusal) = check_body(&edit.body, limits.body_bytes_max) {
            return refuse(id, refusal, effects);
        }
        self.submit(id, edit.target.room, Work::Edit(edit), limits, effects);
    }

    fn submit(
        &mut self,
        id: Option<u64>,
        room: RoomId,
        work: Work,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        if limits.in_flight_sends > 0 && self.sends >= limits.in_flight_sends {
            return refuse(id, Refusal::overloaded("too many unanswered sends"), effects);
        }
        self.sends += 1;
        effects.push(Effect::Submit(id, room, work));
    }

    fn next_history(&mut self) -> Option<(Option<u64>, History)> {
        let next = self.waiting.as_mut()?.histories.pop_front();
        self.waiting.take_if(|waiting| waiting.histories.is_empty());
        next
    }

    fn denied(&mut self, id: Option<u64>, denied: Denied, effects: &mut Vec<Effect>) {
        match denied {
            Denied::Refused(refusal) => refuse(id, refusal, effects),
            Denied::TooMany => self.close(CloseCode::TooManyFrames, effects),
        }
    }

    fn refuse_and_close(&mut self, id: Option<u64>, refusal: Refusal, effects: &mut Vec<Effect>) {
        refuse(id, refusal, effects);
        self.close(CloseCode::Unauthenticated, effects);
    }

    fn take_steps(&mut self, effects: &mut Vec<Effect>) {
        // Taken with their memory: an idle connection keeps none.
        effects.extend(std::mem::take(&mut self.steps).into_iter().map(Effect::Replay));
    }
}

/// What a reader may see, or why not.
pub fn readable(access: Option<Access>) -> Result<Access, Refusal> {
    may_read(access.map(Membership::from))?;
    access.ok_or_else(Refusal::no_room)
}

/// Members may read what is there; who may know of the room is told to join.
pub fn may_read(membership: Option<Membership>) -> Result<(), Refusal> {
    match membership {
        Some(membership) if membership.role.is_some() => Ok(()),
        Some(membership) if !membership.private => Err(Refusal::not_a_member()),
        _ => Err(Refusal::no_room()),
    }
}

/// A message's text is neither empty nor too long; `bytes_max` 0 = off.
pub fn check_body(body: &str, bytes_max: usize) -> Result<(), Refusal> {
    if body.is_empty() {
        return Err(Refusal::invalid("body", "must not be empty"));
    }
    if bytes_max > 0 && body.len() > bytes_max {
        return Err(Refusal::new(ErrorCode::TooLarge, "body is too long"));
    }
    Ok(())
}

fn refuse(id: Option<u64>, refusal: Refusal, effects: &mut Vec<Effect>) {
    effects.push(Effect::Push(NodeFrame::refusal(id, refusal)));
}
