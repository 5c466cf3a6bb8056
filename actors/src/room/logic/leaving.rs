//! A room that is at home on another node, now or some of the time.
//!
//! One that is to go takes nothing new: what is with the store is waited for, or found out about,
//! and told; everything else goes back to whoever sent it, in its order. It never comes back to
//! life: should the room be at home here again, another actor begins with what the store has.

use super::{Effect, Left, Logic, State, refuse};
use crate::room::{RECHECKS, STANDINGS_FOR, pending::Pending};
use madang_protocol::Refusal;
use tokio::time::Instant;

/// What a room has to do with homes other than itself, elsewhere or before it.
pub(super) struct Elsewhere<S> {
    /// Others may be, or have been, home to it.
    is_shared: bool,
    /// It is to go.
    is_leaving: bool,
    /// Came since, in order; counted in `QUEUE_MAX`.
    pub(super) late: Vec<Pending<S>>,
    /// Something was committed since.
    committed_late: bool,
    /// Since when it is looked for what a home before this one wrote late, and how often it was.
    rechecked: Option<(Instant, usize)>,
    /// When what is known of members is forgotten.
    forget_at: Option<Instant>,
}

impl<S> Default for Elsewhere<S> {
    fn default() -> Self {
        Self {
            is_shared: false,
            is_leaving: false,
            late: Vec::new(),
            committed_late: false,
            rechecked: None,
            forget_at: None,
        }
    }
}

impl<S, M> Logic<S, M> {
    /// Other nodes may have been home to it, and may think that they still are.
    pub fn share(&mut self) {
        self.elsewhere.is_shared = true;
    }

    /// Other nodes may have been home to it.
    pub(super) fn is_shared(&self) -> bool {
        self.elsewhere.is_shared
    }

    /// Another home may have changed who is a member.
    pub(super) fn doubt_members(&mut self) {
        if self.is_shared() {
            self.standings.forget_all();
        }
    }

    /// It is at home elsewhere: it goes as soon as nothing is under way. For good.
    pub fn leave(&mut self) {
        self.elsewhere.is_leaving = true;
    }

    /// It is to go.
    pub fn is_leaving(&self) -> bool {
        self.elsewhere.is_leaving
    }

    /// More is known to be committed than it has read.
    pub fn is_behind(&self) -> bool {
        self.heads.last_seq < self.heard.seq || self.heads.last_rev < self.heard.rev
    }

    /// Answers those whose wait is over before they were given back.
    pub(super) fn expire_late(&mut self, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        let refusal = Refusal::unavailable("not committed in time, the outcome is unknown");
        for pending in self.elsewhere.late.extract_if(.., |late| late.submit.deadline <= now) {
            refuse(pending, &refusal, effects);
        }
    }

    pub(super) fn note_commit(&mut self, committed: usize) {
        self.elsewhere.committed_late |= committed > 0 && self.elsewhere.is_leaving;
    }

    /// A home before this one, of another node or of a life before on this one, may be writing still:
    /// the room is read again. Also when something was committed here, for a reaction takes no number,
    /// so none of ours fences a late one of theirs. Members are asked for anew now and then where other
    /// nodes may remove them, should the word of that not have come.
    pub(super) fn look_out_for_others(&mut self, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        let elsewhere = &mut self.elsewhere;
        if elsewhere.is_leaving || self.state == State::Activating {
            return;
        }
        if elsewhere.is_shared && *elsewhere.forget_at.get_or_insert(now + STANDINGS_FOR) <= now {
            elsewhere.forget_at = Some(now + STANDINGS_FOR);
            self.standings.forget_all();
        }
        let (since, times) = *elsewhere.rechecked.get_or_insert((now, 0));
        let due = RECHECKS.get(times).map(|after| since + *after);
        if due.is_some_and(|due| due <= now) {
            elsewhere.rechecked = Some((since, times + 1));
            effects.push(Effect::Recheck);
        }
    }

    /// Goes, unless something is with the store.
    pub(super) fn leave_if_settled(&mut self, effects: &mut Vec<Effect<S, M>>) {
        let is_in_doubt = self.doubt.known.is_some();
        if self.is_writing || is_in_doubt || self.standings.is_changing() {
            return;
        }
        if std::mem::take(&mut self.elsewhere.committed_late) {
            effects.push(Effect::TellHome(self.heads));
        }
        let (waiting, changes) = self.standings.drain();
        let late = std::mem::take(&mut self.elsewhere.late);
        let all = self.queue.drain().chain(self.looking.drain()).chain(waiting).chain(late);
        let submits = all.flat_map(|pending| {
            let Pending { submit, replies, .. } = pending;
            replies.into_iter().map(move |reply| (submit.clone(), reply))
        });
        let submits = submits.collect();
        effects.push(Effect::Leave(Left { submits, changes }));
    }
}
