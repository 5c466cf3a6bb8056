//! What is read of one room, all of one moment: one question, whose parts follow each other.

use super::{
    Mongo,
    failure::Failure,
    ids::Id,
    message::{MessageRecord, damaged},
    schema::{CHANGES, MESSAGES, ROOMS},
};
use crate::{StoreError, log::UNCOUNTED_MAX};
use ::mongodb::{
    bson::{Document, doc},
    options::ReadPreference,
};
use madang_protocol::{Heads, Message, Millis, RoomId, RoomKind, operation::Range};
use serde::Deserialize;
use std::sync::Arc;

/// A question about one room.
pub(super) struct Question {
    room: RoomId,
    pipeline: Vec<Document>,
}

/// One document of its answer, of the part that has it.
#[derive(Debug, Deserialize)]
struct Row {
    room: Option<RoomPart>,
    last_message: Option<LastMessage>,
    last_change: Option<LastChange>,
    message: Option<MessageRecord>,
    uncounted: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct RoomPart {
    kind: RoomKind,
    member_rev: i64,
}

#[derive(Debug, Default, Deserialize)]
struct LastMessage {
    seq: i64,
    ts: i64,
}

/// The newest change of a room.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct LastChange {
    rev: i64,
    from: i64,
    /// Whether its message is as it says, or as a later one does.
    applied: bool,
}

/// A room at one moment.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// `None`: no such room.
    pub(super) kind: Option<RoomKind>,
    pub(super) heads: Heads,
    pub(super) last_ts: Millis,
    pub(super) last_change: LastChange,
    /// In the order asked.
    pub(super) messages: Vec<Arc<Message>>,
    pub(super) uncounted: Vec<u64>,
}

impl LastChange {
    /// The revs of the newest command that is not applied yet, or was not when this was read.
    pub(super) fn unapplied(&self) -> Option<(u64, u64)> {
        let is_unapplied = self.rev > 0 && !self.applied;
        is_unapplied.then(|| (self.from.unsigned_abs(), self.rev.unsigned_abs()))
    }
}

impl Question {
    /// The room itself, and its heads.
    pub(super) fn about(room: RoomId) -> Self {
        let itself = vec![
            doc! { "$match": { "_id": room.bson() } },
            doc! { "$project": { "_id": 0, "room": { "kind": "$kind", "member_rev": "$member_rev" } } },
        ];
        let mut question = Self { room, pipeline: itself };
        question.and(CHANGES, last_change(room));
        question.and(MESSAGES, last_message(room));
        question
    }

    /// Also messages: the newest first, or ascending after a place.
    pub(super) fn with_messages(mut self, range: Range, limit: usize) -> Self {
        if limit > 0 {
            self.and(MESSAGES, page(self.room, range, limit));
        }
        self
    }

    /// Also messages whose latest change is above a rev, ascending by it; those beyond `to_seq`
    /// without their bodies.
    pub(super) fn with_changed(mut self, after_rev: u64, to_seq: u64, limit: usize) -> Self {
        self.and(MESSAGES, changed(self.room, after_rev, to_seq, limit));
        self
    }

    /// Also the first messages with reactions that no change has told.
    pub(super) fn with_uncounted(mut self) -> Self {
        self.and(MESSAGES, uncounted(self.room, UNCOUNTED_MAX as i64));
        self
    }

    /// Also whether there are any.
    pub(super) fn with_any_uncounted(mut self) -> Self {
        self.and(MESSAGES, uncounted(self.room, 1));
        self
    }

    fn and(&mut self, collection: &str, pipeline: Vec<Document>) {
        self.pipeline.push(doc! { "$unionWith": { "coll": collection, "pipeline": pipeline } });
    }
}

fn last_message(room: RoomId) -> Vec<Document> {
    vec![
        doc! { "$match": { "room": room.bson() } },
        doc! { "$sort": { "room": -1, "seq": -1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "_id": 0, "last_message": { "seq": "$seq", "ts": "$ts" } } },
    ]
}

fn last_change(room: RoomId) -> Vec<Document> {
    let its_message = doc! {
        "from": MESSAGES, "localField": "seq", "foreignField": "seq", "as": "its",
        "pipeline": [{ "$match": { "room": room.bson() } }, { "$project": { "_id": 0, "rev": 1 } }],
    };
    let applied = doc! { "$gte": [{ "$ifNull": [{ "$first": "$its.rev" }, 0] }, "$rev"] };
    vec![
        doc! { "$match": { "room": room.bson() } },
        doc! { "$sort": { "room": -1, "rev": -1 } },
        doc! { "$limit": 1 },
        doc! { "$lookup": its_message },
        doc! { "$project": {
            "_id": 0, "last_change": { "rev": "$rev", "from": "$from", "applied": applied },
        } },
    ]
}

fn page(room: RoomId, range: Range, limit: usize) -> Vec<Document> {
    let number = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
    let (of_room, order) = match range {
        Range::Newest => (doc! { "room": room.bson() }, -1),
        Range::Before(seq) => (doc! { "room": room.bson(), "seq": { "$lt": number(seq) } }, -1),
        Range::After(seq) => (doc! { "room": room.bson(), "seq": { "$gt": number(seq) } }, 1),
    };
    vec![
        doc! { "$match": of_room },
        doc! { "$sort": { "room": order, "seq": order } },
        doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) },
        doc! { "$project": { "_id": 0, "message": "$$ROOT" } },
    ]
}

fn changed(room: RoomId, after_rev: u64, to_seq: u64, limit: usize) -> Vec<Document> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let body = doc! { "$cond": [{ "$lte": ["$seq", number(to_seq)] }, "$body", ""] };
    vec![
        doc! { "$match": { "room": room.bson(), "rev": { "$gt": number(after_rev) } } },
        doc! { "$sort": { "room": 1, "rev": 1 } },
        doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) },
        doc! { "$set": { "body": body } },
        doc! { "$project": { "_id": 0, "message": "$$ROOT" } },
    ]
}

fn uncounted(room: RoomId, limit: i64) -> Vec<Document> {
    vec![
        doc! { "$match": { "room": room.bson(), "uncounted": true } },
        doc! { "$sort": { "room": 1, "seq": 1 } },
        doc! { "$limit": limit },
        doc! { "$project": { "_id": 0, "uncounted": "$seq" } },
    ]
}

impl Mongo {
    /// Asks. Messages are as the changes of the same moment left them: a command of changes that
    /// was appended and not applied yet, by a node that is about to or was ended meanwhile, is
    /// applied first.
    pub(super) async fn ask(&self, question: Question) -> Result<Snapshot, Failure> {
        let mut snapshot = self.ask_once(&question, None).await?;
        if let Some((from, to)) = snapshot.last_change.unapplied() {
            self.apply_again(question.room, from, to).await?;
            snapshot = self.ask_once(&question, None).await?;
        }
        Ok(snapshot)
    }

    /// As it is at the primary, or at a member that `from` allows.
    pub(super) async fn ask_once(
        &self,
        question: &Question,
        from: Option<ReadPreference>,
    ) -> Result<Snapshot, Failure> {
        let rows = self.aggregate_snapshot::<Row>(from, ROOMS, question.pipeline.clone()).await?;
        Ok(collect(rows)?)
    }
}

fn collect(rows: Vec<Row>) -> Result<Snapshot, StoreError> {
    let mut snapshot = Snapshot {
        kind: None,
        heads: Heads::default(),
        last_ts: 0,
        last_change: LastChange::default(),
        messages: Vec::new(),
        uncounted: Vec::new(),
    };
    for row in rows {
        match row {
            Row { room: Some(part), .. } => {
                snapshot.kind = Some(part.kind);
                snapshot.heads.member_rev = part.member_rev.unsigned_abs();
            }
            Row { last_message: Some(last), .. } => {
                snapshot.heads.last_seq = last.seq.unsigned_abs();
                snapshot.last_ts = last.ts.unsigned_abs();
            }
            Row { last_change: Some(last), .. } => {
                snapshot.heads.last_rev = last.rev.unsigned_abs();
                snapshot.last_change = last;
            }
            Row { message: Some(record), .. } => snapshot.messages.push(Arc::new(record.into())),
            Row { uncounted: Some(seq), .. } => snapshot.uncounted.push(seq.unsigned_abs()),
            Row { .. } => return Err(damaged("a document of no known form")),
        }
    }
    Ok(snapshot)
}
