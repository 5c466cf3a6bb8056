//! What the journal has made durable and the tables have not taken in.
//!
//! To take one small transaction in redb copies a dozen pages, though none is written; a hundred of them
//! together change hardly more pages than one. So the records of small transactions lie here, above the
//! tables, until somebody asks for more than single records: whoever reads takes them in first, and sees what
//! was committed, as ever. The writer, which asks for single records, looks here and then in the tables
//! ([`View`]), and takes them in itself where they have become many.
//!
//! What lies here is durable, and taking it in writes no page: a reader waits for another one that takes
//! it in, not for a commit.
//!
//! An overlay is gone when the database is opened again; the journal has what lay in it.

use super::{
    contents,
    tables::NAMES,
    transaction::{Read, Snapshot, definition, storage_error, table_error},
};
use crate::StoreError;
use ::redb::{Database, Durability, WriteTransaction};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// From so many records on the writer takes them in: enough that those of one page come together, few
/// enough that a reader who takes them in instead does not feel it.
const RECORDS_MAX: usize = 1_024;
/// The same of their keys and values, bytes.
const OVERLAY_BYTES_MAX: usize = 512 * 1024;

/// The overlay of one database.
#[derive(Default)]
pub(super) struct Overlay(Mutex<State>);

#[derive(Default)]
struct State {
    records: Arc<Records>,
    /// The tables beneath `records`, once asked for.
    tables: Option<Arc<Snapshot>>,
}

/// What was written, by table and key.
#[derive(Clone)]
pub(super) struct Records {
    tables: [BTreeMap<Vec<u8>, Written>; NAMES.len()],
    count: usize,
    bytes: usize,
}

/// A record as the file sees it, or that there is none.
type Written = Option<Vec<u8>>;

/// What was committed when it was taken, for who asks for single records.
pub(super) struct View {
    records: Arc<Records>,
    tables: Arc<Snapshot>,
}

impl Overlay {
    /// What is committed.
    pub(super) fn view(&self, database: &Database) -> Result<View, StoreError> {
        let mut state = self.state();
        let tables = match &state.tables {
            Some(tables) => tables.clone(),
            None => state.tables.insert(Arc::new(Snapshot::take(database)?)).clone(),
        };
        Ok(View { records: state.records.clone(), tables })
    }

    /// Lays a transaction over everything else. It is durable.
    pub(super) fn lay(&self, written: Records) {
        Arc::make_mut(&mut self.state().records).lay(written);
    }

    /// Puts what lies here into the tables. After an error it still lies here.
    pub(super) fn take_in(&self, database: &Database) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.records.count == 0 {
            return Ok(());
        }
        // It would keep the pages that are about to be replaced.
        state.tables = None;
        let transaction = database.begin_write();
        let transaction =
            transaction.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        state.records.put_into(&transaction)?;
        contents::commit(transaction, Durability::None)?;
        state.records = Arc::default();
        Ok(())
    }

    /// As [`Overlay::take_in`], for who is about to change the tables.
    pub(super) fn make_way(&self, database: &Database) -> Result<(), StoreError> {
        self.take_in(database)?;
        self.state().tables = None;
        Ok(())
    }

    /// There is so much that whoever reads should not have to take in more.
    pub(super) fn is_full(&self) -> bool {
        let state = self.state();
        state.records.count >= RECORDS_MAX || state.records.bytes >= OVERLAY_BYTES_MAX
    }

    /// Forgets everything: the database is closed.
    pub(super) fn clear(&self) {
        *self.state() = State::default();
    }

    /// Records that lie here.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.state().records.count
    }

    /// redb may panic while it takes something in, which then still lies here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    /// What stands under `key`.
    pub(super) fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        match self.records.find(slot, key) {
            Some(written) => Ok(written.map(with)),
            None => self.tables.find(slot, key, with),
        }
    }
}

impl Records {
    /// Notes what stands under `key` from now on.
    pub(super) fn write(&mut self, slot: usize, key: &[u8], record: Option<&[u8]>) {
        self.put(slot, key.to_vec(), record.map(<[u8]>::to_vec));
    }

    /// What was written under `key`: a record, or that there is none. `None`: nothing was.
    pub(super) fn find(&self, slot: usize, key: &[u8]) -> Option<Option<&[u8]>> {
        self.tables[slot].get(key).map(Option::as_deref)
    }

    fn put(&mut self, slot: usize, key: Vec<u8>, written: Written) {
        let length = |written: &Written| written.as_ref().map_or(0, Vec::len);
        let key_length = key.len();
        self.bytes += key_length + length(&written);
        match self.tables[slot].insert(key, written) {
            Some(replaced) => self.bytes -= key_length + length(&replaced),
            None => self.count += 1,
        }
    }

    fn lay(&mut self, above: Self) {
        for (slot, written) in above.tables.into_iter().enumerate() {
            written.into_iter().for_each(|(key, written)| self.put(slot, key, written));
        }
    }

    /// In the order of the keys, so that those of one page come one behind the other.
    fn put_into(&self, transaction: &WriteTransaction) -> Result<(), StoreError> {
        for (slot, written) in self.tables.iter().enumerate() {
            if written.is_empty() {
                continue;
            }
            let mut table = transaction.open_table(definition(slot)).map_err(table_error)?;
            for (key, written) in written {
                match written {
                    Some(record) => table.insert(key.as_slice(), record.as_slice()).map(drop),
                    None => table.remove(key.as_slice()).map(drop),
                }
                .map_err(storage_error)?;
            }
        }
        Ok(())
    }
}

impl Default for Records {
    fn default() -> Self {
        Self { tables: std::array::from_fn(|_| BTreeMap::new()), count: 0, bytes: 0 }
    }
}

#[cfg(test)]
mod tests;
