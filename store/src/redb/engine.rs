//! Reading and writing: what the traits' implementations are written with.

use super::{
    file::Source,
    job::{Job, Write},
    overlay::Overlay,
    transaction::{Snapshot, Tables},
    writer::{self, Writer},
};
use crate::{
    StoreError,
    metrics::{Call, Metrics, PageReads},
    open::{OpenError, Options},
};
use ::redb::{Database, ReadableDatabase};
use madang_resilience::{Part, State};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::{oneshot, watch};

/// The database and its writer.
pub(super) struct Engine {
    core: Arc<Core>,
    writer: Arc<writer::Place>,
    /// Taken away to end the writer's thread, which finishes what is queued.
    jobs: RwLock<Option<SyncSender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Turns true when the writer has let go of the data.
    closed: watch::Receiver<bool>,
}

/// What callers and the writer share.
pub(super) struct Core {
    /// Empty while it is closed to be opened again, and after the end. Reads hold it shared for as
    /// long as they take, commits too; only closing and opening hold it alone.
    pub(super) database: RwLock<Option<Database>>,
    /// Above it, and empty where it is.
    pub(super) overlay: Overlay,
    pub(super) metrics: Metrics,
    health: Mutex<Part>,
    /// Jobs that wait for the writer's thread.
    waiting: AtomicUsize,
}

impl Engine {
    pub(super) fn open(options: &Options) -> Result<Self, OpenError> {
        let source = Source::new(options.medium.clone(), options.cache_bytes)?;
        let (database, commits) = source.open()?;
        let core = Arc::new(Core {
            database: RwLock::new(Some(database)),
            overlay: Overlay::default(),
            metrics: Metrics::new(),
            health: Mutex::new(Part { state: State::Ok, since: now() }),
            waiting: AtomicUsize::new(0),
        });
        let (jobs, queue) = sync_channel(options.queue_jobs_max);
        let (end, closed) = watch::channel(false);
        let writer = Writer::new(core.clone(), source, commits, options.doubt_wait);
        let (writer, thread) = writer::spawn(writer, queue, end)?;
        let (jobs, thread) = (RwLock::new(Some(jobs)), Mutex::new(Some(thread)));
        Ok(Self { core, writer, jobs, thread, closed })
    }

    /// Runs `body` on a snapshot, in the caller's turn: no commit makes it wait.
    pub(super) fn read<T>(
        &self,
        call: Call,
        body: impl FnOnce(&Snapshot) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        self.read_ended(call, began, self.core.read(call, body))
    }

    fn read_ended<T>(
        &self,
        call: Call,
        began: Instant,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        // A failed read makes redb refuse every later call: let the writer find out and open the
        // file again, rather than the next sender.
        if let Err(StoreError::Unavailable(_)) = &answer {
            self.write_later(Call::Probe, |_| Ok(()));
        }
        self.core.answered(call, began, answer)
    }

    /// As [`Engine::read`], on a thread of its own: for what takes long enough for others to notice.
    pub(super) async fn read_aside<T: Send + 'static>(
        &self,
        call: Call,
        body: impl FnOnce(&Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (core, began) = (self.core.clone(), Instant::now());
        let read = tokio::task::spawn_blocking(move || core.read(call, body)).await;
        let answer = read.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())));
        self.read_ended(call, began, answer)
    }

    /// Hands `body` to the writer's thread and waits until its transaction is durable.
    ///
    /// `body` may run more than once, since its transaction is begun again without those of its
    /// companions that failed half way; only the last run counts.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        call: Call,
        body: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(call, |reply| Write::new(call, body, reply), |job| self.enqueue(job)).await
    }

    /// As [`Engine::write`], for a body that leaves heads and read positions to
    /// [`Tables::settle`].
    pub(super) async fn gather<T: Send + 'static>(
        &self,
        call: Call,
        body: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |reply| Write::gathering(call, body, reply);
        self.submit(call, job, |job| self.enqueue(job)).await
    }

    /// As [`Engine::gather`], in the caller's turn where nothing else waits to be written. For who has
    /// gathered already, and whose thread may wait for the disk.
    pub(super) async fn gather_here<T: Send + 'static>(
        &self,
        call: Call,
        body: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let job = |reply| Write::gathering(call, body, reply);
        self.submit(call, job, |job| self.commit_here(job)).await
    }

    /// As [`Engine::write`], without waiting; lost when the queue is full.
    pub(super) fn write_later(
        &self,
        call: Call,
        body: impl FnMut(&mut Tables<'_>) -> Result<(), StoreError> + Send + 'static,
    ) {
        let (reply, _) = oneshot::channel();
        // Nobody waits for the answer, so nobody misses it.
        let _ = self.enqueue(Box::new(Write::new(call, body, reply)));
    }

    pub(super) fn health(&self) -> Part {
        self.core.health()
    }

    pub(super) async fn close(&self) {
        self.end();
        // An error means that the writer is gone, which is what is waited for.
        let _ = self.closed.clone().wait_for(|closed| *closed).await;
    }

    /// Transactions that were committed, once the writer has nothing to do.
    #[cfg(test)]
    pub(super) fn commits(&self) -> u64 {
        self.writer.lock().unwrap().as_ref().map_or(0, Writer::commits)
    }

    /// Records that the tables have not taken in.
    #[cfg(test)]
    pub(super) fn overlaid(&self) -> usize {
        self.core.overlay.count()
    }

    async fn submit<T: Send + 'static, J: Job + 'static>(
        &self,
        call: Call,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> J,
        hand_in: impl FnOnce(Box<dyn Job>) -> Result<(), StoreError>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let (reply, answer) = oneshot::channel();
        let answer = match hand_in(Box::new(job(reply))) {
            Ok(()) => answer
                .await
                .unwrap_or_else(|_| Err(StoreError::Unknown("the writer gave no answer".into()))),
            Err(error) => Err(error),
        };
        self.core.answered(call, began, answer)
    }

    /// Commits here, unless others wait or are at it: whoever came before is not passed by.
    fn commit_here(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let is_first = self.core.waiting.load(Ordering::Relaxed) == 0 && !self.is_ended();
        let mut place = is_first.then(|| self.writer.try_lock().ok()).flatten();
        let writer = place.as_mut().and_then(|place| place.as_mut());
        let Some(writer) = writer.filter(|writer| !writer.is_resting()) else {
            drop(place);
            return self.enqueue(job);
        };
        writer.write_one(job);
        if writer.is_resting() {
            // Its thread sleeps until there is a job: from now on it has to look at the time as well.
            self.write_later(Call::Probe, |_| Ok(()));
        }
        Ok(())
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("closed".into());
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner);
        let jobs = jobs.as_ref().ok_or_else(closed)?;
        // Before it is sent: the writer may take it, and count it off, at once.
        self.core.waiting.fetch_add(1, Ordering::Relaxed);
        self.core.metrics.writes_waiting.increment(1);
        let refused = match jobs.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) => StoreError::Overloaded,
            Err(TrySendError::Disconnected(_)) => closed(),
        };
        self.core.taken(1);
        Err(refused)
    }

    fn is_ended(&self) -> bool {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn end(&self) {
        *self.jobs.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Engine {
    /// The data is free when this returns. Waits for the commit under way and what is queued.
    fn drop(&mut self) {
        self.end();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

impl Core {
    fn read<T>(
        &self,
        call: Call,
        body: impl FnOnce(&Snapshot) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let database = database
            .as_ref()
            .ok_or_else(|| StoreError::Unavailable("the database is not open".into()))?;
        self.metrics.call(call);
        let read = || {
            self.overlay.take_in(database)?;
            body(&Snapshot::take(database)?)
        };
        // redb may panic over damaged pages: that costs this call, not the caller's thread.
        let answer =
            catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(broken_structure()));
        self.count_pages(database);
        answer
    }

    /// Tells what the page cache has done so far.
    pub(super) fn count_pages(&self, database: &Database) {
        self.metrics.pages(|| {
            let pages = database.cache_stats();
            PageReads {
                from_cache: pages.read_hits(),
                from_file: pages.read_misses(),
                bytes: pages.used_bytes() as u64,
            }
        });
    }

    /// So many jobs wait no more.
    pub(super) fn taken(&self, jobs: usize) {
        self.waiting.fetch_sub(jobs, Ordering::Relaxed);
        self.metrics.writes_waiting.decrement(jobs as f64);
    }

    pub(super) fn health(&self) -> Part {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `since` moves only when the state changes.
    pub(super) fn set_health(&self, state: State) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        if health.state != state {
            *health = Part { state, since: now() };
        }
    }

    fn answered<T>(
        &self,
        call: Call,
        began: Instant,
        answer: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.metrics.answered(call, began.elapsed(), answer.as_ref().err());
        answer
    }
}

/// redb panicked over what it read.
pub(super) fn broken_structure() -> StoreError {
    StoreError::Damaged { table: "file", detail: "its structure is broken".into() }
}

fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    elapsed.as_millis() as u64
}
