//! What a lane decides: pure, time passed in, effects out.

use super::{QUEUE_MAX, REQUEST_BYTES_MAX, REQUEST_ENTRIES_MAX, STAYS_FOR};
use crate::{
    homes::Home,
    remote::Outcome,
    room::pending::{Submit, Work},
    route::Receipt,
};
use madang_cluster::Peer;
use madang_protocol::Refusal;
use madang_resilience::Backoff;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// The first and the longest rest after a request that moved nothing.
const RETRY_FIRST_MS: u64 = 10;
const RETRY_MAX_MS: u64 = 500;
/// Weight of a submit beside its text.
const ENTRY_BYTES: usize = 256;

/// What is to be done. `R` answers a submit.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<R> {
    /// Ask this home to commit these, in order; `answered` tells.
    Ask {
        /// The home.
        to: Peer,
        /// Tells this request from others.
        attempt: u64,
        /// Numbered submits.
        entries: Vec<(u64, Submit)>,
    },
    /// Answer a submit.
    Answer(R, Result<Receipt, Refusal>),
    /// Call `woken` after this time.
    WakeAfter(Duration),
    /// The room is at home here: give it everything, and end.
    HandOver,
    /// Nothing is left to do: end unless something waits.
    Stop,
}

/// Why a request had no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoAnswer {
    /// It is not with the home.
    NotAsked,
    /// It may be.
    Late,
}

/// The state of a lane. See the module for its invariants.
pub struct Logic<R> {
    /// Not settled, in order; at most `QUEUE_MAX`, but for those a room gave back.
    queue: VecDeque<Waiting<R>>,
    /// The number of the next.
    next: u64,
    /// The number of the last request.
    attempt: u64,
    /// Who was asked by it, while it has no answer.
    asked: Option<Peer>,
    /// Until `woken`, or until the home is another.
    rests: bool,
    backoff: Backoff,
    last_activity: Instant,
}

struct Waiting<R> {
    n: u64,
    submit: Submit,
    /// None once the deadline has passed.
    reply: Option<R>,
}

impl<R> Logic<R> {
    /// Nothing to send.
    pub fn new(now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            next: 1,
            attempt: 0,
            asked: None,
            rests: false,
            backoff: Backoff::new(RETRY_FIRST_MS, RETRY_MAX_MS),
            last_activity: now,
        }
    }

    /// Submits that are not settled.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Something is to be committed.
    pub fn submit(&mut self, submit: Submit, reply: R, now: Instant, effects: &mut Vec<Effect<R>>) {
        if self.queue.len() >= QUEUE_MAX {
            let refusal = Refusal::overloaded("too much waits for the room's home");
            return effects.push(Effect::Answer(reply, Err(refusal)));
        }
        self.take(submit, reply, now);
    }

    /// Takes what was taken before, by a room that went.
    pub fn take(&mut self, submit: Submit, reply: R, now: Instant) {
        self.last_activity = now;
        self.queue.push_back(Waiting { n: self.next, submit, reply: Some(reply) });
        self.next += 1;
    }

    /// Sends what there is to the home, if nothing is under way. Called at the end of a turn, so
    /// that what came together goes together. A home that was asked and is not there any more will
    /// not answer; one that is answers, or gives back, when it knows.
    pub fn go_on(
        &mut self,
        home: &Home,
        is_there: impl FnOnce(&Peer) -> bool,
        effects: &mut Vec<Effect<R>>,
    ) {
        if self.asked.take_if(|asked| !is_there(asked)).is_some() {
            self.rests = false;
        }
        if self.asked.is_some() {
            return;
        }
        match home {
            Home::Nobody => {}
            Home::Here => effects.push(Effect::HandOver),
            Home::There(_) if self.rests => {}
            Home::There(peer) => self.ask(peer, effects),
        }
    }

    /// The home answered the request of this number, or did not. What an earlier one committed
    /// counts all the same; what it refused may be under way again.
    pub fn answered(
        &mut self,
        attempt: u64,
        answer: Result<Vec<(u64, Outcome)>, NoAnswer>,
        random: u64,
        effects: &mut Vec<Effect<R>>,
    ) {
        let is_latest = attempt == self.attempt && self.asked.is_some();
        let mut is_moved = false;
        let outcomes = answer.unwrap_or_default();
        let is_answered = !outcomes.is_empty();
        for (n, outcome) in outcomes {
            match outcome {
                Outcome::Done(answer) if answer.is_ok() || is_latest => {
                    self.settle(n, answer, effects);
                }
                Outcome::Done(_) | Outcome::Role(_) | Outcome::Moved => is_moved = true,
            }
        }
        if !is_latest {
            return;
        }
        self.asked = None;
        if is_answered && !is_moved {
            self.backoff.reset();
        } else {
            // Also where the answer is late: a bus may say so at once, again and again.
            self.rest(random, effects);
        }
    }

    /// The time of a `WakeAfter` has come.
    pub fn woken(&mut self) {
        self.rests = false;
    }

    /// The view is another: a home that could not be asked is asked again.
    pub fn view_changed(&mut self) {
        self.backoff.reset();
        self.rests = false;
    }

    /// Now and then: late submits are answered, a lane where nothing happens goes. What may be
    /// with the home stays until the next request, which is without it.
    pub fn tick(&mut self, now: Instant, effects: &mut Vec<Effect<R>>) {
        for waiting in &mut self.queue {
            if waiting.submit.deadline <= now
                && let Some(reply) = waiting.reply.take()
            {
                effects.push(Effect::Answer(reply, Err(late())));
            }
        }
        if self.asked.is_none() {
            self.queue.retain(|waiting| waiting.reply.is_some());
        }
        let is_quiet = now.duration_since(self.last_activity) >= STAYS_FOR;
        if self.queue.is_empty() && is_quiet {
            effects.push(Effect::Stop);
        }
    }

    /// Everything that is not settled, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = (Submit, R)> {
        let queue = std::mem::take(&mut self.queue).into_iter();
        queue.filter_map(|waiting| Some((waiting.submit, waiting.reply?)))
    }

    fn ask(&mut self, to: &Peer, effects: &mut Vec<Effect<R>>) {
        self.queue.retain(|waiting| waiting.reply.is_some());
        let mut bytes = 0;
        let mut entries = Vec::new();
        for waiting in self.queue.iter().take(REQUEST_ENTRIES_MAX) {
            bytes += weight_bytes(&waiting.submit);
            if bytes > REQUEST_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push((waiting.n, waiting.submit.clone()));
        }
        if entries.is_empty() {
            return;
        }
        self.attempt += 1;
        self.asked = Some(to.clone());
        effects.push(Effect::Ask { to: to.clone(), attempt: self.attempt, entries });
    }

    fn settle(&mut self, n: u64, answer: Result<Receipt, Refusal>, effects: &mut Vec<Effect<R>>) {
        let Ok(place) = self.queue.binary_search_by_key(&n, |waiting| waiting.n) else {
            return; // by an earlier answer
        };
        let reply = self.queue.remove(place).and_then(|waiting| waiting.reply);
        effects.extend(reply.map(|reply| Effect::Answer(reply, answer)));
    }

    fn rest(&mut self, random: u64, effects: &mut Vec<Effect<R>>) {
        self.rests = true;
        let wait_ms = self.backoff.next_ms(random).max(RETRY_FIRST_MS);
        effects.push(Effect::WakeAfter(Duration::from_millis(wait_ms)));
    }
}

fn late() -> Refusal {
    Refusal::unavailable("the room's home did not answer in time, the outcome is unknown")
}

fn weight_bytes(submit: &Submit) -> usize {
    let text = match &submit.work {
        Work::Send { body, .. } => body.len(),
        Work::Edit(edit) => edit.body.len(),
        Work::Delete(_) | Work::React(_) => 0,
    };
    ENTRY_BYTES + text
}
