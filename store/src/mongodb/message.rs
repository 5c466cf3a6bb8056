//! Messages and changes as the database has them.

use super::bytes::Bytes;
use crate::StoreError;
use ::mongodb::bson::{Bson, Document, doc};
use madang_protocol::{Amended, Change, ChangeKind, ClientId, Emoji, Message, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A message that is inserted.
#[derive(Serialize)]
pub(super) struct NewMessage<'a> {
    room: Bytes<15>,
    seq: i64,
    ts: i64,
    sender: Bytes<15>,
    client_id: &'a str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<i64>,
}

impl<'a> NewMessage<'a> {
    pub(super) fn of(message: &'a Message) -> Self {
        Self {
            room: Bytes(message.room.0),
            seq: message.seq as i64,
            ts: message.ts as i64,
            sender: Bytes(message.sender.0),
            client_id: message.client_id.as_str(),
            body: &message.body,
            reply_to: message.reply_to.map(|seq| seq as i64),
        }
    }
}

/// A message that was found.
#[derive(Debug, Deserialize)]
pub(super) struct MessageRecord {
    room: Bytes<15>,
    seq: i64,
    ts: i64,
    sender: Bytes<15>,
    client_id: ClientId,
    body: Arc<str>,
    reply_to: Option<i64>,
    rev: Option<i64>,
    edited_at: Option<i64>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    reactions: Vec<Count>,
}

/// How many reacted with what.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Count {
    emoji: Emoji,
    count: i64,
}

impl From<MessageRecord> for Message {
    fn from(record: MessageRecord) -> Self {
        let amended = Amended {
            rev: record.rev.unwrap_or(0).unsigned_abs(),
            edited_at: record.edited_at.map(i64::unsigned_abs),
            deleted: record.deleted,
            reactions: reactions(record.reactions),
        };
        Self {
            room: RoomId(record.room.0),
            seq: record.seq.unsigned_abs(),
            ts: record.ts.unsigned_abs(),
            sender: UserId(record.sender.0),
            client_id: record.client_id,
            body: record.body,
            reply_to: record.reply_to.map(i64::unsigned_abs),
            amended: (amended != Amended::default()).then(|| Box::new(amended)),
        }
    }
}

/// A change that is inserted, or found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ChangeRecord {
    pub(super) room: Bytes<15>,
    pub(super) rev: i64,
    /// The first rev of its room in its command: whoever finds the last one of a command applied
    /// finds all of it applied.
    pub(super) from: i64,
    pub(super) seq: i64,
    pub(super) kind: ChangeKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) by: Option<Bytes<15>>,
    pub(super) ts: i64,
    /// Of an edit, until another body takes its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Arc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) edited_at: Option<i64>,
    /// The counts it tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    said: Vec<Count>,
}

impl ChangeRecord {
    /// `change`, which says the counts of `said`, in a command whose first of this room is `from`.
    pub(super) fn of(change: &Change, said: &Amended, from: u64) -> Self {
        let is_edit = change.kind == ChangeKind::Edit;
        Self {
            room: Bytes(change.message.room.0),
            rev: said.rev as i64,
            from: from as i64,
            seq: change.message.seq as i64,
            kind: change.kind,
            by: change.by.map(|user| Bytes(user.0)),
            ts: change.ts as i64,
            body: is_edit.then(|| change.message.body.clone()),
            edited_at: said.edited_at.map(|at| at as i64),
            said: counts(&said.reactions),
        }
    }

    /// What it says about the message.
    pub(super) fn said(&self) -> Amended {
        Amended {
            rev: self.rev.unsigned_abs(),
            edited_at: self.edited_at.map(i64::unsigned_abs),
            deleted: self.kind == ChangeKind::Delete,
            reactions: reactions(self.said.clone()),
        }
    }
}

/// Counts, as the database has them.
pub(super) fn counts(reactions: &[(Emoji, u64)]) -> Vec<Count> {
    let count =
        |(emoji, count): &(Emoji, u64)| Count { emoji: emoji.clone(), count: *count as i64 };
    reactions.iter().map(count).collect()
}

/// The same as a value.
pub(super) fn counts_value(reactions: &[(Emoji, u64)]) -> Bson {
    let count = |(emoji, count): &(Emoji, u64)| -> Document {
        doc! { "emoji": emoji.as_str(), "count": *count as i64 }
    };
    Bson::Array(reactions.iter().map(|one| Bson::Document(count(one))).collect())
}

/// Counts, as everybody else has them.
pub(super) fn reactions(counts: Vec<Count>) -> Vec<(Emoji, u64)> {
    counts.into_iter().map(|one| (one.emoji, one.count.unsigned_abs())).collect()
}

/// Messages, or what is known of them, contradict each other.
pub(super) fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged { table: "messages", detail: detail.into() }
}
