//! The messages that changes are about.

use super::{Effect, Logic, Queue, refuse, unanswered};
use crate::room::{looking::Looking, pending::Pending};
use madang_protocol::{ErrorCode, Place, Refusal, UserId};
use madang_store::{StoreError, log::Target};
use std::collections::{BTreeSet, HashSet};
use tokio::time::Instant;

/// Told to those whose message nobody could read in time.
const UNREAD: &str = "the message cannot be read now";

impl<S, M> Logic<S, M> {
    /// A message was read; `life` is that of the question. One that could not be is asked for again, and
    /// what waits for it goes on waiting, each until its deadline; a store that has no place for the
    /// question, or lost the answer for good, refuses it.
    pub fn looked(
        &mut self,
        (seq, user, life): (u64, UserId, u64),
        read: Result<Option<Target>, StoreError>,
        random: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        if life != self.board.life() {
            // Read before something was found out that was in doubt.
            return effects.push(Effect::Look { seq, user, life: self.board.life() });
        }
        let refusal = match read {
            Ok(Some(target)) => return self.found((seq, user), target, effects),
            Ok(None) => Refusal::new(ErrorCode::NotFound, "no such message"),
            Err(error @ (StoreError::Overloaded | StoreError::Damaged { .. })) => {
                unanswered(&error, UNREAD)
            }
            Err(StoreError::Unavailable(_) | StoreError::Unknown(_)) => {
                if self.looking.failed((seq, user)) {
                    self.ask_again_later(random, effects);
                }
                return;
            }
        };
        self.looking
            .take((seq, user))
            .into_iter()
            .for_each(|pending| refuse(pending, &refusal, effects));
    }

    fn found(&mut self, sought: (u64, UserId), target: Target, effects: &mut Vec<Effect<S, M>>) {
        let (seq, user) = sought;
        self.asking.reset();
        self.heard_of(Place { seq, rev: target.message.rev() }, effects);
        let waiting = self.looking.take(sought);
        self.board.forget_if_many(|| pinned(&self.queue, &self.looking, &self.uncounted));
        self.board.learn(seq, user, target);
        self.queue.put_back(waiting);
    }

    /// Waits until the message that a change is about was read.
    pub(super) fn look_up(&mut self, pending: Pending<S>, effects: &mut Vec<Effect<S, M>>) {
        let Some(seq) = pending.submit.work.target() else {
            return self.queue.push(pending);
        };
        let user = pending.submit.sender;
        if self.looking.wait((seq, user), pending) {
            effects.push(Effect::Look { seq, user, life: self.board.life() });
        }
    }

    /// Asks for what could not be read.
    pub(super) fn look_again(&mut self, effects: &mut Vec<Effect<S, M>>) {
        let life = self.board.life();
        let again = self.looking.ask_again().into_iter();
        effects.extend(again.map(|(seq, user)| Effect::Look { seq, user, life }));
    }

    /// Answers those whose wait is over before their message was read.
    pub(super) fn expire_looking(&mut self, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        let refusal = Refusal::unavailable(UNREAD);
        for pending in self.looking.expire(now) {
            refuse(pending, &refusal, effects);
        }
    }
}

/// The messages that something pending is about.
fn pinned<S>(queue: &Queue<S>, looking: &Looking<S>, uncounted: &BTreeSet<u64>) -> HashSet<u64> {
    queue.targets().chain(looking.seqs()).chain(uncounted.iter().copied()).collect()
}
