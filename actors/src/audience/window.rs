//! The newest messages and changes of a room, for readers that attach.

use super::{WINDOW_BYTES, WINDOW_CHANGES, WINDOW_MESSAGES, encode};
use crate::hub::{Item, Items};
use madang_protocol::{Event, Message, Place};
use std::{collections::VecDeque, sync::Arc};

/// Contiguous messages, ending at the audience's head, and the latest changes.
#[derive(Default)]
pub(super) struct Window {
    /// At most `WINDOW_MESSAGES` and `WINDOW_BYTES`, each as it now is.
    messages: VecDeque<Kept>,
    bytes: usize,
    /// The latest change of each message that changed lately, by rising `rev`; at most
    /// `WINDOW_CHANGES`.
    changes: VecDeque<Kept>,
    /// Every change above this that the audience has is here, or a later one of the same message.
    floor: u64,
}

struct Kept {
    seq: u64,
    rev: u64,
    bytes: usize,
    item: Arc<Item>,
}

impl Kept {
    fn new(message: &Message, item: Arc<Item>) -> Self {
        Self { seq: message.seq, rev: message.rev(), bytes: item.message_bytes_max(), item }
    }
}

impl Window {
    /// Begins anew where the room stands: changes up to `rev` are not here.
    pub(super) fn begin(&mut self, messages: &[Arc<Message>], rev: u64) {
        *self = Self { floor: rev, ..Self::default() };
        messages
            .iter()
            .for_each(|message| self.push(message, encode::message_item(message).into()));
    }

    /// Adds the next event, encoded as `item`.
    pub(super) fn add(&mut self, event: &Event, item: &Arc<Item>) {
        match event {
            Event::Message(message) => self.push(message, item.clone()),
            Event::Changed(message) => self.change(message, item.clone()),
            Event::Member(_) | Event::Renamed(_) => {}
        }
    }

    /// What one who has `after` lacks up to `head`: changes first, for they are of messages it
    /// has. `None` when some is not here any more.
    pub(super) fn between(&self, after: Place, head: Place) -> Option<Items> {
        let missing = usize::try_from(head.seq - after.seq).ok()?;
        let first = self.messages.len().checked_sub(missing)?;
        // A message may have come changed already while its change is still to come: who has all
        // changes that the audience has gets it then.
        if after.rev < self.floor.min(head.rev) {
            return None;
        }
        let is_news = |kept: &&Kept| kept.rev > after.rev && kept.seq <= after.seq;
        let changes = self.changes.iter().filter(is_news);
        Some(changes.chain(self.messages.range(first..)).map(|kept| kept.item.clone()).collect())
    }

    /// One that comes changed already: somebody may have it as it was before.
    fn push(&mut self, message: &Message, item: Arc<Item>) {
        self.floor = self.floor.max(message.rev());
        let kept = Kept::new(message, item);
        self.bytes += kept.bytes;
        self.messages.push_back(kept);
        self.shrink();
    }

    fn change(&mut self, message: &Message, item: Arc<Item>) {
        if let Some(known) = self.messages.iter_mut().find(|known| known.seq == message.seq) {
            let kept = Kept::new(message, encode::message_item(message).into());
            self.bytes = self.bytes + kept.bytes - known.bytes;
            *known = kept;
        }
        self.changes.retain(|earlier| earlier.seq != message.seq);
        self.changes.push_back(Kept::new(message, item));
        if self.changes.len() > WINDOW_CHANGES {
            self.floor = self.changes.pop_front().map_or(self.floor, |oldest| oldest.rev);
        }
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.messages.len() > WINDOW_MESSAGES || self.bytes > WINDOW_BYTES {
            let oldest = self.messages.pop_front();
            self.bytes -= oldest.map_or(0, |kept| kept.bytes);
        }
    }
}
