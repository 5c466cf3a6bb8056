//! The log, and what may happen to an ordered command.

use super::{
    ANSWER_WITHIN, Call, Effect, Elsewhere, Fate, Faulty, INJECTED, Outcome, Script, refusal,
    unknown, wait,
};
use crate::{
    MessageLog, StoreError,
    log::{Activation, Appended, ChangedPage, Mark, Page, Sent, Stopped, Target},
};
use async_trait::async_trait;
use madang_protocol::{ClientId, Emoji, Entry, Heads, RoomId, UserId, operation::Range};
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::sync::oneshot;

impl Faulty {
    /// The first `done` of `entries` take effect, and the rest as `outcome` says.
    async fn append_as(&self, mut entries: Vec<Entry>, outcome: Outcome) -> Appended {
        let Division { done, told, stopped, rest } = Division::of(outcome, entries.len());
        self.tail.clear();
        let behind = entries.split_off(done);
        let appended = append(&self.inner.log, &*self.script, entries, false).await;
        if appended.stopped.is_some() {
            return appended; // and nothing behind it is attempted
        }
        if self.script.shows_uncommitted() {
            self.tail.show(&behind);
        }
        if let Some(rest) = rest {
            let (log, script) = (self.inner.log.clone(), self.script.clone());
            tokio::task::spawn_local(async move {
                tokio::time::sleep(rest).await;
                append(&log, &*script, behind, true).await;
            });
        }
        Appended { committed: appended.committed.min(told), stopped }
    }
}

impl Faulty {
    async fn append_elsewhere(&self, elsewhere: &Elsewhere, entries: Vec<Entry>) -> Appended {
        let fate = self.script.fate(Call::Append);
        if self.is_closed.load(Relaxed) {
            return Appended { committed: 0, stopped: Some(Stopped::Refused(refusal())) };
        }
        assert!(fate.outcome != Outcome::Panic, "{INJECTED}");
        let (answer, answered) = oneshot::channel();
        let (log, script) = (self.inner.log.clone(), self.script.clone());
        elsewhere(Box::pin(Command { log, script, entries, fate, answer }.carry_out()));
        let answered = tokio::time::timeout(ANSWER_WITHIN, answered).await;
        let unanswered = Appended { committed: 0, stopped: Some(Stopped::Unknown(unknown())) };
        answered.ok().and_then(Result::ok).unwrap_or(unanswered)
    }
}

/// What becomes of the parts of a command.
struct Division {
    /// So many take effect at once.
    done: usize,
    /// The answer tells of so many of them at most.
    told: usize,
    stopped: Option<Stopped>,
    /// When the rest does.
    rest: Option<Duration>,
}

impl Division {
    fn of(outcome: Outcome, count: usize) -> Self {
        let not_all = count.saturating_sub(1);
        let (done, told, stopped, rest) = match outcome {
            Outcome::Done => (count, count, None, None),
            Outcome::Refused { done } => {
                (done.of(not_all), count, Some(Stopped::Refused(refusal())), None)
            }
            Outcome::Unknown { done, told, rest } => {
                (done.of(count), told.of(not_all), Some(Stopped::Unknown(unknown())), rest)
            }
            Outcome::Panic => (0, 0, Some(Stopped::Refused(refusal())), None),
        };
        Self { done, told, stopped, rest }
    }
}

/// A command on its way, with whoever waits for its answer.
struct Command {
    log: Arc<dyn MessageLog>,
    script: Arc<dyn Script>,
    entries: Vec<Entry>,
    fate: Fate,
    answer: oneshot::Sender<Appended>,
}

impl Command {
    async fn carry_out(self) {
        let Self { log, script, mut entries, fate, answer } = self;
        wait(fate.before).await;
        let Division { done, told, stopped, rest } = Division::of(fate.outcome, entries.len());
        let behind = entries.split_off(done);
        script.took_effect(Effect::Arrived(&entries, answer.is_closed()));
        let appended = log.append(entries).await;
        wait(fate.after).await;
        if appended.stopped.is_some() {
            // And nothing behind it is attempted. Who is gone hears nothing.
            let _ = answer.send(appended);
            return;
        }
        let _ = answer.send(Appended { committed: appended.committed.min(told), stopped });
        if let Some(rest) = rest {
            wait(rest).await;
            script.took_effect(Effect::Arrived(&behind, true));
            log.append(behind).await;
        }
    }
}

async fn append(
    log: &Arc<dyn MessageLog>,
    script: &dyn Script,
    entries: Vec<Entry>,
    is_late: bool,
) -> Appended {
    let appended = log.append(entries.clone()).await;
    script.took_effect(Effect::Appended(&entries, &appended, is_late));
    appended
}

#[async_trait]
impl MessageLog for Faulty {
    async fn append(&self, entries: Vec<Entry>) -> Appended {
        if let Some(elsewhere) = &self.elsewhere {
            return self.append_elsewhere(elsewhere, entries).await;
        }
        let (outcome, after) = self.begin(Call::Append).await;
        let appended = self.append_as(entries, outcome).await;
        wait(after).await;
        appended
    }

    async fn activate(
        &self,
        room: RoomId,
        window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        self.read(self.inner.log.activate(room, window)).await
    }

    async fn find_sent(
        &self,
        room: RoomId,
        sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        let asked = sent.clone();
        let mut found = self.read(self.inner.log.find_sent(room, sent)).await?;
        self.tail.add_found(room, &asked, &mut found);
        Ok(found)
    }

    async fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
        bytes_max: usize,
    ) -> Result<Page, StoreError> {
        let mut page = self.read(self.inner.log.page(room, range, limit, bytes_max)).await?;
        if !matches!(range, Range::Before(_)) {
            self.tail.add_page(room, &mut page);
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
        self.read(self.inner.log.changed(room, after_rev, to_seq, limit, bytes_max)).await
    }

    async fn marks(
        &self,
        room: RoomId,
        after_rev: u64,
        limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        self.read(self.inner.log.marks(room, after_rev, limit)).await
    }

    async fn target(
        &self,
        room: RoomId,
        seq: u64,
        user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        self.read(self.inner.log.target(room, seq, user)).await
    }

    async fn my_reactions(
        &self,
        room: RoomId,
        user: UserId,
        seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        self.read(self.inner.log.my_reactions(room, user, seqs)).await
    }

    async fn news(&self, known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        self.read(self.inner.log.news(known)).await
    }
}
