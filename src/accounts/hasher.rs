//! The pool that hashes passwords: its own threads at low priority behind a bounded queue, so that
//! a flood of logins delays logins and nothing else.

use super::password;
use crate::metrics::HashingMetrics;
use madang_protocol::{ErrorCode, Refusal};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Instant,
};
use tokio::sync::oneshot;

/// Nice value of the hashing threads, the lowest priority there is: they get what others leave.
const NICENESS: i32 = 19;

/// Hands passwords to the pool. Cloning shares it; the threads end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    jobs: SyncSender<Job>,
    metrics: HashingMetrics,
}

struct Job {
    work: Work,
    queued_at: Instant,
}

/// What to do with a password, and who waits for it.
enum Work {
    Hash { password: String, answer: oneshot::Sender<Result<String, Refusal>> },
    Verify { password: String, hash: Option<String>, answer: oneshot::Sender<bool> },
}

impl Hasher {
    /// Starts `threads` threads. At most `queue` passwords wait; beyond: `overloaded`.
    pub fn start(threads: usize, queue: usize, metrics: HashingMetrics) -> std::io::Result<Self> {
        let (jobs, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.max(1) {
            let (receiver, metrics) = (receiver.clone(), metrics.clone());
            std::thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || run(&receiver, &metrics))?;
        }
        Ok(Self { jobs, metrics })
    }

    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String, Refusal> {
        let (answer, hash) = oneshot::channel();
        self.submit(Work::Hash { password, answer })?;
        hash.await.unwrap_or_else(|_| Err(pool_is_gone()))
    }

    /// Whether the password is the one that was hashed; see [`password::verify`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, Refusal> {
        let (answer, matches) = oneshot::channel();
        self.submit(Work::Verify { password, hash, answer })?;
        matches.await.map_err(|_| pool_is_gone())
    }

    fn submit(&self, work: Work) -> Result<(), Refusal> {
        // Before it is sent: a thread may take it, and count it off, at once.
        self.metrics.queued();
        match self.jobs.try_send(Job { work, queued_at: Instant::now() }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.metrics.refused(true);
                Err(Refusal::overloaded("too many logins at once"))
            }
            Err(TrySendError::Disconnected(_)) => {
                self.metrics.refused(false);
                Err(pool_is_gone())
            }
        }
    }
}

fn run(jobs: &Mutex<Receiver<Job>>, metrics: &HashingMetrics) {
    if let Err(error) = rustix::process::nice(NICENESS) {
        // On Linux this is the thread's own priority. Without it logins are as important as chat.
        tracing::warn!(%error, "hashing threads keep their normal priority");
    }
    loop {
        // The lock is held while waiting: the next job goes to whoever waits first.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        metrics.started(job.queued_at.elapsed());
        job.work.perform();
    }
}

impl Work {
    /// Nobody may be waiting any more; then there is nothing to do.
    fn perform(self) {
        match self {
            Self::Hash { password, answer } if !answer.is_closed() => {
                // A failed send means the caller went away meanwhile.
                let _ = answer.send(password::hash(&password).map_err(|error| {
                    tracing::error!(%error, "a password could not be hashed");
                    Refusal::new(ErrorCode::Internal, "hashing failed")
                }));
            }
            Self::Verify { password, hash, answer } if !answer.is_closed() => {
                let _ = answer.send(password::verify(&password, hash.as_deref()));
            }
            Self::Hash { .. } | Self::Verify { .. } => {}
        }
    }
}

fn pool_is_gone() -> Refusal {
    Refusal::new(ErrorCode::Internal, "the hashing threads have ended")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(queue: usize) -> Hasher {
        Hasher::start(1, queue, HashingMetrics::default()).unwrap()
    }

    #[tokio::test]
    async fn hashes_and_verifies() {
        let hasher = hasher(4);
        let hash = hasher.hash("correct horse".to_owned()).await.unwrap();
        let verify = |password: &str| hasher.verify(password.to_owned(), Some(hash.clone()));
        assert_eq!(verify("correct horse").await, Ok(true));
        assert_eq!(verify("wrong").await, Ok(false));
    }

    #[tokio::test]
    async fn a_full_queue_is_refused_at_once() {
        let hasher = hasher(1);
        let tries = (0..20).map(|_| hasher.hash("correct horse".to_owned()));
        let answers = futures_util::future::join_all(tries).await;
        let code = |answer: &Result<String, Refusal>| answer.as_ref().err().map(|e| e.code);
        assert_eq!(code(&answers[0]), None);
        assert_eq!(code(&answers[19]), Some(ErrorCode::Overloaded));
    }
}
