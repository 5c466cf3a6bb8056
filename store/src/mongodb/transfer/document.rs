//! Messages, reactions and changes as documents, all of their fields.

use crate::{
    mongodb::bytes::Bytes,
    transfer::line::{ChangeLine, MessageLine, ReactionLine},
};
use madang_protocol::{ChangeKind, ClientId, Emoji, Millis, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct MessageDocument {
    pub(super) room: Bytes<15>,
    pub(super) seq: u64,
    pub(super) ts: Millis,
    sender: Bytes<15>,
    client_id: ClientId,
    body: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rev: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "is_false")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<Count>,
    #[serde(default, skip_serializing_if = "is_false")]
    uncounted: bool,
}

#[derive(Clone, Serialize, Deserialize)]
struct Count {
    emoji: Emoji,
    count: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ReactionDocument {
    pub(super) room: Bytes<15>,
    pub(super) seq: u64,
    user: Bytes<15>,
    emoji: Emoji,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ChangeDocument {
    pub(super) room: Bytes<15>,
    pub(super) rev: u64,
    /// The first of its command: itself, since nobody knows which came together.
    from: u64,
    pub(super) seq: u64,
    pub(super) kind: ChangeKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Bytes<15>>,
    ts: Millis,
}

impl MessageDocument {
    pub(super) fn new(room: RoomId, line: &MessageLine) -> Self {
        let count = |(emoji, count): &(Emoji, u64)| Count { emoji: emoji.clone(), count: *count };
        Self {
            room: Bytes(room.0),
            seq: line.seq,
            ts: line.ts,
            sender: Bytes(line.sender.0),
            client_id: line.client_id.clone(),
            body: line.body.clone(),
            reply_to: line.reply_to,
            rev: (line.rev > 0).then_some(line.rev),
            edited_at: line.edited_at,
            deleted: line.deleted,
            reactions: line.reactions.iter().map(count).collect(),
            uncounted: line.uncounted,
        }
    }

    pub(super) fn line(self) -> MessageLine {
        let count = |Count { emoji, count }| (emoji, count);
        MessageLine {
            seq: self.seq,
            ts: self.ts,
            sender: UserId(self.sender.0),
            client_id: self.client_id,
            body: self.body,
            reply_to: self.reply_to,
            rev: self.rev.unwrap_or(0),
            edited_at: self.edited_at,
            deleted: self.deleted,
            reactions: self.reactions.into_iter().map(count).collect(),
            uncounted: self.uncounted,
        }
    }
}

impl ReactionDocument {
    pub(super) fn new(room: RoomId, seq: u64, line: &ReactionLine) -> Self {
        let (user, emoji) = (Bytes(line.user.0), line.emoji.clone());
        Self { room: Bytes(room.0), seq, user, emoji }
    }

    pub(super) fn line(self) -> ReactionLine {
        ReactionLine { user: UserId(self.user.0), emoji: self.emoji }
    }
}

impl ChangeDocument {
    pub(super) fn new(room: RoomId, line: &ChangeLine) -> Self {
        let ChangeLine { rev, seq, kind, by, ts } = *line;
        let by = by.map(|user| Bytes(user.0));
        Self { room: Bytes(room.0), rev, from: rev, seq, kind, by, ts }
    }

    pub(super) fn line(self) -> ChangeLine {
        let Self { rev, seq, kind, by, ts, .. } = self;
        ChangeLine { rev, seq, kind, by: by.map(|user| UserId(user.0)), ts }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}
