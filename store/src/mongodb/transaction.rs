//! Transactions: snapshot reads, majority writes, begun anew as long as they lose against others.
//!
//! A transaction holds what it has written until it ends, and one that a dying node leaves open is
//! ended by whoever waits for it, after a while ([`super::abandoned`]). So they are short, write
//! nothing that messages, receipts or logins write, and are used only where several documents must
//! change together: rooms with their members, and users made in bulk.

use super::{
    Mongo, abandoned, connection,
    failure::{Failure, WRITE_CONFLICT, code, describe, duplicate},
    tries::Tries,
};
use crate::StoreError;
use ::mongodb::{
    ClientSession,
    error::{Error, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT},
    options::{ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions},
};
use async_trait::async_trait;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// What a transaction leaves of the time of its call: who is told in time what became of it knows
/// more than who is only told that the time is over.
const SPARE: Duration = Duration::from_millis(200);

/// What the work of a transaction comes to.
pub(super) type Worked<T> = Result<T, Error>;

/// What is done in a transaction, possibly several times, each time from the beginning. Whatever
/// is answered was read or written in a snapshot that a majority keeps.
#[async_trait]
pub(super) trait Work: Sync {
    /// What it comes to.
    type Answer: Send;

    /// Reads and writes with `session`, and hands every error on.
    async fn run(&self, session: &mut ClientSession) -> Worked<Self::Answer>;
}

/// Why a transaction was not committed.
enum Stop {
    /// It lost against another, or the primary is gone; nothing was written.
    Again(Error),
    /// Nothing was written.
    Failed(Error),
    /// The time was up before there was anything to commit.
    Late,
    /// The commit was sent, and nothing is known of it.
    Unknown(String),
}

impl Mongo {
    /// Does `work` in a transaction, within the time of a call that writes.
    pub(super) async fn transact<W: Work>(&self, work: &W) -> Result<W::Answer, Failure> {
        let limit = self.options.write_timeout;
        let began = Instant::now();
        let deadline = began + limit.saturating_sub(SPARE);
        let mut tries = Tries::default();
        let mut last = None;
        loop {
            let error = match self.attempt(work, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(Stop::Again(error)) => error,
                Err(Stop::Failed(error)) => return Err(Failure::from(error).unwritten()),
                Err(Stop::Late) => {
                    let failure = last.map_or(Failure::Late(limit), Failure::Driver);
                    return Err(failure.unwritten());
                }
                Err(Stop::Unknown(what)) => return Err(StoreError::Unknown(what).into()),
            };
            if duplicate(&error).is_some() {
                tries.refused()?;
            }
            if code(&error) == Some(WRITE_CONFLICT) && began.elapsed() >= abandoned::LASTS {
                // What it has not done when the time is up the next one does.
                let _ = timeout_at(deadline, self.end_abandoned()).await;
            }
            last = Some(error);
            tries.pause().await;
        }
    }

    async fn attempt<W: Work>(&self, work: &W, deadline: Instant) -> Result<W::Answer, Stop> {
        let worked = timeout_at(deadline, async {
            // Dropped with a transaction that was not committed, a session ends it.
            let mut session = self.database.client().start_session().await?;
            session.start_transaction().with_options(options()).await?;
            let answer = work.run(&mut session).await?;
            Ok((session, answer))
        });
        let (mut session, answer) = worked.await.map_err(|_| Stop::Late)?.map_err(stop)?;
        commit(&mut session, deadline).await?;
        Ok(answer)
    }
}

/// Commits, again and again while the answer is lost: the server knows the transaction and does it
/// once. Also one that has only read: it tells whether a majority keeps what was read.
async fn commit(session: &mut ClientSession, deadline: Instant) -> Result<(), Stop> {
    let mut tries = Tries::default();
    let mut last = "the commit was not answered".to_owned();
    loop {
        let error = match timeout_at(deadline, session.commit_transaction()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(Stop::Unknown(last)),
        };
        if !error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            return Err(stop(error));
        }
        last = describe(&error);
        tries.pause().await;
    }
}

fn stop(error: Error) -> Stop {
    let lost = error.contains_label(TRANSIENT_TRANSACTION_ERROR);
    if lost || duplicate(&error).is_some() { Stop::Again(error) } else { Stop::Failed(error) }
}

fn options() -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(connection::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}
