//! [`MessageLog`] on redb.

use super::{
    Redb, changes,
    changes::{Changed, SCANNED_MAX},
    keys::Key,
    record::{Raw, damaged},
    tables::{
        Amendments, HeadsRecord, MessageRecord, Messages, RoomHeads, RoomRecord, Rooms, Sent,
        SentRecord, Table,
    },
    transaction::{Read, Tables},
};
use crate::{
    MessageLog, StoreError,
    log::{self, Activation, Appended, ChangedPage, Mark, NEWS_MAX, Page, Stopped, Target},
    metrics::Call,
};
use async_trait::async_trait;
use madang_protocol::{ClientId, Emoji, Entry, Heads, Message, RoomId, UserId, operation::Range};
use std::{ops::Bound, sync::Arc};

#[async_trait]
impl MessageLog for Redb {
    async fn append(&self, entries: Vec<Entry>) -> Appended {
        if entries.is_empty() {
            return Appended { committed: 0, stopped: None };
        }
        let stopped = |stopped| Appended { committed: 0, stopped: Some(stopped) };
        match self.engine.gather_here(Call::Append, move |tables| append(tables, &entries)).await {
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
            let uncounted = changes::uncounted(snapshot, room)?;
            Ok(Some(Activation { kind, heads: heads(&known), last_ts, window, uncounted }))
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
            let Heads { last_seq, last_rev, .. } = heads_of(snapshot, room)?;
            let messages = match range {
                Range::Newest => read_back(snapshot, room, last_seq, limit, bytes_max)?,
                Range::Before(seq) => {
                    let newest = last_seq.min(seq.saturating_sub(1));
                    read_back(snapshot, room, newest, limit, bytes_max)?
                }
                Range::After(seq) => read_on(snapshot, room, seq, last_seq, limit, bytes_max)?,
            };
            Ok(Page { messages, last_seq, last_rev })
        })
    }

    async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<ChangedPage, StoreError> {
        let asked = Changed { room, after_rev, to_seq, limit, bytes_max, scanned_max: SCANNED_MAX };
        self.engine.read(Call::Changed, |snapshot| changes::changed(snapshot, &asked))
    }

    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        self.engine.read(Call::Marks, |snapshot| changes::marks(snapshot, room, after_rev, limit))
    }

    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        self.engine.read(Call::Target, |snapshot| changes::target(snapshot, room, seq, user))
    }

    async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        self.engine.read(Call::MyReactions, |snapshot| {
            let of = |seq| changes::reactions_of(snapshot, room, seq, user);
            seqs.into_iter().map(of).collect()
        })
    }

    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        self.engine.read(Call::News, |snapshot| {
            let now = |(room, known): &(RoomId, Heads)| {
                let now = heads_of(snapshot, *room)?;
                Ok(log::is_news(known, &now).then_some((*room, now)))
            };
            known.iter().take(NEWS_MAX).map(now).filter_map(Result::transpose).collect()
        })
    }
}

/// How far a room has come; nowhere if there is none. A room without heads is damage, for a reader
/// would take it for an empty one.
pub(super) fn heads_of(read: &impl Read, room: RoomId) -> Result<Heads, StoreError> {
    match read.get::<RoomHeads>(&room)? {
        Some(record) => Ok(heads(&record)),
        None if read.get::<Rooms>(&room)?.is_none() => Ok(Heads::default()),
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
    let mut message = message_of(room, seq, read.expect::<Messages>(&(room, seq))?);
    message.amended = read.get::<Amendments>(&(room, seq))?.map(Box::new);
    Ok(Arc::new(message))
}

/// The message as it was sent, or last edited.
fn message_of(room: RoomId, seq: u64, record: MessageRecord) -> Message {
    Message {
        room,
        seq,
        ts: record.ts,
        sender: UserId(record.sender.0),
        client_id: record.client_id,
        body: record.body,
        reply_to: record.reply_to,
        amended: None,
    }
}

/// Applies in order and stops at the first that cannot be. An error that comes before anything
/// was written is the call's; a later one is the answer for the entry it concerns.
fn append(tables: &mut Tables<'_>, entries: &[Entry]) -> Result<Appended, StoreError> {
    for (committed, entry) in entries.iter().enumerate() {
        let applied = match entry {
            Entry::Message(message) => insert(tables, message),
            Entry::Change(change) => changes::change(tables, change),
            Entry::Reaction(reaction) => changes::react(tables, reaction),
        };
        let stopped = match applied {
            Ok(None) => continue,
            Ok(Some(stopped)) => stopped,
            Err(error) if committed == 0 => return Err(error),
            Err(error) => Stopped::Refused(error),
        };
        return Ok(Appended { committed, stopped: Some(stopped) });
    }
    Ok(Appended { committed: entries.len(), stopped: None })
}

/// The answer for an entry that the log cannot take, whoever asks.
pub(super) fn refused(why: &str) -> Result<Option<Stopped>, StoreError> {
    Ok(Some(Stopped::Refused(StoreError::Unavailable(why.into()))))
}

/// Inserts one message, or says why not; then nothing of it was written.
fn insert(tables: &mut Tables<'_>, message: &Message) -> Result<Option<Stopped>, StoreError> {
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

/// What is kept of a message under its seq.
pub(super) fn record_of(message: &Message) -> MessageRecord {
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
    amended(read, room, messages)
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
    let messages = collect(room, (after + 1..=newest).take(limit), scan, bytes_max)?;
    amended(read, room, messages)
}

/// The messages as they now are.
fn amended(
    read: &impl Read,
    room: RoomId,
    mut messages: Vec<Message>,
) -> Result<Vec<Arc<Message>>, StoreError> {
    changes::amend(read, room, &mut messages)?;
    Ok(messages.into_iter().map(Arc::new).collect())
}

/// The messages `expected`, which the scan must yield one by one: a hole is damage, for a reader
/// would take it for the truth. Ends before `bytes_max` of bodies are exceeded, but not with none.
fn collect(
    room: RoomId,
    expected: impl Iterator<Item = u64>,
    mut scan: impl Iterator<Item = Result<((RoomId, u64), MessageRecord), StoreError>>,
    bytes_max: usize,
) -> Result<Vec<Message>, StoreError> {
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
