//! A message as nodes and stores know it. [`crate::frame`] says how clients see it.

use crate::{Amended, Millis, RoomId, UserId, limits::CLIENT_ID_BYTES_MAX};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The name a sender gives to one message of one room, so that a retry is recognised.
/// 1 to 64 bytes; unique per (room, sender).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, min_length = 1, max_length = 64)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// `None` when empty or too long.
    pub fn new(text: &str) -> Option<Self> {
        (1..=CLIENT_ID_BYTES_MAX).contains(&text.len()).then(|| Self(text.into()))
    }

    /// The text as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Memory of one emoji with its count.
const REACTION_BYTES: usize = 64;

/// One committed (or about to be committed) message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The room whose sequence it belongs to.
    pub room: RoomId,
    /// Its place in the room: 1, 2, 3, ... without a hole.
    pub seq: u64,
    /// When the home gave it its place; never below that of the message before it.
    pub ts: Millis,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's name for it.
    pub client_id: ClientId,
    /// The text, byte for byte as sent, or as it was edited; empty once deleted.
    pub body: Arc<str>,
    /// An earlier message of the room that this one answers.
    pub reply_to: Option<u64>,
    /// What was changed since; boxed, because hardly any message has something.
    pub amended: Option<Box<Amended>>,
}

impl Message {
    /// Memory it holds, near enough for byte bounds.
    pub fn weight_bytes(&self) -> usize {
        let amended = self
            .amended
            .as_ref()
            .map_or(0, |amended| size_of::<Amended>() + amended.reactions.len() * REACTION_BYTES);
        size_of::<Self>() + self.body.len() + self.client_id.as_str().len() + amended
    }

    /// The room's `rev` of its latest change; 0 = never changed.
    pub fn rev(&self) -> u64 {
        self.amended.as_ref().map_or(0, |amended| amended.rev)
    }

    /// Its body was erased.
    pub fn is_deleted(&self) -> bool {
        self.amended.as_ref().is_some_and(|amended| amended.deleted)
    }
}
