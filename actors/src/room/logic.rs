//! What a room decides: pure, time passed in, effects out.

mod commit;
mod leaving;
mod looking;
mod membership;
#[cfg(feature = "mutations")]
mod mutated;

use super::{
    ACTIVE_FOR, QUEUE_MAX,
    board::Board,
    looking::Looking,
    pending::{Pending, Queue, Submit, Work},
    standing::{Change, Standing, Standings},
    window::Window,
};
use crate::route::Receipt;
use leaving::Elsewhere;
use madang_protocol::{
    ClientId, Entry, Event, EventBatch, Heads, Message, Millis, Place, Refusal, Role, RoomId,
    RoomKind, UserId,
};
use madang_resilience::Backoff;
use madang_store::{
    StoreError,
    log::{Activation, ChangedPage, Mark, Page, Sent},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The first and the longest wait between two reads of a state in doubt.
const RETRY_FIRST_MS: u64 = 10;
const RETRY_MAX_MS: u64 = 1_000;

/// Asks for a message when nobody's reactions are of interest.
const NOBODY: UserId = UserId([0; 15]);

/// What is to be done. `S` answers a submit, `M` a change.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<S, M> {
    /// Read the heads and the newest messages.
    Activate,
    /// Find out what a user is to the room.
    AskStanding(UserId),
    /// Hand this batch to the store writer.
    Append(Vec<Entry>),
    /// Read what is true: where these sends stand, and what there is above `after`.
    ReadBack {
        /// The sends in doubt, in order.
        sent: Vec<(UserId, ClientId)>,
        /// The committed heads as known.
        after: Heads,
    },
    /// Read how far the room is, and which reactions were not told; `rechecked` tells.
    Recheck,
    /// Read the message that a change is about; `looked` tells.
    Look {
        /// Which.
        seq: u64,
        /// Whose reactions to it matter.
        user: UserId,
        /// Given back to `looked`.
        life: u64,
    },
    /// Call `retry` after this time.
    RetryAfter(Duration),
    /// Call `ask_again` after this time.
    AskAgainAfter(Duration),
    /// Write a change of the room or of who is in it.
    Change(Change),
    /// Answer a submit.
    AnswerSend(S, Result<Receipt, Refusal>),
    /// Answer a change with the role that the user it concerns holds now.
    AnswerChange(M, Result<Option<Role>, Refusal>),
    /// Tell the connections of a new member, in this role, that want all their rooms.
    AnnounceJoined(UserId, Role, Heads),
    /// Tell the readers.
    Publish(EventBatch),
    /// There is no such room, or nothing has happened for long: stop unless something waits.
    Stop,
    /// Something was committed here although the room is at home elsewhere: tell its home that it
    /// is as far as this.
    TellHome(Heads),
    /// The room is at home elsewhere and nothing of it is under way here any more: give this back
    /// to whoever sent it, and end.
    Leave(Left<S, M>),
}

/// What was taken and not begun, in order.
#[derive(Debug, PartialEq, Eq)]
pub struct Left<S, M> {
    /// To be committed.
    pub submits: Vec<(Submit, S)>,
    /// Of the room.
    pub changes: Vec<M>,
}

/// What is true of a room, as far as it was in doubt.
#[derive(Debug)]
pub struct ReadBack {
    /// Where the sends in doubt stand, in order.
    pub found: Vec<Option<Sent>>,
    /// The messages above the known head.
    pub newer: Page,
    /// Who changed what above the known `rev`.
    pub marks: Vec<Mark>,
    /// What these changes made of the messages up to the known head.
    pub changed: ChangedPage,
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
    /// A batch is with the store writer.
    is_writing: bool,
    /// A committed prefix, always.
    heads: Heads,
    /// How far the room is by what others, or single reads, have of it: may be ahead of `heads`.
    heard: Place,
    last_ts: Millis,
    window: Window,
    queue: Queue<S>,
    standings: Standings<S, M>,
    /// What is told once the changes before it are; see `membership`.
    early: BTreeMap<u64, Vec<Event>>,
    board: Board,
    /// Changes whose message has to be read first.
    looking: Looking<S>,
    /// Messages with reactions that were not told yet.
    uncounted: BTreeSet<u64>,
    /// Messages whose reactions were told just now, and when they may be told again.
    counted: HashMap<u64, Instant>,
    doubt: Doubt,
    /// When to look whether something in doubt was written after all.
    recheck_at: Option<Instant>,
    backoff: Backoff,
    /// Between two tries to learn what users are, or what messages are.
    asking: Backoff,
    /// An `AskAgainAfter` is out.
    asks_again: bool,
    last_activity: Instant,
    elsewhere: Elsewhere<S>,
}

/// What was found out so far about a batch in doubt.
#[derive(Default)]
struct Doubt {
    /// The heads when the batch was handed over; `None`: nothing is in doubt.
    known: Option<Heads>,
    /// Changes found above them.
    marks: Vec<Mark>,
}

impl<S, M> Logic<S, M> {
    /// A room that has to be activated first.
    pub fn new(room: RoomId, now: Instant) -> Self {
        Self {
            room,
            kind: RoomKind::Group,
            state: State::Activating,
            is_writing: false,
            heads: Heads::default(),
            heard: Place::default(),
            last_ts: 0,
            window: Window::default(),
            queue: Queue::new(),
            standings: Standings::new(),
            early: BTreeMap::new(),
            board: Board::default(),
            looking: Looking::new(),
            uncounted: BTreeSet::new(),
            counted: HashMap::new(),
            doubt: Doubt::default(),
            recheck_at: None,
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            asking: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            asks_again: false,
            last_activity: now,
            elsewhere: Elsewhere::default(),
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

    /// The messages that changed above `rev`, by rising `rev`; `None`: ask the store.
    pub fn recent_changes(&self, rev: u64) -> Option<Vec<Arc<Message>>> {
        self.window.changed_after(rev)
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
                self.uncounted.extend(found.uncounted);
                self.window.begin(found.window, found.heads.last_rev);
                effects.push(self.beacon());
                self.settle_changes(effects);
            }
        }
    }

    /// Something is to be committed.
    pub fn submit(&mut self, pending: Pending<S>, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        self.last_activity = now;
        let (waiting, late) = (self.standings.waiting(), self.elsewhere.late.len());
        if self.queue.len() + waiting + self.looking.len() + late >= QUEUE_MAX {
            return refuse(pending, &Refusal::overloaded("the room is busy"), effects);
        }
        if self.is_leaving() {
            return self.elsewhere.late.push(pending);
        }
        self.accept(pending, effects);
    }

    /// The time of a `RetryAfter` has come.
    pub fn retry(&mut self, effects: &mut Vec<Effect<S, M>>) {
        match self.state {
            State::Activating => effects.push(Effect::Activate),
            State::Resyncing if self.doubt.known.is_some() => {
                let read_back = self.read_back();
                effects.push(read_back);
            }
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
        self.expire_late(now, effects);
        self.expire_doubtful(now, effects);
        self.expire_looking(now, effects);
        self.settle_changes(effects);
        self.settle_doubts(effects);
        self.look_out_for_others(now, effects);
        if self.recheck_at.take_if(|due| *due <= now).is_some() {
            effects.push(Effect::Recheck);
        }
        self.counted.retain(|_, due| *due > now);
        let unseen = self.uncounted.iter().filter(|seq| self.board.message(**seq).is_none());
        let life = self.board.life();
        effects.extend(unseen.map(|seq| Effect::Look { seq: *seq, user: NOBODY, life }));
        let is_quiet = now.duration_since(self.last_activity) >= ACTIVE_FOR;
        let has_work = !self.queue.is_empty()
            || !self.standings.is_idle()
            || !self.looking.is_empty()
            || !self.uncounted.is_empty();
        if self.is_absent() || (is_quiet && !has_work) {
            effects.push(Effect::Stop);
        } else if !is_quiet && self.heads().is_some() {
            effects.push(self.beacon());
        }
    }

    /// Known to be no member, known to be sent, or to the queue.
    fn accept(&mut self, mut pending: Pending<S>, effects: &mut Vec<Effect<S, M>>) {
        let user = pending.submit.sender;
        if self.state == State::Absent {
            return refuse(pending, &Refusal::no_room(), effects);
        }
        let role = match self.standings.known(user).map(Standing::role) {
            None => {
                if self.standings.wait(pending) {
                    effects.push(Effect::AskStanding(user));
                }
                return;
            }
            Some(Err(refusal)) => return refuse(pending, &refusal, effects),
            Some(Ok(role)) => role,
        };
        pending.role = role;
        let sent = match &pending.submit.work {
            Work::Send { client_id, .. } => self.known_sent(user, client_id),
            Work::Edit(_) | Work::Delete(_) | Work::React(_) => None,
        };
        match sent {
            Some(Sent { seq, ts }) => {
                let receipt = Receipt { room: self.room, seq, ts, rev: 0, duplicate: true };
                answer(pending, receipt, effects);
            }
            None => {
                mutate!(DedupeFilledOnAccept, { self.remember_early(&pending) });
                self.queue.push(pending);
            }
        }
    }

    fn known_sent(&self, user: UserId, client_id: &ClientId) -> Option<Sent> {
        mutate!(TailKeepsNumbers, {
            return None;
        });
        self.window.sent(user, client_id)
    }

    /// Something taken from `user` is not settled.
    fn has_work_of(&self, user: UserId) -> bool {
        self.queue.has_work_of(user) || self.looking.has_work_of(user)
    }

    fn become_absent(&mut self, effects: &mut Vec<Effect<S, M>>) {
        self.state = State::Absent;
        let (sends, changes) = self.standings.drain();
        for pending in self.queue.drain().chain(sends).chain(self.looking.drain()) {
            refuse(pending, &Refusal::no_room(), effects);
        }
        for reply in changes {
            effects.push(Effect::AnswerChange(reply, Err(Refusal::no_room())));
        }
        effects.push(Effect::Stop);
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

    fn retry_later(&mut self, random: u64, effects: &mut Vec<Effect<S, M>>) {
        let wait_ms = self.backoff.next_ms(random).max(RETRY_FIRST_MS);
        effects.push(Effect::RetryAfter(Duration::from_millis(wait_ms)));
    }
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

/// Why something is refused for which the store had to be asked.
fn unanswered(error: &StoreError, otherwise: &'static str) -> Refusal {
    match error {
        StoreError::Overloaded => Refusal::overloaded("the store is busy"),
        _ => Refusal::unavailable(otherwise),
    }
}

/// A submit with one who waits for it.
pub fn pending<S>(submit: Submit, reply: S) -> Pending<S> {
    Pending { submit, role: Role::Member, replies: vec![reply], in_doubt: false }
}
