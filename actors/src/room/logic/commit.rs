//! Batches: numbered from the committed head, one out at a time; what is in doubt is read back.

use super::{Effect, Logic, ReadBack, State, answer, refuse, unanswered};
use crate::{
    room::{
        BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, COUNT_EVERY, RECHECK_AFTER,
        board::Draft,
        pending::{Batch, Decision, Pending, Work, name},
    },
    route::{Receipt, posting_refused},
};
use madang_protocol::{
    ChangeKind, ClientId, Entry, Event, Heads, Message, Millis, Place, Refusal, Role, RoomKind,
    UserId,
};
use madang_store::{
    StoreError,
    log::{Activation, Appended, Mark, Sent, Stopped},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::time::Instant;

impl<S, M> Logic<S, M> {
    /// Hands the next batch over if the last one's outcome is known. Called at the end of a turn,
    /// so that what came together goes together. `ts` is the wall clock, `now` is monotonic.
    pub fn begin_batch(&mut self, ts: Millis, now: Instant, effects: &mut Vec<Effect<S, M>>) {
        if self.is_leaving() {
            return self.leave_if_settled(effects);
        }
        self.read_if_behind(effects);
        let is_idle = self.queue.is_empty() && self.uncounted.is_empty();
        if self.state != State::Active || self.is_writing || is_idle {
            return;
        }
        let ts = ts.max(self.last_ts);
        let (room, kind, heads) = (self.room, self.kind, self.heads);
        let mut draft = Draft::new(&self.board, room, ts, heads.last_rev);
        let mut seq = heads.last_seq;
        let Batch { mut entries, settled, looked_up } =
            self.queue.begin_batch(BATCH_ENTRIES_MAX, BATCH_BYTES_MAX, |pending| {
                if let Some(refusal) = refused_send(pending, kind, heads) {
                    return Decision::Settle(Err(refusal));
                }
                match pending.submit.to_message(room, seq + 1, ts) {
                    Some(message) => {
                        seq += 1;
                        Decision::Write(Entry::Message(Arc::new(message)))
                    }
                    // What came after a change that waits for its message waits behind it.
                    None if self.looking.is_for(&pending.submit) => Decision::Look,
                    None => draft.decide(&pending.submit, pending.role),
                }
            });
        let is_due = |seq: &u64| self.counted.get(seq).is_none_or(|due| *due <= now);
        entries
            .extend(self.uncounted.iter().copied().filter(is_due).filter_map(|s| draft.count(s)));
        for (pending, outcome) in settled {
            // A reaction that is found set may be so by its earlier try, which nobody told of.
            if let (true, Work::React(react)) = (pending.in_doubt, &pending.submit.work) {
                self.uncounted.insert(react.target.seq);
            }
            match outcome {
                Ok(receipt) => answer(pending, receipt, effects),
                Err(refusal) => refuse(pending, &refusal, effects),
            }
        }
        looked_up.into_iter().for_each(|pending| self.look_up(pending, effects));
        if !entries.is_empty() {
            self.is_writing = true;
            mutate!(AckBeforeCommit, { self.answer_early(&entries, effects) });
            mutate!(PublishBeforeCommit, { self.publish_early(&entries, effects) });
            effects.push(Effect::Append(entries));
        }
        self.settle_changes(effects);
    }

    /// The store writer answered; `batch` is what it was given.
    pub fn appended(
        &mut self,
        batch: &[Entry],
        outcome: Appended,
        now: Instant,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        mutate!(NoFence, {
            if outcome.stopped == Some(Stopped::Taken) {
                let all = Appended { committed: batch.len(), stopped: None };
                return self.appended(batch, all, now, effects);
            }
        });
        self.is_writing = false;
        self.note_commit(outcome.committed);
        let before = self.heads;
        let mut events = Vec::with_capacity(outcome.committed);
        for entry in &batch[..outcome.committed] {
            // Counts of reactions stand at the end, and nobody waits for them.
            if let Some(pending) = self.queue.settle_first() {
                answer(pending, Receipt::of(entry), effects);
            }
            self.advance(entry, now, &mut events);
        }
        self.publish(before, events, effects);
        mutate!(BurntSeq, {
            if matches!(outcome.stopped, Some(Stopped::Unknown(_))) {
                return self.burn(&batch[outcome.committed..], effects);
            }
        });
        mutate!(TailKeepsNumbers, {
            let is_duplicate = outcome.stopped == Some(Stopped::Duplicate);
            self.keep_numbers(is_duplicate, &batch[outcome.committed..]);
        });
        match outcome.stopped {
            None => {}
            Some(Stopped::Refused(error)) => self.refuse_batch(&error, effects),
            // Whatever the doubt, one answer: read back what is true.
            Some(stopped @ (Stopped::Duplicate | Stopped::Taken | Stopped::Unknown(_))) => {
                if stopped == Stopped::Taken {
                    self.doubt_members(); // somebody else wrote, who knows what else
                }
                self.recheck_at = Some(now + RECHECK_AFTER);
                self.state = State::Resyncing;
                effects.push(self.read_back());
            }
        }
        self.settle_changes(effects);
    }

    /// The store was looked at once more after a doubt.
    pub fn rechecked(
        &mut self,
        read: Result<Option<Activation>, StoreError>,
        now: Instant,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        match read {
            Ok(Some(found)) => {
                if found.uncounted.iter().any(|seq| !self.uncounted.contains(seq)) {
                    // Written without our knowledge: what was read of the message is too old, and so
                    // is a count that is being written.
                    self.board.clear();
                    self.recheck_at = Some(now + RECHECK_AFTER);
                }
                self.uncounted.extend(found.uncounted);
                if self.is_shared() {
                    self.noticed(found.heads.member_rev, effects);
                }
                self.heard_of(found.heads.place(), effects);
            }
            Ok(None) => {}
            Err(_) => self.recheck_at = Some(now + RECHECK_AFTER),
        }
    }

    /// What is true was read.
    pub fn read_back_done(
        &mut self,
        read: Result<ReadBack, StoreError>,
        random: u64,
        effects: &mut Vec<Effect<S, M>>,
    ) {
        let Ok(ReadBack { found, newer, marks, changed }) = read else {
            return self.retry_later(random, effects);
        };
        let before = self.heads;
        let mut events = Vec::with_capacity(newer.messages.len() + changed.messages.len());
        newer.messages.iter().for_each(|message| self.advance_message(message, &mut events));
        self.take_changes(&changed.messages, changed.reached_rev, &mut events);
        self.publish(before, events, effects);
        let head = self.heads.last_seq;
        let is_more = head < newer.last_seq || self.heads.last_rev < changed.heads.last_rev;
        let found_later = found.iter().flatten().any(|sent| sent.seq > head);
        self.doubt.marks.extend(marks);
        if is_more || found_later {
            effects.push(self.read_back()); // more than one page, or committed meanwhile
            return;
        }
        let known = std::mem::take(&mut self.doubt.known).unwrap_or(before);
        self.heard = self.heads.place();
        let settled = self.settle_found(&found, known, effects);
        let is_news = known.is_behind(&self.heads) || settled;
        // What the messages are is in doubt as well: it is read again.
        self.board.clear();
        self.state = State::Active;
        if is_news {
            self.backoff.reset();
        } else {
            self.state = State::Resyncing;
            self.retry_later(random, effects);
        }
        self.settle_changes(effects);
    }

    /// The room was seen to be as far as there. What was committed without our knowledge, late or
    /// by an earlier life of ours, is read.
    pub fn heard_of(&mut self, place: Place, effects: &mut Vec<Effect<S, M>>) {
        let Place { seq, rev } = self.heard;
        self.heard = Place { seq: seq.max(place.seq), rev: rev.max(place.rev) };
        self.read_if_behind(effects);
    }

    /// While a batch is with the store writer its answer may tell.
    fn read_if_behind(&mut self, effects: &mut Vec<Effect<S, M>>) {
        let Place { seq, rev } = self.heads.place();
        let is_behind = self.heard.seq > seq || self.heard.rev > rev;
        if is_behind && self.state == State::Active && !self.is_writing {
            self.state = State::Resyncing;
            effects.push(self.read_back());
        }
    }

    /// Asks what is true about the batch under way.
    pub(super) fn read_back(&mut self) -> Effect<S, M> {
        self.doubt.known.get_or_insert(self.heads);
        let sent = self.queue.batch().filter_map(|pending| name(&pending.submit)).collect();
        Effect::ReadBack { sent, after: self.heads }
    }

    fn refuse_batch(&mut self, error: &StoreError, effects: &mut Vec<Effect<S, M>>) {
        let refusal = unanswered(error, "the store takes no messages now");
        let mut senders = BTreeSet::new();
        while let Some(pending) = self.queue.settle_first() {
            senders.insert(pending.submit.sender);
            refuse(pending, &refusal, effects);
        }
        // And what stands behind it: a sender who does not hear of the refusal, because this node ends,
        // sends all of it again to the next home, in its order.
        for pending in self.queue.take_sends_of(|sender| senders.contains(sender)) {
            refuse(pending, &refusal, effects);
        }
    }

    /// Answers what was found of the batch and puts the rest back, in its order. A reaction is
    /// never found, it is the same twice. True: something was.
    fn settle_found(
        &mut self,
        found: &[Option<Sent>],
        known: Heads,
        effects: &mut Vec<Effect<S, M>>,
    ) -> bool {
        let room = self.room;
        let sends = self.queue.batch().filter_map(|pending| name(&pending.submit));
        let sends: HashMap<(UserId, ClientId), Sent> =
            sends.zip(found).filter_map(|(name, sent)| Some((name, (*sent)?))).collect();
        mutate!(ReadBackBySeq, {
            return self.settle_by_seq(known, effects);
        });
        let mut marks = std::mem::take(&mut self.doubt.marks);
        let settled = self.queue.end_batch(|submit| {
            if let Some(name) = name(submit) {
                // Above the head we knew it was this very attempt that put it there.
                let Sent { seq, ts } = *sends.get(&name)?;
                return Some(Receipt { room, seq, ts, rev: 0, duplicate: seq <= known.last_seq });
            }
            let kind = match submit.work {
                Work::Edit(_) => ChangeKind::Edit,
                Work::Delete(_) => ChangeKind::Delete,
                Work::Send { .. } | Work::React(_) => return None,
            };
            let seq = submit.work.target()?;
            let is_it =
                |mark: &Mark| (mark.kind, mark.seq, mark.by) == (kind, seq, Some(submit.sender));
            let Mark { rev, ts, .. } = marks.remove(marks.iter().position(is_it)?);
            Some(Receipt { room, seq, ts, rev, duplicate: false })
        });
        let is_some = !settled.is_empty();
        for (pending, receipt) in settled {
            answer(pending, receipt, effects);
        }
        is_some
    }

    fn advance(&mut self, entry: &Entry, now: Instant, events: &mut Vec<Event>) {
        self.board.committed(entry);
        match entry {
            Entry::Message(message) => self.advance_message(message, events),
            Entry::Change(change) => {
                let message = &change.message;
                self.last_ts = self.last_ts.max(change.ts);
                self.uncounted.remove(&message.seq);
                if change.kind == ChangeKind::Reactions {
                    self.counted.insert(message.seq, now + COUNT_EVERY);
                }
                self.take_changes(std::slice::from_ref(message), change.rev(), events);
            }
            Entry::Reaction(reaction) => {
                self.uncounted.insert(reaction.seq);
                if let Some(message) = self.board.message(reaction.seq) {
                    self.window.replace(message);
                }
            }
        }
    }

    fn advance_message(&mut self, message: &Arc<Message>, events: &mut Vec<Event>) {
        debug_assert_eq!(message.seq, self.heads.last_seq + 1, "no hole");
        self.heads.last_seq = message.seq;
        self.last_ts = self.last_ts.max(message.ts);
        self.window.push(message.clone());
        events.push(Event::Message(message.clone()));
    }

    /// Messages changed, up to `rev`.
    fn take_changes(&mut self, messages: &[Arc<Message>], rev: u64, events: &mut Vec<Event>) {
        for message in messages {
            self.window.changed(message);
            events.push(Event::Changed(message.clone()));
        }
        self.heads.last_rev = self.heads.last_rev.max(rev);
    }
}

/// Why a send cannot be taken, which only the room's heads and kind can tell.
fn refused_send<S>(pending: &Pending<S>, kind: RoomKind, heads: Heads) -> Option<Refusal> {
    let Work::Send { reply_to, .. } = &pending.submit.work else {
        return None;
    };
    if kind == RoomKind::Channel && pending.role < Role::Admin {
        return Some(posting_refused());
    }
    let is_there = reply_to.is_none_or(|seq| (1..=heads.last_seq).contains(&seq));
    (!is_there).then(|| Refusal::invalid("reply_to", "no such message"))
}
