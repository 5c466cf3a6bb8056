//! What becomes of forwarded entries: pure, time passed in, effects out.

use super::{IN_WORK_MAX, LANES_MAX, Outcome, REMEMBERED_FOR};
use madang_protocol::RoomId;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// What is to be done. `I` is an entry, `A` answers a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect<I, A> {
    /// Hand these to their room, together and in order; `settled` tells of each.
    HandOver {
        /// The room.
        room: RoomId,
        /// The lane.
        lane: u64,
        /// Numbered.
        entries: Vec<(u64, I)>,
    },
    /// Answer a request: what became of each of its entries.
    Answer(A, Vec<(u64, Outcome)>),
}

/// A request of a lane.
pub struct Request<I, A> {
    /// The room.
    pub room: RoomId,
    /// The life of the lane.
    pub lane: u64,
    /// Grows with each request of the lane.
    pub attempt: u64,
    /// Numbered, in order: all that is not settled for the lane, from the first on.
    pub entries: Vec<(u64, I)>,
    /// Answers it.
    pub answer: A,
}

/// What is known of lanes.
pub struct Logic<I, A> {
    /// At most `LANES_MAX`.
    lanes: BTreeMap<u64, Lane<I, A>>,
    /// Entries that are with rooms; at most `IN_WORK_MAX`.
    in_work: usize,
}

struct Lane<I, A> {
    room: RoomId,
    attempt: u64,
    /// Of the latest request, in order.
    wanted: Vec<u64>,
    answer: Option<A>,
    entries: BTreeMap<u64, State>,
    /// New ones, behind those that are with the room.
    held: Vec<(u64, I)>,
    last_asked: Instant,
}

enum State {
    InWork,
    Settled(Outcome),
}

impl<I, A> Logic<I, A> {
    /// Nothing known.
    pub fn new() -> Self {
        Self { lanes: BTreeMap::new(), in_work: 0 }
    }

    /// A request came. One that is older than another of its lane is dropped, its lane waits for
    /// the other's answer. `is_home`: the room is at home here, and the node is sure of it.
    pub fn asked(
        &mut self,
        request: Request<I, A>,
        is_home: bool,
        now: Instant,
        effects: &mut Vec<Effect<I, A>>,
    ) {
        let Request { room, lane: life, attempt, entries, answer } = request;
        let is_known = self.lanes.contains_key(&life);
        if !is_known && (!is_home || self.lanes.len() >= LANES_MAX) {
            let moved = entries.into_iter().map(|(n, _)| (n, Outcome::Moved)).collect();
            return effects.push(Effect::Answer(answer, moved));
        }
        let lane = self.lanes.entry(life).or_insert_with(|| Lane::new(room, now));
        if attempt <= lane.attempt {
            return;
        }
        (lane.attempt, lane.answer, lane.last_asked) = (attempt, Some(answer), now);
        lane.take(entries);
        self.go_on(life, is_home, effects);
    }

    /// An entry that was handed over is settled, or was given back.
    pub fn settled(
        &mut self,
        life: u64,
        n: u64,
        outcome: Outcome,
        is_home: bool,
        effects: &mut Vec<Effect<I, A>>,
    ) {
        let Some(lane) = self.lanes.get_mut(&life) else {
            return;
        };
        if let Some(state) = lane.entries.get_mut(&n)
            && matches!(state, State::InWork)
        {
            *state = State::Settled(outcome);
            self.in_work -= 1;
        }
        self.go_on(life, is_home, effects);
    }

    /// Now and then: lanes that ask nothing any more are forgotten.
    pub fn tick(&mut self, now: Instant) {
        self.lanes.retain(|_, lane| {
            lane.has_work() || now.duration_since(lane.last_asked) < REMEMBERED_FOR
        });
    }

    fn go_on(&mut self, life: u64, is_home: bool, effects: &mut Vec<Effect<I, A>>) {
        let Some(lane) = self.lanes.get_mut(&life) else {
            return;
        };
        if lane.has_work() {
            return;
        }
        let held = std::mem::take(&mut lane.held);
        if lane.was_refused() {
            lane.wanted.retain(|n| lane.entries.contains_key(n));
            return effects.extend(lane.answer());
        }
        let is_room = self.in_work + held.len() <= IN_WORK_MAX;
        if held.is_empty() || !is_home || !is_room || lane.was_given_back() {
            for (n, _) in held {
                lane.entries.insert(n, State::Settled(Outcome::Moved));
            }
            return effects.extend(lane.answer());
        }
        self.in_work += held.len();
        lane.entries.extend(held.iter().map(|(n, _)| (*n, State::InWork)));
        effects.push(Effect::HandOver { room: lane.room, lane: life, entries: held });
    }
}

impl<I, A> Lane<I, A> {
    fn new(room: RoomId, now: Instant) -> Self {
        Self {
            room,
            attempt: 0,
            wanted: Vec::new(),
            answer: None,
            entries: BTreeMap::new(),
            held: Vec::new(),
            last_asked: now,
        }
    }

    /// What the lane does not ask for any more is settled for it; what it asks for and is neither
    /// with the room nor settled is new.
    fn take(&mut self, entries: Vec<(u64, I)>) {
        let first = entries.first().map_or(u64::MAX, |(n, _)| *n);
        self.wanted = entries.iter().map(|(n, _)| *n).collect();
        self.entries.retain(|n, state| *n >= first || matches!(state, State::InWork));
        self.held = entries.into_iter().filter(|(n, _)| !self.entries.contains_key(n)).collect();
    }

    fn has_work(&self) -> bool {
        self.entries.values().any(|state| matches!(state, State::InWork))
    }

    /// One that is wanted was given back by the room: what comes behind it goes back as well.
    fn was_given_back(&self) -> bool {
        let is_moved = |n| matches!(self.entries.get(n), Some(State::Settled(Outcome::Moved)));
        self.wanted.iter().any(is_moved)
    }

    /// One that is wanted was refused. Should the word of that be lost, the lane gives it to the next
    /// home, which may take it: so nothing behind it is taken before the lane has heard. What is held is
    /// left out of the answer, and comes again at once.
    fn was_refused(&self) -> bool {
        let is_refused = |n| match self.entries.get(n) {
            Some(State::Settled(Outcome::Done(answer))) => answer.is_err(),
            _ => false,
        };
        self.wanted.iter().any(is_refused)
    }

    /// The answer to the latest request, if it waits for one. What is given back is forgotten, so
    /// that it is new when it comes again.
    fn answer<E>(&mut self) -> Option<Effect<E, A>> {
        let answer = self.answer.take()?;
        let outcome = |n: &u64| match self.entries.get(n) {
            Some(State::Settled(outcome)) => (*n, outcome.clone()),
            Some(State::InWork) | None => (*n, Outcome::Moved),
        };
        let outcomes = self.wanted.iter().map(outcome).collect();
        self.entries.retain(|_, state| !matches!(state, State::Settled(Outcome::Moved)));
        Some(Effect::Answer(answer, outcomes))
    }
}

impl<I, A> Default for Logic<I, A> {
    fn default() -> Self {
        Self::new()
    }
}
