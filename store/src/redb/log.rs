//! [`MessageLog`] on redb.

use super::{
    Redb,
    keys::Key,
    record::{Raw, damaged},
    tables::{
        HeadsRecord, MessageRecord, Messages, RoomHeads, RoomRecord, Rooms, Sent, SentRecord, Table,
    },
    transaction::{Read, Tables},
};
use crate::{
    MessageLog, StoreError,
    log::{self, Activation, Appended, Page, Stopped},
    metrics::Call,
};
use async_trait::async_trait;
use madang_protocol::{ClientId, Heads, Message, RoomId, UserId, operation::Range};
use std::{ops::Bound, sync::Arc};

#[async_trait]
impl MessageLog for Redb {
    async fn append(&self, messages: Vec<Arc<Message>>) -> Appended {
        if messages.is_empty() {
            return Appended { committed: 0, stopped: None };
        }
        let stopped = |stopped| Appended { committed: 0, stopped: Some(stopped) };
        match self.engine.append(move |tables| append(tables, &messages)).await {
            Ok(appended) => appended,
            Err(error @ StoreError::Unknown(_)) => stopped(Stopped::Unknown(error)),
            Err(error) => stopped(Stopped::Refused(error)),
        }
    }

    async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        self.engine.read(Call::Activate, |snapshot| {
            let Some(RoomRecord { kind, .. }) = snapshot.get::<Rooms>(&room)? else {
                return Ok(None);
            };
            let known = snapshot.expect::<RoomHeads>(&room)?;
            let window = read_back(snapshot, room, known.last_seq, window, usize::MAX)?;
            let last_ts = if known.last_seq == 0 { 0 } else { known.active_at };
            Ok(Some(Activation { kind, heads: heads(&known), last_ts, window }))
        })
    }

    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<log::Sent>>, StoreError> {
        self.engine.read(Call::FindSent, |snapshot| {
            let find = |(sender, client_id)| {
                let found = snapshot.get::<Sent>(&(room, sender, client_id))?;
                Ok(found.map(|record| log::Sent { seq: record.seq, ts: record.ts }))
            };
            sent.into_iter().map(find).collect()
        })
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        self.engine.read(Call::Page, |snapshot| {
            let last_seq = last_seq(snapshot, room)?;
            let messages = match range {
                Range::Newest => read_back(snapshot, room, last_seq, limit, bytes_max)?,
                Range::Before(seq) => {
                    let newest = last_seq.min(seq.saturating_sub(1));
                    read_back(snapshot, room, newest, limit, bytes_max)?
                }
                Range::After(seq) => read_on(snapshot, room, seq, last_seq, limit, bytes_max)?,
            };
            Ok(Page { messages, last_seq })
        })
    }
}

/// How far a room has come; 0 if there is none. A room without heads is damage, for a reader would
/// take it for an empty one.
fn last_seq(read: &impl Read, room: RoomId) -> Result<u64, StoreError> {
    match read.get::<RoomHeads>(&room)? {
        Some(heads) => Ok(heads.last_seq),
        None if read.get::<Rooms>(&room)?.is_none() => Ok(0),
        None => Err(damaged(RoomHeads::NAME, &room.to_bytes(), "missing")),
    }
}

/// The heads as the protocol knows them.
pub(super) fn heads(record: &HeadsRecord) -> Heads {
    Heads { last_seq: record.last_seq, last_rev: record.last_rev, member_rev: record.member_rev }
}

/// The message `seq` of `room`, which is there.
pub(super) fn message(
    read: &impl Read,
    room: RoomId,
    seq: u64,
) -> Result<Arc<Message>, StoreError> {
    Ok(message_of(room, seq, read.expect::<Messages>(&(room, seq))?))
}

fn message_of(room: RoomId, seq: u64, record: MessageRecord) -> Arc<Message> {
    Arc::new(Message {
        room,
        seq,
        ts: record.ts,
        sender: UserId(record.sender.0),
        client_id: record.client_id,
        body: record.body,
        reply_to: record.reply_to,
        amended: None,
    })
}

/// Inserts in order and stops at the first that cannot be. An error that comes before anything
/// was written is the call's; a later one is the answer for the message it concerns.
fn append(tables: &mut Tables<'_>, messages: &[Arc<Message>]) -> Result<Appended, StoreError> {
    for (committed, message) in messages.iter().enumerate() {
        let stopped = match insert(tables, message) {
            Ok(None) => continue,
            Ok(Some(stopped)) => stopped,
            Err(error) if committed == 0 => return Err(error),
            Err(error) => Stopped::Refused(error),
        };
        return Ok(Appended { committed, stopped: Some(stopped) });
    }
    Ok(Appended { committed: messages.len(), stopped: None })
}

/// Inserts one message, or says why not; then nothing of it was written.
fn insert(tables: &mut Tables<'_>, message: &Message) -> Result<Option<Stopped>, StoreError> {
    let refused = |why: &str| Ok(Some(Stopped::Refused(StoreError::Unavailable(why.into()))));
    let Message { room, seq, ts, sender, .. } = *message;
    let sent = (room, sender, message.client_id.clone());
    let Some(known) = tables.heads(room)? else {
        return refused("no such room");
    };
    if tables.get::<Sent>(&sent)?.is_some() {
        return Ok(Some(Stopped::Duplicate));
    }
    if seq <= known.last_seq {
        return Ok(Some(Stopped::Taken));
    }
    // The callers keep the chain rule; a hole would be for ever, so it is not taken on trust.
    if seq != known.last_seq + 1 {
        return refused("its seq would leave a hole");
    }
    tables.put::<Messages>(&(room, seq), &record_of(message))?;
    tables.put::<Sent>(&sent, &SentRecord { seq, ts })?;
    tables.note_message(room, sender, HeadsRecord { last_seq: seq, active_at: ts, ..known });
    Ok(None)
}

fn record_of(message: &Message) -> MessageRecord {
    MessageRecord {
        ts: message.ts,
        sender: Raw(message.sender.0),
        client_id: message.client_id.clone(),
        body: message.body.clone(),
        reply_to: message.reply_to,
    }
}

/// At most `limit` messages up to `newest`, ascending.
fn read_back(
    read: &impl Read,
    room: RoomId,
    newest: u64,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    let (from, to) = ((room, 1).to_bytes(), (room, newest).to_bytes());
    if newest == 0 {
        return Ok(Vec::new());
    }
    let scan = read.scan::<Messages>(Bound::Included(&from), Bound::Included(&to))?;
    let expected = (1..=newest).rev().take(limit);
    let mut messages = collect(room, expected, scan.rev(), bytes_max)?;
    messages.reverse();
    Ok(messages)
}

/// At most `limit` messages above `after` up to `newest`, ascending.
fn read_on(
    read: &impl Read,
    room: RoomId,
    after: u64,
    newest: u64,
    limit: usize,
    bytes_max: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    if after >= newest {
        return Ok(Vec::new());
    }
    let (from, to) = ((room, after + 1).to_bytes(), (room, newest).to_bytes());
    let scan = read.scan::<Messages>(Bound::Included(&from), Bound::Included(&to))?;
    collect(room, (after + 1..=newest).take(limit), scan, bytes_max)
}

/// The messages `expected`, which the scan must yield one by one: a hole is damage, for a reader
/// would take it for the truth. Ends before `bytes_max` of bodies are exceeded, but not with none.
fn collect(
    room: RoomId,
    expected: impl Iterator<Item = u64>,
    mut scan: impl Iterator<Item = Result<((RoomId, u64), MessageRecord), StoreError>>,
    bytes_max: usize,
) -> Result<Vec<Arc<Message>>, StoreError> {
    let mut messages = Vec::new();
    let mut bytes = 0_usize;
    for seq in expected {
        let missing = || damaged(Messages::NAME, &(room, seq).to_bytes(), "missing");
        let ((_, found), record) = scan.next().ok_or_else(missing)??;
        if found != seq {
            return Err(missing());
        }
        bytes = bytes.saturating_add(record.body.len());
        if bytes > bytes_max && !messages.is_empty() {
            break;
        }
        messages.push(message_of(room, seq, record));
    }
    Ok(messages)
}
