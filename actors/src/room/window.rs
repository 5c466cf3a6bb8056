//! The newest messages and changes of a room: for readers that missed some, and for retries.

use super::{WINDOW_BYTES, WINDOW_CHANGES, WINDOW_MESSAGES};
use madang_protocol::{ClientId, Message, UserId};
use madang_store::log::Sent;
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

/// Committed messages only, contiguous, ending at the head. A retry that is not found here may
/// still be in the store.
#[derive(Default)]
pub struct Window {
    /// At most `WINDOW_MESSAGES` and `WINDOW_BYTES`.
    messages: VecDeque<Arc<Message>>,
    bytes: usize,
    sent: HashMap<(UserId, ClientId), Sent>,
    changes: Changes,
}

/// The latest change of each message that changed lately, by rising `rev`.
#[derive(Default)]
struct Changes {
    /// At most `WINDOW_CHANGES`.
    latest: VecDeque<Arc<Message>>,
    /// Every change above this `rev` is here, or a later one of the same message.
    floor: u64,
}

impl Window {
    /// Begins where the room stands: changes up to `last_rev` are not here.
    pub fn begin(&mut self, messages: Vec<Arc<Message>>, last_rev: u64) {
        *self = Self::default();
        self.changes.floor = last_rev;
        messages.into_iter().for_each(|message| self.push(message));
    }

    /// Adds the next committed message.
    pub fn push(&mut self, message: Arc<Message>) {
        // One that comes changed already: somebody may have it as it was before.
        self.changes.floor = self.changes.floor.max(message.rev());
        let key = (message.sender, message.client_id.clone());
        self.sent.insert(key, Sent { seq: message.seq, ts: message.ts });
        self.bytes += message.weight_bytes();
        self.messages.push_back(message);
        while self.messages.len() > WINDOW_MESSAGES || self.bytes > WINDOW_BYTES {
            self.pop();
        }
    }

    /// A message took the next `rev`.
    pub fn changed(&mut self, message: &Arc<Message>) {
        self.replace(message);
        self.changes.latest.retain(|earlier| earlier.seq != message.seq);
        self.changes.latest.push_back(message.clone());
        if self.changes.latest.len() > WINDOW_CHANGES
            && let Some(oldest) = self.changes.latest.pop_front()
        {
            self.changes.floor = oldest.rev();
        }
    }

    /// A message is not as it was, without having taken a `rev`.
    pub fn replace(&mut self, message: &Arc<Message>) {
        let first = self.messages.front().map_or(u64::MAX, |first| first.seq);
        let place = message.seq.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(known) = place.and_then(|place| self.messages.get_mut(place)) {
            self.bytes = self.bytes + message.weight_bytes() - known.weight_bytes();
            *known = message.clone();
        }
    }

    /// Where the sender's message of this name stands, if it is here.
    pub fn sent(&self, sender: UserId, client_id: &ClientId) -> Option<Sent> {
        self.sent.get(&(sender, client_id.clone())).copied()
    }

    #[cfg(feature = "mutations")]
    pub(super) fn remember(&mut self, sender: UserId, client_id: ClientId, sent: Sent) {
        self.sent.insert((sender, client_id), sent);
    }

    /// What it holds above `seq`, ascending.
    pub fn after(&self, seq: u64) -> Vec<Arc<Message>> {
        self.messages.iter().filter(|message| message.seq > seq).cloned().collect()
    }

    /// The messages that changed above `rev`, by rising `rev`; `None`: not all of them are here.
    pub fn changed_after(&self, rev: u64) -> Option<Vec<Arc<Message>>> {
        let newer = self.changes.latest.iter().filter(|message| message.rev() > rev);
        (rev >= self.changes.floor).then(|| newer.cloned().collect())
    }

    fn pop(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.weight_bytes();
            self.sent.remove(&(oldest.sender, oldest.client_id.clone()));
        }
    }
}
