//! Changes of who is in a room, as what, and of its name: each waits for the sends taken from its
//! user to be settled, and the sends behind it wait for it.
//!
//! Changes of different users are under way together, so the store may answer them in another
//! order than it made them. What the readers are told carries numbers (`member_rev`), and is told
//! by them: an answer that comes early is kept in `early` until those before it are here. When
//! nothing is under way any more and one is still missing, it was made but its answer was lost:
//! the readers are shown the hole, and look again whether they are members.

use super::{Change, Effect, Logic, RETRY_FIRST_MS, Standing, State, refuse, unanswered};
use crate::{room::refusal, store_reader};
use madang_protocol::{Event, EventBatch, Heads, MemberChange, Refusal, UserId};
use madang_store::{StoreError, rooms::RoomChanged};
use std::time::Duration;
use tokio::time::Instant;

/// Told to senders of whom nobody could say in time what they are to the room.
const IN_DOUBT: &str = "membership is in doubt";

impl<S, M> Logic<S, M> {
    /// A change is asked for. It is written after the sends taken from the user it concerns are
    /// settled, and their later ones wait for it.
    pub fn change(
        &mut self,
        change: Change,
        reply: M,
        now: Instant,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        self.last_activity = now;
        if self.state == State::Absent {
            return effects.push(Effect::AnswerChange(reply, Err(Refusal::no_room())));
        }
        let user = change.user();
        match self.standings.begin_change(change, reply) {
            Ok(()) => self.write_change_if_settled(user, effects),
            Err(reply) => {
                let refusal = Refusal::overloaded("too many changes of this membership wait");
                effects.push(Effect::AnswerChange(reply, Err(refusal)));
            }
        }
    }

    /// The store answered a change that concerned `user`.
    pub fn changed(
        &mut self,
        user: UserId,
        outcome: Result<RoomChanged, StoreError>,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        let reply = self.standings.end_change(user);
        let in_doubt = matches!(outcome, Err(StoreError::Unknown(_)));
        let answer = match outcome {
            Ok(RoomChanged::Done { events, heads, role }) => {
                self.made(events, heads, effects);
                Ok(role)
            }
            Ok(RoomChanged::Already(role)) => Ok(role),
            Ok(RoomChanged::Refused(why)) => Err(refusal::of(why)),
            Err(error) => Err(store_reader::refusal(&error)),
        };
        effects.extend(reply.map(|reply| Effect::AnswerChange(reply, answer)));
        self.tell_changes(effects);
        if self.standings.must_ask(user, in_doubt) {
            effects.push(Effect::AskStanding(user));
        }
        self.write_change_if_settled(user, effects);
    }

    /// The store was heard to be at this `member_rev`. More than is known, with nothing under way,
    /// was made although its answer was lost.
    pub fn noticed(&mut self, member_rev: u64, effects: &mut Vec<Effect<S, M>>) {
        let is_known = self.heads().is_none_or(|heads| member_rev <= heads.member_rev);
        if !is_known && !self.standings.is_changing() {
            self.early.clear();
            self.doubt_members();
            self.heads.member_rev = member_rev;
            effects.push(self.beacon());
        }
    }

    /// The answer to a change was lost: whether it made its user a member is found out. Those who
    /// receive the room already are not told again.
    pub(super) fn tell_if_joined(
        &self,
        user: UserId,
        standing: Standing,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        if let (Standing::Member(role), Some(heads)) = (standing, self.heads()) {
            effects.push(Effect::AnnounceJoined(user, role, heads));
        }
    }

    /// A user's standing was read. One that may be from before a change is read again.
    pub fn standing(&mut self, user: UserId, standing: Standing, effects: &mut Vec<Effect<S, M>>) {
        self.asking.reset();
        if !self.standings.take_answer(user) {
            if self.standings.must_ask(user, false) {
                effects.push(Effect::AskStanding(user));
            }
            return;
        }
        if self.standings.end_doubt(user) {
            self.tell_if_joined(user, standing, effects);
        }
        for pending in self.standings.learn(user, standing) {
            self.accept(pending, effects);
        }
    }

    /// It could not be read. Sends wait for the next try, until their deadline; a store that has no
    /// place for the question, or lost the answer for good, refuses them.
    pub fn standing_unknown(
        &mut self,
        user: UserId,
        error: &StoreError,
        random: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        self.standings.take_answer(user);
        if matches!(error, StoreError::Overloaded | StoreError::Damaged { .. }) {
            let refusal = unanswered(error, IN_DOUBT);
            for pending in self.standings.give_up(user) {
                refuse(pending, &refusal, effects);
            }
        } else {
            self.ask_again_later(random, effects);
        }
    }

    /// One timer for everything that could not be read.
    pub(super) fn ask_again_later(&mut self, random: u64, effects: &mut Vec<Effect<S, M>>) {
        if !std::mem::replace(&mut self.asks_again, true) {
            let wait_ms = self.asking.next_ms(random).max(RETRY_FIRST_MS);
            effects.push(Effect::AskAgainAfter(Duration::from_millis(wait_ms)));
        }
    }

    /// The time of an `AskAgainAfter` has come.
    pub fn ask_again(&mut self, effects: &mut Vec<Effect<S, M>>) {
        self.asks_again = false;
        for user in self.standings.unasked() {
            if self.standings.must_ask(user, false) {
                effects.push(Effect::AskStanding(user));
            }
        }
        self.look_again(effects);
    }

    /// Answers those whose wait is over before it was known who may send.
    pub(super) fn expire_doubtful(&mut self, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        let refusal = Refusal::unavailable(IN_DOUBT);
        for pending in self.standings.expire(now) {
            refuse(pending, &refusal, effects);
        }
    }

    /// Asks again what gave no answer.
    pub(super) fn settle_doubts(&mut self, effects: &mut Vec<Effect<S, M>>) {
        for user in self.standings.in_doubt() {
            if self.standings.must_ask(user, true) {
                effects.push(Effect::AskStanding(user));
            }
        }
    }

    /// Takes note of what is to be told, and tells those who joined.
    fn made(&mut self, events: Vec<Event>, heads: Heads, effects: &mut Vec<Effect<S, M>>) {
        for event in &events {
            let Event::Member(event) = event else { continue };
            self.standings.forget(event.user); // who gives a room away is concerned as well
            if let (MemberChange::Joined, Some(role)) = (event.change, event.role) {
                effects.push(Effect::AnnounceJoined(event.user, role, heads));
            }
        }
        mutate!(LostMemberChange, {
            if matches!(events[..], [Event::Member(event)] if event.change.ends()) {
                return;
            }
        });
        let before = heads.member_rev.saturating_sub(events.len() as u64);
        if before >= self.heads.member_rev && !events.is_empty() {
            self.early.insert(before, events);
        }
    }

    pub(super) fn settle_changes(&mut self, effects: &mut Vec<Effect<S, M>>) {
        for user in self.standings.changing() {
            self.write_change_if_settled(user, effects);
        }
    }

    fn write_change_if_settled(&mut self, user: UserId, effects: &mut Vec<Effect<S, M>>) {
        // What is told is numbered from the heads, so they have to be known.
        if self.state == State::Activating || self.is_leaving() || self.has_work_of(user) {
            return;
        }
        if let Some(change) = self.standings.start_change(user) {
            effects.push(Effect::Change(change));
        }
    }

    /// Tells what is next by its number.
    fn tell_changes(&mut self, effects: &mut Vec<Effect<S, M>>) {
        while let Some(next) = self.early.first_entry() {
            if *next.key() > self.heads.member_rev {
                if self.standings.is_changing() {
                    return; // the answer that is missing may still come
                }
                self.heads.member_rev = *next.key();
            }
            let events = next.remove();
            let before = self.heads;
            self.heads.member_rev += events.len() as u64;
            let (room, after) = (self.room, self.heads);
            effects.push(Effect::Publish(EventBatch { room, before, after, events }));
        }
    }
}
