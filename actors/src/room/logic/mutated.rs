//! A room with a fault put back; see `crate::mutations`.

use super::{Effect, Logic, answer, refuse};
use crate::{room::pending::Pending, route::Receipt};
use madang_protocol::{Entry, Event, Heads, Refusal};
use madang_store::log::Sent;

impl<S, M> Logic<S, M> {
    pub(super) fn answer_early(&mut self, batch: &[Entry], effects: &mut Vec<Effect<S, M>>) {
        for (pending, entry) in self.queue.batch_mut().zip(batch) {
            for reply in pending.replies.drain(..) {
                effects.push(Effect::AnswerSend(reply, Ok(Receipt::of(entry))));
            }
        }
    }

    pub(super) fn publish_early(&mut self, batch: &[Entry], effects: &mut Vec<Effect<S, M>>) {
        let (before, mut after) = (self.heads, self.heads);
        let mut events = Vec::new();
        for entry in batch {
            if let Entry::Message(message) = entry {
                after.last_seq = message.seq;
                events.push(Event::Message(message.clone()));
            }
        }
        self.heads = after;
        self.publish(before, events, effects);
        self.heads = before;
    }

    pub(super) fn remember_early(&mut self, pending: &Pending<S>) {
        let seq = self.heads.last_seq + self.queue.len() as u64 + 1;
        if let Some((sender, client_id)) = crate::room::pending::name(&pending.submit) {
            self.window.remember(sender, client_id, Sent { seq, ts: self.last_ts });
        }
    }

    pub(super) fn settle_by_seq(&mut self, known: Heads, effects: &mut Vec<Effect<S, M>>) -> bool {
        let (room, last_seq, ts) = (self.room, self.heads.last_seq, self.last_ts);
        let mut seq = known.last_seq;
        let settled = self.queue.end_batch(|submit| {
            crate::room::pending::name(submit)?;
            seq += 1;
            (seq <= last_seq).then_some(Receipt { room, seq, ts, rev: 0, duplicate: false })
        });
        let is_some = !settled.is_empty();
        for (pending, receipt) in settled {
            answer(pending, receipt, effects);
        }
        is_some
    }

    pub(super) fn keep_numbers(&mut self, is_duplicate: bool, rest: &[Entry]) {
        if let (true, [Entry::Message(_), _, ..]) = (is_duplicate, rest) {
            self.heads.last_seq += 1;
        }
    }

    pub(super) fn burn(&mut self, rest: &[Entry], effects: &mut Vec<Effect<S, M>>) {
        let Heads { last_seq, last_rev, .. } = &mut self.heads;
        for entry in rest {
            match entry {
                Entry::Message(_) => *last_seq += 1,
                Entry::Change(_) => *last_rev += 1,
                Entry::Reaction(_) => {}
            }
        }
        while let Some(pending) = self.queue.settle_first() {
            refuse(pending, &Refusal::unavailable("not committed"), effects);
        }
    }
}
