//! [`crate::Transfer`] on redb. [`export`] reads the file as [`super::check`] does, so that nothing
//! is written to it; [`import`] fills a file beside it, which takes its place when it is whole.

mod export;
mod import;

use super::{engine::broken_structure, file::Source, transaction::Snapshot};
use crate::{
    open::Medium,
    transfer::{Lines, Sink, TransferError},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Pages in memory meanwhile, bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

/// The data on a medium.
pub(crate) struct Transfer(Medium);

impl Transfer {
    pub(crate) fn new(medium: Medium) -> Self {
        Self(medium)
    }
}

impl crate::Transfer for Transfer {
    fn export(&self, sink: &mut Sink<'_>) -> Result<(), TransferError> {
        let source = Source::existing(self.0.clone(), CACHE_BYTES)?;
        let database = source.examine()?;
        carefully(|| export::export(&Snapshot::take(&database)?, sink))
    }

    fn import(&self, lines: &mut Lines<'_>) -> Result<(), TransferError> {
        let source = Source::to_be_filled(self.0.clone(), CACHE_BYTES)?;
        if source.exists()? {
            let known = source.examine()?;
            if !carefully(|| Ok(import::is_empty(&Snapshot::take(&known)?)?))? {
                return Err(TransferError::NotEmpty { path: source.path() });
            }
        }
        let database = source.make_new()?;
        let filled = carefully(|| import::fill(&database, lines));
        let done = filled.and_then(|()| Ok(source.install_new(database)?));
        if done.is_err() {
            source.discard_new();
        }
        done
    }
}

/// redb may panic over damaged pages: that is an error like any other.
fn carefully<T>(body: impl FnOnce() -> Result<T, TransferError>) -> Result<T, TransferError> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(broken_structure().into()))
}
