//! What a room decides: pure, time passed in, effects out.

mod membership;

use super::{
    ACTIVE_FOR, BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, QUEUE_MAX,
    pending::{Pending, Queue, Submit},
    standing::{Change, Standing, Standings},
    window::Window,
};
use crate::route::{Receipt, posting_refused};
use madang_protocol::{
    ClientId, Event, EventBatch, Heads, Message, Millis, Refusal, Role, RoomId, RoomKind, UserId,
};
use madang_resilience::Backoff;
use madang_store::{
    StoreError,
    log::{Activation, Appended, Page, Sent, Stopped},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// The first and the longest wait between two reads of a state in doubt.
const RETRY_FIRST_MS: u64 = 10;
const RETRY_MAX_MS: u64 = 1_000;

/// What is to be done. `S` answers a send, `M` a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<S, M> {
    /// Read the heads and the newest messages.
    Activate,
    /// Find out what a user is to the room.
    AskStanding(UserId),
    /// Hand this batch to the store writer.
    Append(Vec<Arc<Message>>),
    /// Read what is true: where these sends stand, and the messages above `after`.
    ReadBack {
        /// The sends in doubt, in order.
        sent: Vec<(UserId, ClientId)>,
        /// The committed head as known.
        after: u64,
    },
    /// Call `retry` after this time.
    RetryAfter(Duration),
    /// Write a change of the room or of who is in it.
    Change(Change),
    /// Answer a send.
    AnswerSend(S, Result<Receipt, Refusal>),
    /// Answer a change with the role that the user it concerns holds now.
    AnswerChange(M, Result<Option<Role>, Refusal>),
    /// Tell the connections of a new member, in this role, that want all their rooms.
    AnnounceJoined(UserId, Role, Heads),
    /// Tell the readers.
    Publish(EventBatch),
    /// There is no such room, or nothing has happened for long: stop unless something waits.
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Does not know its heads yet.
    Activating,
    /// Knows them.
    Active,
    /// A batch's outcome is in doubt, or was just found out: no number is given until
    /// `read_back_done` or `retry`.
    Resyncing,
    /// There is no such room.
    Absent,
}

/// The state of a room. See the module for its invariants.
pub struct Logic<S, M> {
    room: RoomId,
    kind: RoomKind,
    state: State,
    /// A committed prefix, always.
    heads: Heads,
    last_ts: Millis,
    window: Window,
    queue: Queue<S>,
    standings: Standings<S, M>,
    /// What is told once the changes before it are; see `membership`.
    early: BTreeMap<u64, Vec<Event>>,
    backoff: Backoff,
    last_activity: Instant,
}

impl<S, M> Logic<S, M> {
    /// A room that has to be activated first.
    pub fn new(room: RoomId, now: Instant) -> Self {
        Self {
            room,
            kind: RoomKind::Group,
            state: State::Activating,
            heads: Heads::default(),
            last_ts: 0,
            window: Window::default(),
            queue: Queue::new(),
            standings: Standings::new(),
            early: BTreeMap::new(),
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            last_activity: now,
        }
    }

    /// Its heads, once they are known.
    pub fn heads(&self) -> Option<Heads> {
        matches!(self.state, State::Active | State::Resyncing).then_some(self.heads)
    }

    /// There is no such room.
    pub fn is_absent(&self) -> bool {
        self.state == State::Absent
    }

    /// The newest messages above `seq`.
    pub fn recent(&self, seq: u64) -> Vec<Arc<Message>> {
        self.window.after(seq)
    }

    /// The heads were read. Readers are told at once where the room stands.
    pub fn activated(
        &mut self,
        read: Result<Option<Activation>, StoreError>,
        random: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        match read {
            Err(_) => self.retry_later(random, effects),
            Ok(None) => self.become_absent(effects),
            Ok(Some(found)) => {
                self.state = State::Active;
                self.backoff.reset();
                self.kind = found.kind;
                self.heads = found.heads;
                self.last_ts = found.last_ts;
                found.window.into_iter().for_each(|message| self.window.push(message));
                effects.push(self.beacon());
                if self.kind == RoomKind::Channel {
                    // What came before was taken from everybody.
                    let taken: Vec<_> = self.queue.drain().collect();
                    taken.into_iter().for_each(|pending| self.accept(pending, effects));
                }
                self.settle_changes(effects);
            }
        }
    }

    /// A send arrives.
    pub fn submit(&mut self, pending: Pending<S>, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        self.last_activity = now;
        if self.queue.len() + self.standings.waiting() >= QUEUE_MAX {
            return refuse(pending, &Refusal::overloaded("the room is busy"), effects);
        }
        self.accept(pending, effects);
    }

    /// A user's standing was read. One that may be from before a change is read again.
    pub fn standing(
        &mut self,
        user: UserId,
        standing: Result<Standing, StoreError>,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        match (self.standings.take_answer(user), standing) {
            (true, Ok(standing)) => {
                for pending in self.standings.learn(user, standing) {
                    self.accept(pending, effects);
                }
            }
            (_, Err(_)) => {
                for pending in self.standings.give_up(user) {
                    refuse(pending, &Refusal::unavailable("membership is in doubt"), effects);
                }
            }
            (false, Ok(_)) => {
                if self.standings.must_ask(user, false) {
                    effects.push(Effect::AskStanding(user));
                }
            }
        }
    }

    /// Hands the next batch over if the last one's outcome is known. Called at the end of a turn,
    /// so that what came together goes together.
    pub fn begin_batch(&mut self, now: Millis, effects: &mut Vec<Effect<S, M>>) {
        if self.state != State::Active || self.queue.is_writing() || self.queue.is_empty() {
            return;
        }
        let ts = now.max(self.last_ts);
        let head = self.heads.last_seq;
        let batch =
            self.queue.begin_batch(self.room, head, ts, BATCH_MESSAGES_MAX, BATCH_BYTES_MAX);
        effects.push(Effect::Append(batch));
    }

    /// The store writer answered; `batch` is what it was given.
    pub fn appended(
        &mut self,
        batch: &[Arc<Message>],
        outcome: Appended,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        let before = self.heads;
        let mut events = Vec::with_capacity(outcome.committed);
        for message in &batch[..outcome.committed] {
            let pending = self.queue.settle_first().expect("the batch is pending");
            answer(pending, receipt(message, false), effects);
            self.advance(message, &mut events);
        }
        self.publish(before, events, effects);
        match outcome.stopped {
            None => {}
            Some(Stopped::Refused(error)) => self.refuse_batch(&error, effects),
            // Whatever the doubt, one answer: read back what is true.
            Some(Stopped::Duplicate | Stopped::Taken | Stopped::Unknown(_)) => {
                self.state = State::Resyncing;
                effects.push(self.read_back());
            }
        }
        self.settle_changes(effects);
    }

    /// What is true was read: `found` says where the sends in doubt stand, in order; `newer` are
    /// the messages above the known head.
    pub fn read_back_done(
        &mut self,
        read: Result<(Vec<Option<Sent>>, Page), StoreError>,
        random: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        let Ok((found, newer)) = read else {
            return self.retry_later(random, effects);
        };
        let known = self.heads.last_seq;
        let before = self.heads;
        let mut events = Vec::with_capacity(newer.messages.len());
        for message in &newer.messages {
            self.advance(message, &mut events);
        }
        self.publish(before, events, effects);
        let head = self.heads.last_seq;
        if head < newer.last_seq || found.iter().flatten().any(|sent| sent.seq > head) {
            effects.push(self.read_back()); // more than one page, or committed meanwhile
            return;
        }
        let is_news = head > known || found.iter().any(Option::is_some);
        self.settle_found(&found, known, effects);
        self.state = State::Active;
        if is_news {
            self.backoff.reset();
        } else {
            self.state = State::Resyncing;
            self.retry_later(random, effects);
        }
        self.settle_changes(effects);
    }

    /// The time of a `RetryAfter` has come.
    pub fn retry(&mut self, effects: &mut Vec<Effect<S, M>>) {
        match self.state {
            State::Activating => effects.push(Effect::Activate),
            State::Resyncing if self.queue.is_writing() => effects.push(self.read_back()),
            State::Resyncing => self.state = State::Active,
            State::Active | State::Absent => {}
        }
    }

    /// Once a second: late sends are answered, readers are told where the room stands, a room
    /// where nothing happens goes.
    pub fn tick(&mut self, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        self.queue.expire(now, |reply| {
            let refusal = Refusal::unavailable("not committed in time, the outcome is unknown");
            effects.push(Effect::AnswerSend(reply, Err(refusal)));
        });
        self.settle_changes(effects);
        let is_quiet = now.duration_since(self.last_activity) >= ACTIVE_FOR;
        let has_work = !self.queue.is_empty() || !self.standings.is_idle();
        if self.is_absent() || (is_quiet && !has_work) {
            effects.push(Effect::Stop);
        } else if !is_quiet && self.heads().is_some() {
            effects.push(self.beacon());
        }
    }

    /// Known to be no member, known to be sent, or to the queue.
    fn accept(&mut self, pending: Pending<S>, effects: &mut Vec<Effect<S, M>>) {
        let submit = &pending.submit;
        if self.state == State::Absent {
            return refuse(pending, &Refusal::no_room(), effects);
        }
        let known = self.standings.known(submit.sender);
        match known.map(|standing| self.refusal(standing)) {
            None => {
                let user = submit.sender;
                if self.standings.wait(pending) {
                    effects.push(Effect::AskStanding(user));
                }
            }
            Some(Some(refusal)) => refuse(pending, &refusal, effects),
            Some(None) => match self.window.sent(submit.sender, &submit.client_id) {
                Some(sent) => {
                    let receipt = self.receipt_of(sent, true);
                    answer(pending, receipt, effects);
                }
                None => self.queue.push(pending),
            },
        }
    }

    /// Why one of this standing may not post.
    fn refusal(&self, standing: Standing) -> Option<Refusal> {
        let only_reads = standing == Standing::Member(Role::Member);
        match self.kind {
            RoomKind::Channel if only_reads => Some(posting_refused()),
            _ => standing.refusal(),
        }
    }

    fn become_absent(&mut self, effects: &mut Vec<Effect<S, M>>) {
        self.state = State::Absent;
        let (sends, changes) = self.standings.drain();
        for pending in self.queue.drain().chain(sends) {
            refuse(pending, &Refusal::no_room(), effects);
        }
        for reply in changes {
            effects.push(Effect::AnswerChange(reply, Err(Refusal::no_room())));
        }
        effects.push(Effect::Stop);
    }

    fn refuse_batch(&mut self, error: &StoreError, effects: &mut Vec<Effect<S, M>>) {
        let refusal = match error {
            StoreError::Overloaded => Refusal::overloaded("the store is busy"),
            _ => Refusal::unavailable("the store takes no messages now"),
        };
        while let Some(pending) = self.queue.settle_first() {
            refuse(pending, &refusal, effects);
        }
    }

    /// Answers the sends that were found and puts the others back, in their order.
    fn settle_found(
        &mut self,
        found: &[Option<Sent>],
        known: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        let room = self.room;
        let settled: Vec<bool> = found.iter().map(Option::is_some).collect();
        self.queue.end_batch(&settled, |index, pending| {
            if let Some(Sent { seq, ts }) = found[index] {
                // Above the head we knew it was this very attempt that put it there.
                answer(pending, Receipt { room, seq, ts, duplicate: seq <= known }, effects);
            }
        });
    }

    fn advance(&mut self, message: &Arc<Message>, events: &mut Vec<Event>) {
        debug_assert_eq!(message.seq, self.heads.last_seq + 1, "no hole");
        self.heads.last_seq = message.seq;
        self.last_ts = self.last_ts.max(message.ts);
        self.window.push(message.clone());
        events.push(Event::Message(message.clone()));
    }

    fn publish(&self, before: Heads, events: Vec<Event>, effects: &mut Vec<Effect<S, M>>) {
        if !events.is_empty() {
            let (room, after) = (self.room, self.heads);
            effects.push(Effect::Publish(EventBatch { room, before, after, events }));
        }
    }

    fn beacon(&self) -> Effect<S, M> {
        let (room, heads) = (self.room, self.heads);
        Effect::Publish(EventBatch { room, before: heads, after: heads, events: Vec::new() })
    }

    fn read_back(&self) -> Effect<S, M> {
        let sends = self.queue.batch();
        let sent = sends.map(|entry| (entry.submit.sender, entry.submit.client_id.clone()));
        Effect::ReadBack { sent: sent.collect(), after: self.heads.last_seq }
    }

    fn retry_later(&mut self, random: u64, effects: &mut Vec<Effect<S, M>>) {
        let wait_ms = self.backoff.next_ms(random).max(RETRY_FIRST_MS);
        effects.push(Effect::RetryAfter(Duration::from_millis(wait_ms)));
    }

    fn receipt_of(&self, sent: Sent, duplicate: bool) -> Receipt {
        Receipt { room: self.room, seq: sent.seq, ts: sent.ts, duplicate }
    }
}

fn receipt(message: &Message, duplicate: bool) -> Receipt {
    Receipt { room: message.room, seq: message.seq, ts: message.ts, duplicate }
}

/// The first who waits sent it; the others sent it again.
fn answer<S, M>(pending: Pending<S>, receipt: Receipt, effects: &mut Vec<Effect<S, M>>) {
    for (index, reply) in pending.replies.into_iter().enumerate() {
        let duplicate = receipt.duplicate || index > 0;
        effects.push(Effect::AnswerSend(reply, Ok(Receipt { duplicate, ..receipt })));
    }
}

fn refuse<S, M>(pending: Pending<S>, refusal: &Refusal, effects: &mut Vec<Effect<S, M>>) {
    for reply in pending.replies {
        effects.push(Effect::AnswerSend(reply, Err(refusal.clone())));
    }
}

/// A send with one who waits for it.
pub fn pending<S>(submit: Submit, reply: S) -> Pending<S> {
    Pending { submit, replies: vec![reply] }
}
