//! What a read shows that does not ask for what the majority has: entries whose command is in
//! doubt, and which may be taken back. No store may do this; tests do, to show that it is seen.

use crate::log::{Page, Sent};
use madang_protocol::{ClientId, Entry, Message, RoomId, UserId};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Messages of the last command in doubt that did not take effect.
#[derive(Default)]
pub(super) struct Tail(Mutex<Vec<Arc<Message>>>);

impl Tail {
    /// These are shown from now on.
    pub(super) fn show(&self, entries: &[Entry]) {
        let messages = entries.iter().filter_map(|entry| match entry {
            Entry::Message(message) => Some(message.clone()),
            Entry::Change(_) | Entry::Reaction(_) => None,
        });
        *self.messages() = messages.collect();
    }

    /// Nothing is.
    pub(super) fn clear(&self) {
        self.messages().clear();
    }

    /// Adds what is shown to what was found.
    pub(super) fn add_found(
        &self,
        room: RoomId,
        asked: &[(UserId, ClientId)],
        found: &mut [Option<Sent>],
    ) {
        let messages = self.messages();
        for ((sender, client_id), found) in asked.iter().zip(found) {
            let is_it = |message: &&Arc<Message>| {
                (message.room, message.sender, &message.client_id) == (room, *sender, client_id)
            };
            let shown = messages.iter().find(is_it);
            *found = found.or(shown.map(|message| Sent { seq: message.seq, ts: message.ts }));
        }
    }

    /// Adds what is shown and follows on a page that reaches the room's present.
    pub(super) fn add_page(&self, room: RoomId, page: &mut Page) {
        let reached = page.messages.last().map_or(page.last_seq, |message| message.seq);
        if reached < page.last_seq {
            return;
        }
        for message in self.messages().iter().filter(|message| message.room == room) {
            if message.seq == page.last_seq + 1 {
                page.last_seq = message.seq;
                page.messages.push(message.clone());
            }
        }
    }

    fn messages(&self) -> MutexGuard<'_, Vec<Arc<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
