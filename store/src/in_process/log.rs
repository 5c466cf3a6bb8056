//! [`MessageLog`] in memory.

use super::{
    Data, InProcess,
    room::{Room, refused},
};
use crate::{
    MessageLog, StoreError,
    log::{
        Activation, Appended, ChangedPage, Mark, NEWS_MAX, Page, Sent, Target, UNCOUNTED_MAX,
        is_news,
    },
};
use async_trait::async_trait;
use madang_protocol::{ClientId, Emoji, Entry, Heads, Message, RoomId, UserId, operation::Range};
use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

#[async_trait]
impl MessageLog for InProcess {
    async fn append(&self, entries: Vec<Entry>) -> Appended {
        self.append_now(&entries)
    }

    async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        Ok(self.data()?.rooms.get(&room).map(|of_room| Activation {
            kind: of_room.kind,
            heads: of_room.heads,
            last_ts: of_room.messages.last().map_or(0, |message| message.ts),
            window: newest(&of_room.messages, window, usize::MAX),
            uncounted: of_room.uncounted.iter().take(UNCOUNTED_MAX).copied().collect(),
        }))
    }

    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        let data = self.data()?;
        let of_room = data.rooms.get(&room);
        Ok(sent.iter().map(|name| of_room?.sent.get(name).copied()).collect())
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let data = self.data()?;
        let Some(of_room) = data.rooms.get(&room) else { return Ok(Page::default()) };
        let all = &of_room.messages[..];
        let until = |seq: u64| usize::try_from(seq).unwrap_or(usize::MAX).min(all.len());
        let messages = match range {
            Range::Newest => newest(all, limit, bytes_max),
            Range::Before(seq) => newest(&all[..until(seq.saturating_sub(1))], limit, bytes_max),
            Range::After(seq) => fit(all[until(seq)..].iter(), limit, bytes_max),
        };
        let Heads { last_seq, last_rev, .. } = of_room.heads;
        Ok(Page { messages, last_seq, last_rev })
    }

    async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<ChangedPage, StoreError> {
        let data = self.data()?;
        let Some(of_room) = data.rooms.get(&room) else {
            return Ok(ChangedPage { reached_rev: after_rev, ..ChangedPage::default() });
        };
        let heads = of_room.heads;
        let mut page = ChangedPage { messages: Vec::new(), reached_rev: after_rev, heads };
        let mut bytes = 0_usize;
        for (rev, seq) in of_room.latest.range((Excluded(after_rev), Unbounded)) {
            if let Some(message) = of_room.message(*seq).filter(|_| *seq <= to_seq) {
                bytes = bytes.saturating_add(message.body.len());
                let is_full = bytes > bytes_max && !page.messages.is_empty();
                if is_full || page.messages.len() == limit {
                    return Ok(page);
                }
                page.messages.push(message.clone());
            }
            page.reached_rev = *rev;
        }
        page.reached_rev = heads.last_rev;
        Ok(page)
    }

    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        let data = self.data()?;
        let marks = data.rooms.get(&room).map_or(&[][..], |of_room| &of_room.marks);
        let later = marks.iter().filter(|mark| mark.rev > after_rev);
        Ok(later.take(limit).copied().collect())
    }

    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        let data = self.data()?;
        Ok(data.rooms.get(&room).and_then(|of_room| {
            let message = of_room.message(seq)?.clone();
            Some(Target { message, mine: of_room.reactions_of(seq, user) })
        }))
    }

    async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        let data = self.data()?;
        let of_room = data.rooms.get(&room);
        let mine = |seq| of_room.map_or_else(Vec::new, |room: &Room| room.reactions_of(seq, user));
        Ok(seqs.into_iter().map(mine).collect())
    }

    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        let data = self.data()?;
        let now = |(room, known): &(RoomId, Heads)| {
            let now = data.rooms.get(room)?.heads;
            is_news(known, &now).then_some((*room, now))
        };
        Ok(known.iter().take(NEWS_MAX).filter_map(now).collect())
    }
}

/// Applies in order, and stops at the first that cannot be.
pub(super) fn append(data: &mut Data, entries: &[Entry]) -> Appended {
    for (committed, entry) in entries.iter().enumerate() {
        let applied = match data.rooms.get_mut(&entry.room()) {
            Some(room) => room.apply(entry),
            None => Err(refused("no such room")),
        };
        if let Err(stopped) = applied {
            return Appended { committed, stopped: Some(stopped) };
        }
    }
    Appended { committed: entries.len(), stopped: None }
}

/// The last of `messages`, ascending.
fn newest(messages: &[Arc<Message>], limit: usize, bytes_max: usize) -> Vec<Arc<Message>> {
    let mut newest = fit(messages.iter().rev(), limit, bytes_max);
    newest.reverse();
    newest
}

/// The first of `messages`, at most `limit` and `bytes_max` of bodies, but not none.
fn fit<'a>(
    messages: impl Iterator<Item = &'a Arc<Message>>,
    limit: usize,
    bytes_max: usize,
) -> Vec<Arc<Message>> {
    let mut bytes = 0_usize;
    let fits = |(place, message): &(usize, &Arc<Message>)| {
        bytes = bytes.saturating_add(message.body.len());
        bytes <= bytes_max || *place == 0
    };
    let fitting = messages.take(limit).enumerate().take_while(fits);
    fitting.map(|(_, message)| message.clone()).collect()
}
