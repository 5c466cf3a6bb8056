//! The writer: alone changes the file.
//!
//! Its thread takes everything that is queued, applies it in one transaction, makes that durable, and then
//! answers everyone: what arrives meanwhile forms the next transaction. So the more arrive, the
//! more share a commit, and one who is alone waits for nobody. A caller whose thread may wait for the disk,
//! and who finds nothing queued, commits there itself, which spares the way to the thread and back.
//!
//! A small transaction is made durable in the [journal](super::journal), a large one, or one that finds it
//! full, in the data file. One that is small and asks for single records only, as messages and receipts do,
//! is *light*: it does without redb, which takes it in [later](super::overlay).
//!
//! After a failed commit redb refuses everything until the file is opened again, and says that the
//! commit may have taken effect all the same. So the writer opens the file again and looks at how many
//! commits there are to learn what became of it, before it answers. Until a commit succeeds again it
//! *rests*: it refuses jobs at once, and tries by itself, less and less often.

mod commit;

use self::commit::{Committed, Failure};
use super::{
    engine::{Core, broken_structure},
    file::{Source, let_go},
    job::{Fate, Job},
};
use crate::{StoreError, open::OpenError};
use ::redb::Database;
use madang_resilience::{Backoff, State};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Jobs of one transaction at most, so that it ends although more keep arriving.
const BATCH_JOBS_MAX: usize = 1_024;
/// How long nobody may arrive before a transaction is begun: a third of what a commit takes.
const MOMENT: Duration = Duration::from_micros(100);
/// The first pause after a failed commit, and the longest.
const REST_FIRST_MS: u64 = 20;
const REST_LONGEST_MS: u64 = 2_000;

type Batch = Vec<Box<dyn Job>>;

/// What it knows. Whoever holds it alone commits.
pub(super) struct Writer {
    core: Arc<Core>,
    source: Source,
    doubt_wait: Duration,
    /// The number of the last commit known to have taken effect.
    commits: u64,
    /// Jobs of the last transaction.
    answered: usize,
    /// The last transaction was more than the journal takes.
    was_large: bool,
    backoff: Backoff,
    /// While it rests: when it tries again.
    rest_until: Option<Instant>,
    /// Jobs of a commit that failed, until it is known whether it took effect.
    doubt: Option<Doubt>,
}

/// Where the writer is, for whoever wants to commit; empty once it has let go of the data.
pub(super) type Place = Mutex<Option<Writer>>;

struct Doubt {
    batch: Batch,
    error: StoreError,
    deadline: Instant,
}

impl Writer {
    pub(super) fn new(core: Arc<Core>, source: Source, commits: u64, doubt_wait: Duration) -> Self {
        Self {
            core,
            source,
            doubt_wait,
            commits,
            answered: 0,
            was_large: false,
            backoff: Backoff::new(REST_FIRST_MS, REST_LONGEST_MS),
            rest_until: None,
            doubt: None,
        }
    }

    /// Commits a job now, on the caller's thread; not while it rests.
    pub(super) fn write_one(&mut self, job: Box<dyn Job>) {
        debug_assert!(!self.is_resting(), "whether the last one took effect is not known");
        self.write(vec![job], Instant::now());
    }

    /// The last commit failed, and only the thread finds out what became of it.
    pub(super) fn is_resting(&self) -> bool {
        self.rest_until.is_some()
    }

    /// Transactions that were committed.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    fn write(&mut self, batch: Batch, began: Instant) {
        batch.iter().for_each(|job| self.core.metrics.write_begins(job.since().elapsed()));
        self.commit(batch, began);
    }

    fn commit(&mut self, batch: Batch, began: Instant) {
        let (batch, outcome) = self.transact(batch);
        self.answered = batch.len();
        match outcome {
            Ok(Committed { messages, is_large }) => {
                self.commits += 1;
                self.was_large = is_large;
                self.source.witness(self.commits);
                self.core.metrics.commit(messages, batch.len(), began.elapsed());
                self.core.set_health(State::Ok);
                self.backoff.reset();
                self.rest_until = None;
                answer(batch, &Fate::Committed);
                if self.core.overlay.is_full() {
                    self.take_in();
                }
            }
            Err(Failure::Within(error)) => self.fail(batch, error),
            Err(Failure::Before(error)) => {
                answer(batch, &Fate::Refused(error.clone()));
                self.fail(Vec::new(), error);
            }
        }
    }

    /// One durable transaction of those jobs of `batch` that can be applied; the others are
    /// answered.
    fn transact(&self, mut batch: Batch) -> (Batch, Result<Committed, Failure>) {
        for job in &batch {
            self.core.metrics.call(job.call());
        }
        let database = self.core.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = database.as_ref() else {
            return (batch, Err(Failure::Before(resting())));
        };
        let attempt = AssertUnwindSafe(|| {
            loop {
                if let Some(committed) = self.try_transaction(database, &mut batch)? {
                    return Ok(committed);
                }
            }
        });
        let outcome = catch_unwind(attempt).unwrap_or_else(|_| Err(broken_structure().into()));
        self.core.count_pages(database);
        (batch, outcome)
    }

    /// Has the tables take in what lies above them.
    fn take_in(&mut self) {
        let taken_in = catch_unwind(AssertUnwindSafe(|| {
            let database = self.core.database.read().unwrap_or_else(PoisonError::into_inner);
            database.as_ref().map_or(Ok(()), |database| self.core.overlay.take_in(database))
        }));
        if let Err(error) = taken_in.unwrap_or_else(|_| Err(broken_structure())) {
            self.fail(Vec::new(), error);
        }
    }

    /// A commit failed: closes the database and tries to find out what became of it.
    fn fail(&mut self, batch: Batch, error: StoreError) {
        tracing::error!(%error, jobs = batch.len(), "a commit failed");
        self.core.set_health(State::Degraded);
        let deadline = Instant::now() + self.doubt_wait;
        self.doubt = Some(Doubt { batch, error, deadline });
        // Dropped here, before it is opened again: the old handle holds the file's lock.
        if let Some(database) = self.take_database() {
            let_go(database);
        }
        self.reopen();
        self.rest();
    }

    /// Time to try again.
    fn recover(&mut self) {
        if self.is_open() || self.reopen() {
            // Without jobs: all has to get into the data file, so it finds out.
            self.commit(Vec::new(), Instant::now());
        } else {
            self.rest();
        }
    }

    /// Until the next attempt, and not past the time at which waiting jobs are given up. Without
    /// jitter: nobody else competes for this file.
    fn rest(&mut self) {
        let pause = Duration::from_millis(self.backoff.next_ms(u64::MAX));
        let until = Instant::now() + pause;
        let deadline = self.doubt.as_ref().map(|doubt| doubt.deadline);
        self.rest_until = Some(deadline.map_or(until, |deadline| until.min(deadline)));
    }

    /// Opens the database and resolves the doubt, or gives it up when its time is over.
    fn reopen(&mut self) -> bool {
        self.core.metrics.reopen();
        let opened = catch_unwind(AssertUnwindSafe(|| self.source.open())).unwrap_or_else(|_| {
            let source = io::Error::other("its structure is broken");
            Err(OpenError::Io { path: self.source.path(), source })
        });
        match opened {
            Ok((database, commits)) => {
                let mut place = self.core.database.write().unwrap_or_else(PoisonError::into_inner);
                *place = Some(database);
                self.core.metrics.pages_begin_anew();
                drop(place);
                self.core.set_health(State::Degraded);
                self.resolve(commits);
                true
            }
            Err(error) => {
                tracing::error!(%error, "the database could not be opened again");
                self.core.set_health(State::Down);
                self.give_up_late();
                false
            }
        }
    }

    /// Answers the jobs of the failed commit by what the file and its journal say: `commits` are there.
    fn resolve(&mut self, commits: u64) {
        let before = std::mem::replace(&mut self.commits, commits);
        let Some(doubt) = self.doubt.take() else { return };
        let fate = match commits.checked_sub(before) {
            Some(0) => Fate::Refused(doubt.error),
            Some(1) => {
                self.source.witness(commits);
                Fate::Committed
            }
            _ => Fate::Unknown("the count of commits is off".into()),
        };
        answer(doubt.batch, &fate);
    }

    fn give_up_late(&mut self) {
        if let Some(doubt) = self.doubt.take_if(|doubt| doubt.deadline <= Instant::now()) {
            answer(doubt.batch, &Fate::Unknown(doubt.error.to_string()));
        }
    }

    fn is_open(&self) -> bool {
        self.core.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take_database(&self) -> Option<Database> {
        let mut place = self.core.database.write().unwrap_or_else(PoisonError::into_inner);
        self.core.overlay.clear();
        place.take()
    }

    /// Everything queued is answered; the file is left as after a clean shutdown.
    fn finish(mut self) {
        if let Some(doubt) = self.doubt.take() {
            answer(doubt.batch, &Fate::Unknown(doubt.error.to_string()));
        }
        if self.is_open() && !self.source.is_journal_empty() {
            self.commit(Vec::new(), Instant::now());
        }
        match self.take_database().map(Database::close) {
            Some(Ok(())) if self.source.is_journal_empty() => self.source.remove_journal(),
            Some(Err(error)) => tracing::warn!(%error, "the database was not closed cleanly"),
            _ => {}
        }
        self.core.set_health(State::Down);
    }
}

/// Gives `writer` a thread, which ends when the queue is closed and empty; `end` turns true then.
pub(super) fn spawn(
    writer: Writer,
    jobs: Receiver<Box<dyn Job>>,
    end: watch::Sender<bool>,
) -> Result<(Arc<Place>, JoinHandle<()>), OpenError> {
    let path = writer.source.path();
    let place = Arc::new(Mutex::new(Some(writer)));
    let writer = place.clone();
    let thread = thread::Builder::new()
        .name("madang-store".into())
        .spawn(move || {
            run(&writer, &jobs);
            end.send_replace(true);
        })
        .map_err(|source| OpenError::Io { path, source })?;
    Ok((place, thread))
}

fn run(place: &Place, jobs: &Receiver<Box<dyn Job>>) {
    // Known without a look, so that it waits for a job without being in anybody's way: nobody else ends a
    // rest, and who begins one sends a job.
    let mut rest_until = None;
    loop {
        let received = match rest_until.map(remaining) {
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
            // Its time comes however many jobs wait to be refused.
            Some(Duration::ZERO) => Err(RecvTimeoutError::Timeout),
            Some(rest) => jobs.recv_timeout(rest),
        };
        let mut place = lock(place);
        let Some(writer) = place.as_mut() else {
            break;
        };
        match received {
            Ok(job) if writer.rest_until.is_some() => {
                writer.core.taken(1);
                job.answer(&Fate::Refused(resting()));
            }
            Ok(first) => {
                let began = Instant::now();
                let batch = gather(first, jobs, writer.answered);
                writer.core.taken(batch.len());
                writer.write(batch, began);
            }
            Err(RecvTimeoutError::Timeout) => writer.recover(),
            Err(RecvTimeoutError::Disconnected) => break,
        }
        rest_until = writer.rest_until;
    }
    if let Some(writer) = lock(place).take() {
        writer.finish();
    }
}

/// Takes what is queued. Those who were just `answered` come back within microseconds, but not
/// all before the first of them has woken this thread; a commit for that one alone would make
/// the others wait for the next. So the thread steps aside until as many are here as were
/// answered, or until a moment brings nobody. One who is alone never waits.
fn gather(first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>, answered: usize) -> Batch {
    let mut batch = vec![first];
    let mut arrived = Instant::now();
    loop {
        let known = batch.len();
        batch.extend(jobs.try_iter().take(BATCH_JOBS_MAX - known));
        if batch.len() > known {
            arrived = Instant::now();
        } else if known >= answered || arrived.elapsed() > MOMENT {
            return batch;
        }
        thread::yield_now();
    }
}

/// What panics in a commit is caught there, so whoever held it left it whole.
fn lock(place: &Place) -> MutexGuard<'_, Option<Writer>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remaining(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn answer(batch: Batch, fate: &Fate) {
    for job in batch {
        job.answer(fate);
    }
}

fn resting() -> StoreError {
    StoreError::Unavailable("writes are refused until a commit succeeds again".into())
}

#[cfg(test)]
mod tests;
