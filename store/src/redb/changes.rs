//! Changes and reactions: how they are applied, and what is asked about them. For [`super::log`].
//!
//! Applying reads all it needs before it writes, so what is refused has written nothing.

use super::{
    keys::Key,
    log::{heads_of, message, refused},
    record::{Raw, damaged},
    tables::{
        Amendments, ChangeRecord, Changes, HeadsRecord, LatestChanges, Marker, Messages, Reactions,
        Table, Uncounted,
    },
    transaction::{Read, Tables},
};
use crate::{
    StoreError,
    log::{ChangedPage, Mark, Stopped, Target, UNCOUNTED_MAX},
};
use madang_protocol::{Amended, Change, ChangeKind, Emoji, Message, Reaction, RoomId, UserId};
use std::ops::Bound;

/// Changed messages one page looks at, most of which may be none of those asked for: a client that
/// was away for long must not keep a thread busy for long.
pub(super) const SCANNED_MAX: usize = 10_000;

/// Takes the next rev and brings the message up to date, or says why not.
pub(super) fn change(
    tables: &mut Tables<'_>,
    change: &Change,
) -> Result<Option<Stopped>, StoreError> {
    let Message { room, seq, .. } = *change.message;
    let Some(said) = change.message.amended.as_deref() else {
        return refused("a change without a rev");
    };
    let Some(known_heads) = tables.heads(room)? else {
        return refused("no such room");
    };
    if (1..=known_heads.last_rev).contains(&said.rev) {
        return Ok(Some(Stopped::Taken));
    }
    if said.rev != known_heads.last_rev + 1 {
        return refused("its rev would leave a hole");
    }
    if !(1..=known_heads.last_seq).contains(&seq) {
        return refused("no such message");
    }
    if said.deleted != (change.kind == ChangeKind::Delete) {
        return refused("it is a deletion and says that it is none, or the other way round");
    }
    let known = tables.get::<Amendments>(&(room, seq))?.unwrap_or_default();
    if known.deleted {
        return refused("the message is deleted");
    }
    let mut record = tables.expect::<Messages>(&(room, seq))?;

    let previous_rev = known.rev;
    let next = match change.kind {
        ChangeKind::Edit => Amended { rev: said.rev, edited_at: said.edited_at, ..known },
        ChangeKind::Delete => Amended { reactions: Vec::new(), ..said.clone() },
        ChangeKind::Reactions => Amended { rev: said.rev, ..known },
    };
    if change.kind != ChangeKind::Reactions {
        record.body = if next.deleted { "".into() } else { change.message.body.clone() };
        tables.put::<Messages>(&(room, seq), &record)?;
    }
    if next.deleted {
        tables.remove_prefix::<Reactions>(&(room, seq).to_bytes())?;
    }
    if next.deleted || next.reactions == said.reactions {
        tables.remove::<Uncounted>(&(room, seq))?;
    } else {
        // Somebody reacted whom this change does not know of.
        tables.put::<Uncounted>(&(room, seq), &Marker)?;
    }
    if previous_rev > 0 {
        tables.remove::<LatestChanges>(&(room, previous_rev))?;
    }
    tables.put::<LatestChanges>(&(room, next.rev), &seq)?;
    tables.put::<Changes>(&(room, next.rev), &record_of(change))?;
    tables.note_heads(room, HeadsRecord { last_rev: next.rev, ..known_heads });
    tables.put::<Amendments>(&(room, seq), &next)?;
    Ok(None)
}

fn record_of(change: &Change) -> ChangeRecord {
    ChangeRecord {
        seq: change.message.seq,
        kind: change.kind,
        by: change.by.map(|user| Raw(user.0)),
        ts: change.ts,
    }
}

/// Sets a reaction or takes it back, or says why not.
pub(super) fn react(
    tables: &mut Tables<'_>,
    reaction: &Reaction,
) -> Result<Option<Stopped>, StoreError> {
    let Reaction { room, seq, user, ref emoji, on } = *reaction;
    let Some(known_heads) = tables.heads(room)? else {
        return refused("no such room");
    };
    if !(1..=known_heads.last_seq).contains(&seq) {
        return refused("no such message");
    }
    let key = (room, seq, user, emoji.clone());
    if tables.get::<Reactions>(&key)?.is_some() == on {
        return Ok(None);
    }
    let mut amended = tables.get::<Amendments>(&(room, seq))?.unwrap_or_default();
    if amended.deleted {
        return refused("the message is deleted");
    }
    amended.count(emoji, on);
    if on {
        tables.put::<Reactions>(&key, &Marker)?;
    } else {
        tables.remove::<Reactions>(&key)?;
    }
    // Also when the last one is taken back: who read of it meanwhile is yet to be told.
    tables.put::<Uncounted>(&(room, seq), &Marker)?;
    if amended == Amended::default() {
        tables.remove::<Amendments>(&(room, seq))
    } else {
        tables.put::<Amendments>(&(room, seq), &amended)
    }?;
    Ok(None)
}

/// Puts what was changed about them into `messages`, which are contiguous and ascend. Hardly any
/// message was changed, so this is one look into the index for most pages.
pub(super) fn amend(
    read: &impl Read,
    room: RoomId,
    messages: &mut [Message],
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(()) };
    let first_seq = first.seq;
    let (from, to) = ((room, first_seq).to_bytes(), (room, last.seq).to_bytes());
    for item in read.scan::<Amendments>(Bound::Included(&from), Bound::Included(&to))? {
        let ((_, seq), amended) = item?;
        messages[(seq - first_seq) as usize].amended = Some(Box::new(amended));
    }
    Ok(())
}

/// Messages with reactions that no change has told yet.
pub(super) fn uncounted(read: &impl Read, room: RoomId) -> Result<Vec<u64>, StoreError> {
    let scan = read.scan_prefix::<Uncounted>(&room.to_bytes())?;
    scan.take(UNCOUNTED_MAX).map(|item| item.map(|((_, seq), _)| seq)).collect()
}

/// What a page of changed messages is asked for.
pub(super) struct Changed {
    pub(super) room: RoomId,
    pub(super) after_rev: u64,
    pub(super) to_seq: u64,
    pub(super) limit: usize,
    pub(super) bytes_max: usize,
    /// Changed messages to look at, see [`SCANNED_MAX`].
    pub(super) scanned_max: usize,
}

pub(super) fn changed(read: &impl Read, asked: &Changed) -> Result<ChangedPage, StoreError> {
    let Changed { room, after_rev, to_seq, limit, bytes_max, scanned_max } = *asked;
    let heads = heads_of(read, room)?;
    let mut page = ChangedPage { messages: Vec::new(), reached_rev: after_rev, heads };
    let mut bytes = 0_usize;
    let after = (room, after_rev).to_bytes();
    let mut latest = read.scan_after::<LatestChanges>(&room.to_bytes(), &after)?;
    for scanned in 0.. {
        let Some(item) = latest.next() else { break };
        let ((_, rev), seq) = item?;
        if scanned == scanned_max {
            return Ok(page);
        }
        if seq <= to_seq {
            if page.messages.len() == limit {
                return Ok(page);
            }
            let message = message(read, room, seq)?;
            if message.rev() != rev {
                return Err(no_change::<LatestChanges>(room, rev));
            }
            bytes = bytes.saturating_add(message.body.len());
            if bytes > bytes_max && !page.messages.is_empty() {
                return Ok(page);
            }
            page.messages.push(message);
        }
        page.reached_rev = rev;
    }
    // The last change of all is the latest of its message.
    if page.reached_rev < heads.last_rev {
        return Err(no_change::<LatestChanges>(room, heads.last_rev));
    }
    page.reached_rev = heads.last_rev;
    Ok(page)
}

pub(super) fn marks(
    read: &impl Read,
    room: RoomId,
    after_rev: u64,
    limit: usize,
) -> Result<Vec<Mark>, StoreError> {
    let last_rev = heads_of(read, room)?.last_rev;
    let after = (room, after_rev).to_bytes();
    let mut changes = read.scan_after::<Changes>(&room.to_bytes(), &after)?;
    let mut marks = Vec::new();
    for rev in (after_rev.saturating_add(1)..=last_rev).take(limit) {
        let ((_, found), record) =
            changes.next().ok_or_else(|| no_change::<Changes>(room, rev))??;
        if found != rev {
            return Err(no_change::<Changes>(room, rev));
        }
        let ChangeRecord { seq, kind, by, ts } = record;
        marks.push(Mark { rev, seq, kind, by: by.map(|user| UserId(user.0)), ts });
    }
    Ok(marks)
}

/// A hole among the changes is damage, for a reader would take it for the truth.
fn no_change<T: Table>(room: RoomId, rev: u64) -> StoreError {
    damaged(T::NAME, &(room, rev).to_bytes(), "missing, or not the latest")
}

pub(super) fn target(
    read: &impl Read,
    room: RoomId,
    seq: u64,
    user: UserId,
) -> Result<Option<Target>, StoreError> {
    if !(1..=heads_of(read, room)?.last_seq).contains(&seq) {
        return Ok(None);
    }
    let message = message(read, room, seq)?;
    Ok(Some(Target { message, mine: reactions_of(read, room, seq, user)? }))
}

/// What `user` reacted with to a message.
pub(super) fn reactions_of(
    read: &impl Read,
    room: RoomId,
    seq: u64,
    user: UserId,
) -> Result<Vec<Emoji>, StoreError> {
    let scan = read.scan_prefix::<Reactions>(&(room, seq, user).to_bytes())?;
    scan.map(|item| item.map(|((_, _, _, emoji), _)| emoji)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MessageLog, Options, RoomStore,
        conformance::fixtures::{edit, message, messages, new_group, new_user, room},
        metrics::Call,
        redb::Redb,
    };
    use madang_protocol::Entry;
    use std::sync::Arc;

    /// A page that passes over many ends early, and the next one goes on behind them.
    #[tokio::test]
    async fn a_page_looks_at_so_many_messages_at_most() {
        let directory = tempfile::tempdir().unwrap();
        let redb = Redb::open(Options::in_directory(directory.path())).unwrap();
        crate::AccountStore::create_users(&redb, vec![new_user(1)]).await.unwrap();
        redb.create(new_group(1, 1, &[])).await.unwrap();
        let sent = messages(1, 1, 5).into_iter().map(Entry::Message);
        // The first message is changed last.
        let edits = (1..=5).map(|rev| edit(&message(1, 6 - rev, 1), rev, "edited"));
        let edits = edits.map(|change| Entry::Change(Arc::new(change)));
        assert_eq!(redb.append(sent.chain(edits).collect()).await.committed, 10);
        let page = |after_rev| {
            let (to_seq, limit, bytes_max, scanned_max) = (1, 9, 99, 2);
            let room = room(1);
            let asked = Changed { room, after_rev, to_seq, limit, bytes_max, scanned_max };
            let page = redb.engine.read(Call::Changed, |snapshot| changed(snapshot, &asked));
            let page = page.unwrap();
            (page.messages.iter().map(|message| message.seq).collect::<Vec<_>>(), page.reached_rev)
        };
        assert_eq!(page(0), (vec![], 2));
        assert_eq!(page(2), (vec![], 4));
        assert_eq!(page(4), (vec![1], 5));
    }
}
