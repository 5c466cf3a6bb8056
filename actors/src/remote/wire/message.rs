//! What an audience missed.

use super::WireHeads;
use crate::room::Caught;
use madang_protocol::{Amended, ClientId, Message, Millis, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// [`Caught`]: as much of it as an answer may hold.
#[derive(Debug, Serialize, Deserialize)]
pub struct WireCaught {
    heads: WireHeads,
    messages: Vec<WireMessage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<Vec<WireMessage>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct WireMessage {
    seq: u64,
    ts: Millis,
    sender: UserId,
    client_id: ClientId,
    body: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amended: Option<Box<Amended>>,
}

impl WireCaught {
    /// What does not fit into `bytes_max` is left out: the asker reads it from the store. The newest
    /// messages are kept, and the changes all or none.
    pub fn new(caught: &Caught, bytes_max: usize) -> Self {
        let weight = |messages: &[Arc<Message>]| -> usize {
            messages.iter().map(|message| message.weight_bytes()).sum()
        };
        let changed = caught.changed.as_deref().filter(|changed| weight(changed) <= bytes_max / 2);
        let mut left = bytes_max / 2;
        let fits = |message: &&Arc<Message>| {
            let is_left = left.checked_sub(message.weight_bytes());
            left = is_left.unwrap_or(0);
            is_left.is_some()
        };
        let mut messages: Vec<WireMessage> =
            caught.messages.iter().rev().take_while(fits).map(WireMessage::from).collect();
        messages.reverse();
        let changed = changed.map(|changed| changed.iter().map(WireMessage::from).collect());
        Self { heads: caught.heads.into(), messages, changed }
    }

    /// Of `room`.
    pub fn read(self, room: RoomId) -> Caught {
        let read = |messages: Vec<WireMessage>| -> Vec<Arc<Message>> {
            messages.into_iter().map(|message| Arc::new(message.read(room))).collect()
        };
        Caught {
            heads: self.heads.into(),
            messages: read(self.messages),
            changed: self.changed.map(read),
        }
    }
}

impl From<&Arc<Message>> for WireMessage {
    fn from(message: &Arc<Message>) -> Self {
        Self {
            seq: message.seq,
            ts: message.ts,
            sender: message.sender,
            client_id: message.client_id.clone(),
            body: message.body.clone(),
            reply_to: message.reply_to,
            amended: message.amended.clone(),
        }
    }
}

impl WireMessage {
    fn read(self, room: RoomId) -> Message {
        let Self { seq, ts, sender, client_id, body, reply_to, amended } = self;
        Message { room, seq, ts, sender, client_id, body, reply_to, amended }
    }
}
