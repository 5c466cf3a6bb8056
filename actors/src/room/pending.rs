//! What was asked of a room and is not settled.

use crate::route::Receipt;
use madang_protocol::{
    ClientId, Entry, Message, Millis, Refusal, Role, RoomId, UserId,
    operation::{self, Edit, React, Target},
};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};
use tokio::time::Instant;

/// Something to be committed, as it reaches its room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Who asks.
    pub sender: UserId,
    /// What for.
    pub work: Work,
    /// Until when an answer is waited for.
    pub deadline: Instant,
    /// Tells what follows from it apart, in the logs of all nodes.
    pub trace: u64,
}

/// What is to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// A message.
    Send {
        /// The sender's name for it.
        client_id: ClientId,
        /// The text.
        body: Arc<str>,
        /// The message it answers.
        reply_to: Option<u64>,
    },
    /// Another text for a message.
    Edit(Edit),
    /// No text for it any more.
    Delete(Target),
    /// A reaction to it, or its end.
    React(React),
}

impl Work {
    /// A message for a room.
    pub fn send(send: operation::Send) -> (RoomId, Self) {
        let operation::Send { room, client_id, body, reply_to } = send;
        (room, Self::Send { client_id, body, reply_to })
    }

    /// The message it is about, unless it makes one.
    pub fn target(&self) -> Option<u64> {
        match self {
            Self::Send { .. } => None,
            Self::Edit(Edit { target, .. }) | Self::Delete(target) => Some(target.seq),
            Self::React(React { target, .. }) => Some(target.seq),
        }
    }
}

/// A submit and who waits for it: the first, and retries that arrived meanwhile.
pub struct Pending<S> {
    /// What is asked for.
    pub submit: Submit,
    /// What its sender was when it was taken.
    pub role: Role,
    /// Empty once the deadline has passed: then only its outcome matters.
    pub replies: Vec<S>,
    /// An earlier try may have been written without our knowledge.
    pub in_doubt: bool,
}

/// What becomes of a submit whose turn has come.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is written.
    Write(Entry),
    /// It is answered without being written.
    Settle(Result<Receipt, Refusal>),
    /// Its message has to be looked at first.
    Look,
    /// What it asks for depends on what stands before it in the batch: the batch ends here.
    Later,
}

/// A batch that was begun.
pub struct Batch<S> {
    /// To be written, in order.
    pub entries: Vec<Entry>,
    /// Answered without being written.
    pub settled: Vec<(Pending<S>, Result<Receipt, Refusal>)>,
    /// To be taken again once their messages were looked at.
    pub looked_up: Vec<Pending<S>>,
}

/// Taken submits in arrival order; the first `in_flight` of them are with the store writer.
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

    /// Submits pending.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Nothing pending.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes a submit; a send that is pending already gets one more who waits.
    pub fn push(&mut self, pending: Pending<S>) {
        let Some(name) = name(&pending.submit) else {
            return self.entries.push_back(pending);
        };
        if self.names.insert(name.clone()) {
            return self.entries.push_back(pending);
        }
        let same =
            self.entries.iter_mut().find(|entry| self::name(&entry.submit).as_ref() == Some(&name));
        same.expect("every name has its entry").replies.extend(pending.replies);
    }

    /// Takes back what was taken out by `Decision::Look`, in its order: it is before everything that is not
    /// with the store writer, for what came after it about the same message may stand there.
    pub fn put_back(&mut self, changes: Vec<Pending<S>>) {
        for (place, change) in (self.in_flight..).zip(changes) {
            debug_assert_eq!(name(&change.submit), None, "no send is looked up");
            self.entries.insert(place, change);
        }
    }

    /// Works through the queue from the front until the batch is full or has to end. What is to
    /// be written is with the store writer from now on.
    pub fn begin_batch(
        &mut self,
        entries_max: usize,
        bytes_max: usize,
        mut decide: impl FnMut(&Pending<S>) -> Decision,
    ) -> Batch<S> {
        debug_assert_eq!(self.in_flight, 0, "one batch at a time");
        let mut batch = Batch { entries: Vec::new(), settled: Vec::new(), looked_up: Vec::new() };
        let mut bytes = 0;
        while batch.entries.len() < entries_max.min(self.entries.len()) && bytes < bytes_max {
            let place = batch.entries.len();
            match decide(&self.entries[place]) {
                Decision::Write(entry) => {
                    bytes += entry.weight_bytes();
                    batch.entries.push(entry);
                }
                Decision::Settle(answer) => {
                    batch.settled.extend(self.take(place).zip(Some(answer)))
                }
                Decision::Look => batch.looked_up.extend(self.take(place)),
                Decision::Later => break,
            }
        }
        self.in_flight = batch.entries.len();
        batch
    }

    /// Removes the first of the batch under way.
    pub fn settle_first(&mut self) -> Option<Pending<S>> {
        self.in_flight = self.in_flight.checked_sub(1)?;
        self.take(0)
    }

    /// The batch under way, in order.
    pub fn batch(&self) -> impl Iterator<Item = &Pending<S>> {
        self.entries.iter().take(self.in_flight)
    }

    #[cfg(feature = "mutations")]
    pub(super) fn batch_mut(&mut self) -> impl Iterator<Item = &mut Pending<S>> {
        self.entries.iter_mut().take(self.in_flight)
    }

    /// The batch is not under way any more; what is left of it keeps its place, without numbers.
    /// Those that `found` has a receipt for are taken out and given back with it.
    pub fn end_batch(
        &mut self,
        mut found: impl FnMut(&Submit) -> Option<Receipt>,
    ) -> Vec<(Pending<S>, Receipt)> {
        let mut settled = Vec::new();
        let mut place = 0;
        for _ in 0..std::mem::take(&mut self.in_flight) {
            match found(&self.entries[place].submit) {
                Some(receipt) => settled.extend(self.take(place).zip(Some(receipt))),
                None => {
                    self.entries[place].in_doubt = true;
                    place += 1;
                }
            }
        }
        mutate!(LateRetryOvertakes, { self.entries.rotate_left(place) });
        settled
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
            if !is_out && let Some(name) = name(&entry.submit) {
                names.remove(&name);
            }
            is_out
        });
    }

    /// Takes out the sends of those that are meant, while no batch is under way.
    pub fn take_sends_of(&mut self, is_meant: impl Fn(&UserId) -> bool) -> VecDeque<Pending<S>> {
        debug_assert_eq!(self.in_flight, 0, "a batch stays whole");
        let is_out =
            |entry: &Pending<S>| is_meant(&entry.submit.sender) && name(&entry.submit).is_some();
        let (taken, rest) = std::mem::take(&mut self.entries).into_iter().partition(is_out);
        self.entries = rest;
        let taken: VecDeque<Pending<S>> = taken;
        for name in taken.iter().filter_map(|entry| name(&entry.submit)) {
            self.names.remove(&name);
        }
        taken
    }

    /// Something of `user` is pending.
    pub fn has_work_of(&self, user: UserId) -> bool {
        self.entries.iter().any(|entry| entry.submit.sender == user)
    }

    /// The messages that something pending is about.
    pub fn targets(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter_map(|entry| entry.submit.work.target())
    }

    /// Empties it.
    pub fn drain(&mut self) -> impl Iterator<Item = Pending<S>> {
        self.in_flight = 0;
        self.names.clear();
        std::mem::take(&mut self.entries).into_iter()
    }

    fn take(&mut self, place: usize) -> Option<Pending<S>> {
        let entry = self.entries.remove(place)?;
        if let Some(name) = name(&entry.submit) {
            self.names.remove(&name);
        }
        Some(entry)
    }
}

impl<S> Default for Queue<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl Submit {
    /// The message that a send makes, in its place.
    pub fn to_message(&self, room: RoomId, seq: u64, ts: Millis) -> Option<Message> {
        let Work::Send { client_id, body, reply_to } = &self.work else {
            return None;
        };
        Some(Message {
            room,
            seq,
            ts,
            sender: self.sender,
            client_id: client_id.clone(),
            body: body.clone(),
            reply_to: *reply_to,
            amended: None,
        })
    }
}

/// What tells a send from others, for retries.
pub fn name(submit: &Submit) -> Option<(UserId, ClientId)> {
    match &submit.work {
        Work::Send { client_id, .. } => Some((submit.sender, client_id.clone())),
        Work::Edit(_) | Work::Delete(_) | Work::React(_) => None,
    }
}
