//! How a batch becomes one durable transaction.
//!
//! | transaction | asks for | is durable in | is read |
//! |---|---|---|---|
//! | light | single records | the journal | once the [overlay](super::super::overlay) above the tables has it |
//! | whole | what it likes | the journal, or the data file where that has no room | once redb has committed it |

use super::{
    super::{contents, job::Fate, transaction::Tables},
    Batch, Writer,
};
use crate::{StoreError, metrics::Call};
use ::redb::{Database, Durability};

/// A transaction that is durable.
pub(super) struct Committed {
    pub(super) messages: u64,
    /// It was more than the journal takes.
    pub(super) is_large: bool,
}

/// Why a batch is not durable, or not known to be.
pub(super) enum Failure {
    /// Nothing of it was written anywhere, and never will be.
    Before(StoreError),
    /// It may have taken effect.
    Within(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Within(error)
    }
}

/// How far a batch was applied.
enum Applied {
    Wholly,
    /// But for a job that failed after it had written something. It was answered and taken out, so all has
    /// to be done again without it.
    InPart,
    /// Not by a light transaction.
    Unfit,
}

impl Writer {
    /// Applies `batch` and makes it durable. `None`: not yet, for a job was taken out; try again.
    pub(super) fn try_transaction(
        &self,
        database: &Database,
        batch: &mut Batch,
    ) -> Result<Option<Committed>, Failure> {
        // Behind a large one another large one is likely.
        if !is_about_file(batch) && !self.was_large {
            let mut tables = Tables::light(self.core.overlay.view(database)?);
            match apply(batch, &mut tables)? {
                Applied::Wholly if self.is_journaled(&tables)? => {
                    let messages = tables.messages();
                    self.core.overlay.lay(tables.into_written());
                    return Ok(Some(Committed { messages, is_large: false }));
                }
                Applied::InPart => return Ok(None),
                Applied::Wholly | Applied::Unfit => {}
            }
        }
        self.try_whole(database, batch)
    }

    /// As [`Writer::try_transaction`], by redb, and in its file where the journal has no room.
    fn try_whole(
        &self,
        database: &Database,
        batch: &mut Batch,
    ) -> Result<Option<Committed>, Failure> {
        self.core.overlay.make_way(database).map_err(Failure::Before)?;
        let transaction =
            database.begin_write().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut tables = Tables::whole(&transaction);
        if matches!(apply(batch, &mut tables)?, Applied::InPart) {
            return Ok(None);
        }
        let (messages, is_large) = (tables.messages(), tables.redo().is_none());
        if !batch.is_empty() && self.is_journaled(&tables)? {
            drop(tables);
            contents::commit(transaction, Durability::None)?;
        } else {
            let history = contents::begin_history(&mut tables, self.commits + 1)?;
            drop(tables);
            contents::commit(transaction, Durability::Immediate)?;
            self.source.begin_journal_anew(history);
        }
        Ok(Some(Committed { messages, is_large }))
    }

    /// Makes what was written durable in the journal; `false`: it is too much for it.
    fn is_journaled(&self, tables: &Tables<'_>) -> Result<bool, StoreError> {
        let number = self.commits + 1;
        tables.redo().map_or(Ok(false), |steps| self.source.append_to_journal(number, steps))
    }
}

/// Applies the jobs one after the other.
fn apply(batch: &mut Batch, tables: &mut Tables<'_>) -> Result<Applied, StoreError> {
    for index in 0..batch.len() {
        let before = tables.changes();
        let is_applied = batch[index].apply(tables);
        if tables.is_unfit() {
            return Ok(Applied::Unfit);
        }
        if !is_applied && tables.changes() > before {
            batch.remove(index).answer(&Fate::Committed);
            return Ok(Applied::InPart);
        }
    }
    let settled = tables.settle();
    if tables.is_unfit() {
        return Ok(Applied::Unfit);
    }
    settled.map(|()| Applied::Wholly)
}

/// It asks whether the data file can be written.
fn is_about_file(batch: &Batch) -> bool {
    batch.is_empty() || batch.iter().any(|job| job.call() == Call::Probe)
}
