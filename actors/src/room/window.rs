//! The newest messages of a room: for readers that missed some, and for retries.

use super::{WINDOW_BYTES, WINDOW_MESSAGES};
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
}

impl Window {
    /// Adds the next committed message.
    pub fn push(&mut self, message: Arc<Message>) {
        let key = (message.sender, message.client_id.clone());
        self.sent.insert(key, Sent { seq: message.seq, ts: message.ts });
        self.bytes += message.weight_bytes();
        self.messages.push_back(message);
        while self.messages.len() > WINDOW_MESSAGES || self.bytes > WINDOW_BYTES {
            self.pop();
        }
    }

    /// Where the sender's message of this name stands, if it is here.
    pub fn sent(&self, sender: UserId, client_id: &ClientId) -> Option<Sent> {
        self.sent.get(&(sender, client_id.clone())).copied()
    }

    /// What it holds above `seq`, ascending.
    pub fn after(&self, seq: u64) -> Vec<Arc<Message>> {
        self.messages.iter().filter(|message| message.seq > seq).cloned().collect()
    }

    fn pop(&mut self) {
        if let Some(oldest) = self.messages.pop_front() {
            self.bytes -= oldest.weight_bytes();
            self.sent.remove(&(oldest.sender, oldest.client_id.clone()));
        }
    }
}
