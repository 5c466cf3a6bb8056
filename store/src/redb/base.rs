//! What a transaction is written upon: all of redb's tables, or the overlay above them.

use super::{
    keys::behind_prefix,
    overlay::{Records, View},
    redo::Step,
    tables::NAMES,
    transaction::{Bytes, definition, opened, storage_error},
};
use crate::StoreError;
use ::redb::{ReadableTable, Table, WriteTransaction};
use std::{cell::Cell, ops::Bound, sync::OnceLock};

/// What a transaction finds, and where it leaves what it writes.
pub(super) enum Base<'t> {
    /// redb's write transaction.
    Whole(Box<Whole<'t>>),
    /// What is committed, with what is written noted above it.
    Light(Box<Light>),
}

/// Tables are opened when first used: a message needs a quarter of them, and to open the others and look
/// whether they changed would be a fifteenth of its commit.
pub(super) struct Whole<'t> {
    transaction: &'t WriteTransaction,
    tables: [OnceLock<Table<'t, Bytes, Bytes>>; NAMES.len()],
}

/// Single records can be read and written. Whatever else is asked for, or fails, is for a whole
/// transaction to answer, so all of this one has to be done again.
pub(super) struct Light {
    view: View,
    written: Records,
    is_unfit: Cell<bool>,
}

impl<'t> Base<'t> {
    pub(super) fn whole(transaction: &'t WriteTransaction) -> Self {
        Self::Whole(Box::new(Whole { transaction, tables: Default::default() }))
    }

    pub(super) fn light(view: View) -> Self {
        let (written, is_unfit) = (Records::default(), Cell::new(false));
        Self::Light(Box::new(Light { view, written, is_unfit }))
    }

    pub(super) fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        match self {
            Self::Whole(whole) => {
                let found = whole.table(slot)?.get(key).map_err(storage_error)?;
                Ok(found.map(|record| with(record.value())))
            }
            Self::Light(light) => light.find(slot, key, with),
        }
    }

    pub(super) fn range(
        &self,
        slot: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<::redb::Range<'_, Bytes, Bytes>, StoreError> {
        match self {
            Self::Whole(whole) => {
                whole.table(slot)?.range::<&[u8]>((from, to)).map_err(storage_error)
            }
            Self::Light(light) => Err(light.refuse()),
        }
    }

    pub(super) fn write(&mut self, step: &Step<'_>, slot: usize) -> Result<(), StoreError> {
        match self {
            Self::Whole(whole) => whole.write(step, slot),
            Self::Light(light) => light.write(step, slot),
        }
    }
}

impl<'t> Whole<'t> {
    fn write(&mut self, step: &Step<'_>, slot: usize) -> Result<(), StoreError> {
        self.table(slot)?;
        let table = self.tables[slot].get_mut().expect("it was opened");
        match *step {
            Step::Put { key, record, .. } => table.insert(key, record).map(drop),
            Step::Remove { key, .. } => table.remove(key).map(drop),
            Step::RemovePrefix { prefix, .. } => {
                let behind = behind_prefix(prefix);
                let to = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                table.retain_in::<&[u8], _>((Bound::Included(prefix), to), |_, _| false)
            }
        }
        .map_err(storage_error)
    }

    fn table(&self, slot: usize) -> Result<&Table<'t, Bytes, Bytes>, StoreError> {
        opened(&self.tables[slot], || self.transaction.open_table(definition(slot)))
    }
}

impl Light {
    /// It has to be done again, whole.
    pub(super) fn is_unfit(&self) -> bool {
        self.is_unfit.get()
    }

    /// What was written.
    pub(super) fn into_written(self) -> Records {
        self.written
    }

    fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        match self.written.find(slot, key) {
            Some(written) => Ok(written.map(with)),
            // redb's own transaction finds out what is wrong with the file, and has it opened again.
            None => self.view.find(slot, key, with).inspect_err(|_| self.is_unfit.set(true)),
        }
    }

    /// Looks for the record first: a page that cannot be read has to be found out before anybody is told
    /// that the record is there, not when it is taken in.
    fn write(&mut self, step: &Step<'_>, slot: usize) -> Result<(), StoreError> {
        let (key, record) = match *step {
            Step::Put { key, record, .. } => (key, Some(record)),
            Step::Remove { key, .. } => (key, None),
            Step::RemovePrefix { .. } => return Err(self.refuse()),
        };
        self.find(slot, key, |_| ())?;
        self.written.write(slot, key, record);
        Ok(())
    }

    fn refuse(&self) -> StoreError {
        self.is_unfit.set(true);
        StoreError::Unavailable("only a whole transaction can do this".into())
    }
}
