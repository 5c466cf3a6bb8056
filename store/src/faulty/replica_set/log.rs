//! The log: commands document by document, reads of the majority unless a test wants them wrong.

use super::{Machines, Reads, state::Written};
use crate::{
    MessageLog, StoreError,
    in_process::InProcess,
    log::{Activation, Appended, ChangedPage, Mark, Page, Sent, Stopped, Target},
};
use async_trait::async_trait;
use madang_protocol::{ClientId, Emoji, Entry, Heads, RoomId, UserId, operation::Range};
use std::time::Duration;
use tokio::time::{sleep, sleep_until};

impl Machines {
    /// Writes one document to the primary of `term`.
    fn write(&self, term: u64, entry: &Entry) -> Result<Written, Stopped> {
        let mut state = self.settled();
        if state.term() != term {
            return Err(stepped_down());
        }
        let appended = self.primary.append_now(std::slice::from_ref(entry));
        match appended.stopped {
            None => Ok(state.write(entry.clone(), self.weather.lag())),
            Some(Stopped::Duplicate) if self.is_taken(entry) && self.weather.names_place() => {
                Err(Stopped::Taken)
            }
            Some(stopped) => Err(stopped),
        }
    }

    fn is_taken(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Message(message)
            if message.seq <= self.primary.last_seq(message.room))
    }

    /// Waits until it is known of each whether the majority has it; how many of the first do.
    async fn wait_for_majority(&self, written: &[Written]) -> usize {
        for (place, one) in written.iter().enumerate() {
            let is_committed = loop {
                sleep_until(one.due).await;
                if let Some(is_committed) = self.settled().is_committed(one) {
                    break is_committed;
                }
            };
            if !is_committed {
                return place;
            }
        }
        written.len()
    }

    fn activation(&self) -> &InProcess {
        if self.reads == Reads::LocalActivation { self.local() } else { self.majority() }
    }

    fn read_back(&self) -> &InProcess {
        if self.reads == Reads::LocalReadBack { self.local() } else { self.majority() }
    }
}

#[async_trait]
impl MessageLog for Machines {
    async fn append(&self, entries: Vec<Entry>) -> Appended {
        let term = self.settled().term();
        let (mut written, mut stopped) = (Vec::with_capacity(entries.len()), None);
        for entry in &entries {
            if !written.is_empty() {
                wait(self.weather.pause()).await;
            }
            match self.write(term, entry) {
                Ok(one) => written.push(one),
                Err(why) => {
                    stopped = Some(why);
                    break;
                }
            }
        }
        let committed = self.wait_for_majority(&written).await;
        if committed < written.len() {
            stopped = Some(stepped_down());
        }
        Appended { committed, stopped }
    }

    async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        self.activation().activate(room, window).await
    }

    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        self.read_back().find_sent(room, sent).await
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let page = self.read_back().page(room, range, limit, bytes_max).await?;
        if self.reads == Reads::StalePages {
            let stale = self.secondary.page(room, range, limit, bytes_max).await?;
            if stale.last_seq >= page.last_seq {
                return Ok(Page { last_rev: page.last_rev, ..stale });
            }
        }
        Ok(page)
    }

    async fn changed(
        &self,
        room: RoomId,
        after_rev: u64,
        to_seq: u64,
        limit: usize,
        bytes_max: usize,
    ) -> Result<ChangedPage, StoreError> {
        let page = self.read_back().changed(room, after_rev, to_seq, limit, bytes_max).await?;
        if self.reads == Reads::StalePages {
            let secondary = &self.secondary;
            let stale = secondary.changed(room, after_rev, to_seq, limit, bytes_max).await?;
            if stale.heads.last_seq >= page.heads.last_seq {
                let (reached_rev, heads) = (page.reached_rev, page.heads);
                return Ok(ChangedPage { reached_rev, heads, ..stale });
            }
        }
        Ok(page)
    }

    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        self.read_back().marks(room, after_rev, limit).await
    }

    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        self.majority().target(room, seq, user).await
    }

    async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        self.majority().my_reactions(room, user, seqs).await
    }

    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        self.majority().news(known).await
    }
}

async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

fn stepped_down() -> Stopped {
    Stopped::Unknown(StoreError::Unknown("the primary stepped down".into()))
}
