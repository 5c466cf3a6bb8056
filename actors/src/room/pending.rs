//! Sends that are taken and not settled.

use madang_protocol::{ClientId, Message, Millis, RoomId, UserId};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};
use tokio::time::Instant;

/// A send as it reaches its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Who sends.
    pub sender: UserId,
    /// The sender's name for it.
    pub client_id: ClientId,
    /// The text.
    pub body: Arc<str>,
    /// The message it answers.
    pub reply_to: Option<u64>,
    /// Until when an answer is waited for.
    pub deadline: Instant,
}

/// A send and who waits for it: the first, and retries that arrived meanwhile.
pub struct Pending<S> {
    /// The send.
    pub submit: Submit,
    /// Empty once the deadline has passed: then only its outcome matters.
    pub replies: Vec<S>,
}

/// Taken sends in arrival order; the first `in_flight` of them are with the store writer.
pub struct Queue<S> {
    entries: VecDeque<Pending<S>>,
    in_flight: usize,
    names: HashSet<(UserId, ClientId)>,
}

impl<S> Queue<S> {
    /// Nothing pending.
    pub fn new() -> Self {
        Self { entries: VecDeque::new(), in_flight: 0, names: HashSet::new() }
    }

    /// Sends pending.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// No send pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A batch is with the store writer.
    pub fn is_writing(&self) -> bool {
        self.in_flight > 0
    }

    /// Takes a send; one that is pending already gets one more who waits.
    pub fn push(&mut self, pending: Pending<S>) {
        let name = (pending.submit.sender, pending.submit.client_id.clone());
        if self.names.insert(name) {
            self.entries.push_back(pending);
            return;
        }
        let same = self.entries.iter_mut().find(|entry| {
            entry.submit.sender == pending.submit.sender
                && entry.submit.client_id == pending.submit.client_id
        });
        same.expect("every name has its entry").replies.extend(pending.replies);
    }

    /// Numbers the first sends from `head + 1` and marks them as with the store writer.
    pub fn begin_batch(
        &mut self,
        room: RoomId,
        head: u64,
        ts: Millis,
        messages_max: usize,
        bytes_max: usize,
    ) -> Vec<Arc<Message>> {
        debug_assert_eq!(self.in_flight, 0, "one batch at a time");
        let mut batch = Vec::new();
        let mut bytes = 0;
        for entry in self.entries.iter().take(messages_max) {
            let message = entry.submit.to_message(room, head + 1 + batch.len() as u64, ts);
            bytes += message.weight_bytes();
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.push(Arc::new(message));
        }
        self.in_flight = batch.len();
        batch
    }

    /// Removes the first send of the batch under way.
    pub fn settle_first(&mut self) -> Option<Pending<S>> {
        self.in_flight = self.in_flight.checked_sub(1)?;
        let entry = self.entries.pop_front()?;
        self.names.remove(&(entry.submit.sender, entry.submit.client_id.clone()));
        Some(entry)
    }

    /// The batch under way, in order.
    pub fn batch(&self) -> impl Iterator<Item = &Pending<S>> {
        self.entries.iter().take(self.in_flight)
    }

    /// The batch is not under way any more; its sends keep their places, without numbers.
    /// `settled[i]` says that the i-th was found in the log: it is given to `found`.
    pub fn end_batch(&mut self, settled: &[bool], mut found: impl FnMut(usize, Pending<S>)) {
        let batch = std::mem::take(&mut self.in_flight);
        let rest = self.entries.split_off(batch);
        for (index, entry) in
            std::mem::replace(&mut self.entries, rest).into_iter().enumerate().rev()
        {
            if settled.get(index).copied().unwrap_or(false) {
                self.names.remove(&(entry.submit.sender, entry.submit.client_id.clone()));
                found(index, entry);
            } else {
                self.entries.push_front(entry);
            }
        }
    }

    /// Takes out everything that is not with the store writer and whose wait is over; of what is,
    /// takes the replies.
    pub fn expire(&mut self, now: Instant, mut late: impl FnMut(S)) {
        let in_flight = self.in_flight;
        let names = &mut self.names;
        let mut index = 0;
        self.entries.retain_mut(|entry| {
            let is_out = index < in_flight;
            index += 1;
            if entry.submit.deadline > now {
                return true;
            }
            entry.replies.drain(..).for_each(&mut late);
            if !is_out {
                names.remove(&(entry.submit.sender, entry.submit.client_id.clone()));
            }
            is_out
        });
    }

    /// Some send of `user` is pending.
    pub fn has_sends_of(&self, user: UserId) -> bool {
        self.entries.iter().any(|entry| entry.submit.sender == user)
    }

    /// Empties it.
    pub fn drain(&mut self) -> impl Iterator<Item = Pending<S>> {
        self.in_flight = 0;
        self.names.clear();
        std::mem::take(&mut self.entries).into_iter()
    }
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl Submit {
    fn to_message(&self, room: RoomId, seq: u64, ts: Millis) -> Message {
        Message {
            room,
            seq,
            ts,
            sender: self.sender,
            client_id: self.client_id.clone(),
            body: self.body.clone(),
            reply_to: self.reply_to,
            amended: None,
        }
    }
}
