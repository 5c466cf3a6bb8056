//! [`MessageLog`] on MongoDB: what is read. [`super::append`] has what is written.

use super::{
    Mongo,
    bytes::Bytes,
    failure::Failure,
    ids::Id,
    message::{ChangeRecord, damaged},
    schema::{CHANGES, MESSAGES, REACTIONS},
    snapshot::{Question, Snapshot},
};
use crate::{
    MessageLog, StoreError,
    log::{Activation, Appended, ChangedPage, Mark, NEWS_MAX, Page, Sent, Target, is_news},
    metrics::Call,
};
use ::mongodb::bson::{Bson, Document, doc};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use madang_protocol::{ClientId, Emoji, Entry, Heads, Message, RoomId, UserId, operation::Range};
use serde::Deserialize;
use std::{collections::HashMap, sync::Arc};

/// Changed messages that one page looks at, most of which may be none of those asked for: at
/// least so many, and at most.
const SCANNED_MIN: usize = 200;
const SCANNED_MAX: usize = 10_000;

#[async_trait]
impl MessageLog for Mongo {
    async fn append(&self, entries: Vec<Entry>) -> Appended {
        self.append_all(&entries).await
    }

    async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        let question = Question::about(room).with_messages(Range::Newest, window).with_uncounted();
        let snapshot = self.read(Call::Activate, self.ask(question)).await?;
        let Some(kind) = snapshot.kind else { return Ok(None) };
        let Snapshot { heads, last_ts, uncounted, messages, .. } = snapshot;
        let window = contiguous(ascending(messages))?;
        Ok(Some(Activation { kind, heads, last_ts, window, uncounted }))
    }

    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        if sent.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.read(Call::FindSent, self.sent_by_name(room, &sent)).await?;
        Ok(sent.iter().map(|name| found.get(name).copied()).collect())
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let snapshot = self.read(Call::Page, self.ask_for_page(room, range, limit)).await?;
        let Heads { last_seq, last_rev, .. } = snapshot.heads;
        let mut messages = fitting(snapshot.messages, bytes_max);
        if !matches!(range, Range::After(_)) {
            messages = ascending(messages);
        }
        Ok(Page { messages: contiguous(messages)?, last_seq, last_rev })
    }

    async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<ChangedPage, StoreError> {
        // One more than fits, to know whether there is more; some more to pass over.
        let scanned = limit.saturating_add(1).clamp(SCANNED_MIN, SCANNED_MAX);
        let question = Question::about(room).with_changed(after_rev, to_seq, scanned);
        let snapshot = self.read(Call::Changed, self.ask(question)).await?;
        let is_all = snapshot.messages.len() < scanned;
        let mut page = changed_page(snapshot, after_rev, to_seq, limit, bytes_max);
        if let (Some(page), true) = (page.as_mut().err(), is_all) {
            page.reached_rev = page.heads.last_rev;
        }
        Ok(page.unwrap_or_else(|page| page))
    }

    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        let records = self.read(Call::Marks, self.changes_after(room, after_rev, limit)).await?;
        Ok(records.iter().map(mark).collect())
    }

    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        by: UserId,
    ) -> Result<Option<Target>, StoreError> {
        // The one message, as a page.
        let question = Question::about(room).with_messages(Range::After(seq.saturating_sub(1)), 1);
        let seqs = [seq];
        let (snapshot, mut mine) = self
            .read(Call::Target, async {
                tokio::try_join!(self.ask(question), self.reactions_by(room, by, &seqs))
            })
            .await?;
        let is_it = |message: &Arc<Message>| message.seq == seq;
        let message = snapshot.messages.into_iter().find(is_it);
        let mine = mine.remove(&seq).unwrap_or_default();
        Ok(message.map(|message| Target { message, mine }))
    }

    async fn my_reactions(
        &self,
        room: RoomId,
        by: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        if seqs.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.read(Call::MyReactions, self.reactions_by(room, by, &seqs)).await?;
        Ok(seqs.iter().map(|seq| found.get(seq).cloned().unwrap_or_default()).collect())
    }

    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        let asked: Vec<RoomId> = known.iter().take(NEWS_MAX).map(|(room, _)| *room).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let now = self.read(Call::News, self.heads_of(&asked)).await?;
        let news = |(room, known): &(RoomId, Heads)| {
            let now = now.get(room).filter(|now| is_news(known, now));
            now.map(|now| (*room, *now))
        };
        Ok(known.iter().take(NEWS_MAX).filter_map(news).collect())
    }
}

/// A message under its sender's name for it.
#[derive(Deserialize)]
struct SentRecord {
    sender: Bytes<15>,
    client_id: ClientId,
    seq: i64,
    ts: i64,
}

/// What somebody reacted with.
#[derive(Deserialize)]
struct ReactionRecord {
    seq: i64,
    emoji: Emoji,
}

impl Mongo {
    async fn sent_by_name(
        &self,
        room: RoomId,
        sent: &[(UserId, ClientId)],
    ) -> Result<HashMap<(UserId, ClientId), Sent>, Failure> {
        let projection = doc! { "_id": 0, "sender": 1, "client_id": 1, "seq": 1, "ts": 1 };
        let found = self.find::<SentRecord>(MESSAGES, sent_filter(room, sent), projection).await?;
        let mut by_name = HashMap::new();
        for record in found {
            let sent = Sent { seq: record.seq.unsigned_abs(), ts: record.ts.unsigned_abs() };
            by_name.insert((UserId(record.sender.0), record.client_id), sent);
        }
        Ok(by_name)
    }

    async fn changes_after(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<ChangeRecord>, Failure> {
        let (Ok(after), true) = (i64::try_from(after_rev), limit > 0) else {
            return Ok(Vec::new());
        };
        let changes = self.collection::<ChangeRecord>(CHANGES);
        let found = changes
            .find(doc! { "room": room.bson(), "rev": { "$gt": after } })
            .sort(doc! { "room": 1, "rev": 1 })
            .projection(doc! { "body": 0 })
            .limit(i64::try_from(limit).unwrap_or(i64::MAX));
        Ok(found.await?.try_collect().await?)
    }

    /// By the bytes of the text.
    async fn reactions_by(
        &self,
        room: RoomId,
        by: UserId,
        seqs: &[u64],
    ) -> Result<HashMap<u64, Vec<Emoji>>, Failure> {
        let projection = doc! { "_id": 0, "seq": 1, "emoji": 1 };
        let filter = reactions_filter(room, by, seqs);
        let found = self.find::<ReactionRecord>(REACTIONS, filter, projection).await?;
        let mut by_seq: HashMap<u64, Vec<Emoji>> = HashMap::new();
        for record in found {
            by_seq.entry(record.seq.unsigned_abs()).or_default().push(record.emoji);
        }
        by_seq.values_mut().for_each(|of_message| of_message.sort_unstable());
        Ok(by_seq)
    }
}

/// Finds messages by their senders' names for them.
pub(super) fn sent_filter(room: RoomId, sent: &[(UserId, ClientId)]) -> Document {
    let mut by_sender: HashMap<UserId, Vec<&str>> = HashMap::new();
    for (sender, client_id) in sent {
        by_sender.entry(*sender).or_default().push(client_id.as_str());
    }
    let of_sender = |(sender, names): (UserId, Vec<&str>)| -> Document {
        doc! { "room": room.bson(), "sender": sender.bson(), "client_id": { "$in": names } }
    };
    doc! { "$or": by_sender.into_iter().map(of_sender).collect::<Vec<_>>() }
}

/// Finds what one user reacted with.
pub(super) fn reactions_filter(room: RoomId, by: UserId, seqs: &[u64]) -> Document {
    let seqs: Vec<Bson> = seqs.iter().map(|seq| Bson::Int64(*seq as i64)).collect();
    doc! { "room": room.bson(), "seq": { "$in": seqs }, "user": by.bson() }
}

/// The first of `messages`, as long as their bodies fit, but not none.
fn fitting(messages: Vec<Arc<Message>>, bytes_max: usize) -> Vec<Arc<Message>> {
    let mut bytes = 0_usize;
    let fits = |(place, message): &(usize, Arc<Message>)| {
        bytes = bytes.saturating_add(message.body.len());
        bytes <= bytes_max || *place == 0
    };
    messages.into_iter().enumerate().take_while(fits).map(|(_, message)| message).collect()
}

/// From the newest first.
fn ascending(mut messages: Vec<Arc<Message>>) -> Vec<Arc<Message>> {
    messages.reverse();
    messages
}

/// A hole would be taken for the truth.
fn contiguous(messages: Vec<Arc<Message>>) -> Result<Vec<Arc<Message>>, StoreError> {
    let has_hole = messages.windows(2).any(|pair| pair[0].seq + 1 != pair[1].seq);
    if has_hole { Err(damaged("a message is missing")) } else { Ok(messages) }
}

/// A page that is full, or, as the error, one that has all that was looked at.
fn changed_page(
    snapshot: Snapshot,
    after_rev: u64,
    to_seq: u64,
    limit: usize,
    bytes_max: usize,
) -> Result<ChangedPage, ChangedPage> {
    let Snapshot { heads, messages: latest, .. } = snapshot;
    let mut page = ChangedPage { messages: Vec::new(), reached_rev: after_rev, heads };
    let mut bytes = 0_usize;
    for message in latest {
        let rev = message.rev();
        if message.seq <= to_seq {
            bytes = bytes.saturating_add(message.body.len());
            let is_full = bytes > bytes_max && !page.messages.is_empty();
            if is_full || page.messages.len() == limit {
                return Ok(page);
            }
            page.messages.push(message);
        }
        page.reached_rev = rev;
    }
    Err(page)
}

fn mark(record: &ChangeRecord) -> Mark {
    Mark {
        rev: record.rev.unsigned_abs(),
        seq: record.seq.unsigned_abs(),
        kind: record.kind,
        by: record.by.map(|by| UserId(by.0)),
        ts: record.ts.unsigned_abs(),
    }
}
