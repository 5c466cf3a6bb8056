//! One view of all tables: a snapshot to read, or the write transaction.

use super::{
    base::Base,
    keys::{Key, behind_prefix},
    overlay::{Records, View},
    record::{damaged, seal, unseal},
    redo::{self, Redo, Step},
    tables::{HeadsRecord, MemberRecord, Members, NAMES, RoomHeads, Table},
};
use crate::StoreError;
use ::redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, StorageError, TableDefinition,
    TableError, WriteTransaction,
};
use madang_protocol::{RoomId, UserId};
use std::{collections::HashMap, marker::PhantomData, ops::Bound, sync::OnceLock};

/// Keys and records as the file sees them.
pub(super) type Bytes = &'static [u8];

/// The table in `slot`, by its name.
pub(super) fn definition(slot: usize) -> TableDefinition<'static, Bytes, Bytes> {
    TableDefinition::new(NAMES[slot])
}

/// Reads records, each verified against its checksum.
pub(super) trait Read {
    /// What stands under `key` in the table in `slot`.
    fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError>;

    /// What stands from key to key.
    fn range(
        &self,
        slot: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<::redb::Range<'_, Bytes, Bytes>, StoreError>;

    /// The record under `key`.
    fn get<T: Table>(&self, key: &T::Key) -> Result<Option<T::Record>, StoreError> {
        let key = key.to_bytes();
        self.find(T::SLOT, &key, |record| unseal(T::NAME, &key, record))?.transpose()
    }

    /// The record under `key`, which another record says is there.
    fn expect<T: Table>(&self, key: &T::Key) -> Result<T::Record, StoreError> {
        self.get::<T>(key)?.ok_or_else(|| damaged(T::NAME, &key.to_bytes(), "missing"))
    }

    /// The records from key to key, in order; may be read from both ends.
    fn scan<T: Table>(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<Scan<'_, T>, StoreError> {
        Ok(Scan { range: self.range(T::SLOT, from, to)?, table: PhantomData })
    }

    /// The records whose keys begin with `prefix`.
    fn scan_prefix<T: Table>(&self, prefix: &[u8]) -> Result<Scan<'_, T>, StoreError> {
        let behind = behind_prefix(prefix);
        let to = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan::<T>(Bound::Included(prefix), to)
    }

    /// Those of them behind the key `after`.
    fn scan_after<T: Table>(&self, prefix: &[u8], after: &[u8]) -> Result<Scan<'_, T>, StoreError> {
        let behind = behind_prefix(prefix);
        let to = behind.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.scan::<T>(Bound::Excluded(after), to)
    }
}

/// Keys and records in order. Behind a damaged record comes the next one; behind any other error
/// nothing useful.
pub(super) struct Scan<'a, T> {
    range: ::redb::Range<'a, Bytes, Bytes>,
    table: PhantomData<T>,
}

type RawItem<'a> =
    Result<(::redb::AccessGuard<'a, Bytes>, ::redb::AccessGuard<'a, Bytes>), StorageError>;

impl<T: Table> Scan<'_, T> {
    fn item(item: RawItem<'_>) -> Result<(T::Key, T::Record), StoreError> {
        let (key, record) = item.map_err(storage_error)?;
        let key = key.value();
        let record = unseal(T::NAME, key, record.value())?;
        let key = T::Key::from_bytes(key).ok_or_else(|| damaged(T::NAME, key, "not a key"))?;
        Ok((key, record))
    }
}

impl<T: Table> Iterator for Scan<'_, T> {
    type Item = Result<(T::Key, T::Record), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.range.next().map(Self::item)
    }
}

impl<T: Table> DoubleEndedIterator for Scan<'_, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.range.next_back().map(Self::item)
    }
}

/// What was committed when it was taken. Tables are opened when first used.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
    tables: [OnceLock<ReadOnlyTable<Bytes, Bytes>>; NAMES.len()],
}

impl Snapshot {
    /// What the tables hold now.
    pub(super) fn take(database: &Database) -> Result<Self, StoreError> {
        let transaction = database.begin_read();
        let transaction =
            transaction.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { transaction, tables: Default::default() })
    }

    fn table(&self, slot: usize) -> Result<&ReadOnlyTable<Bytes, Bytes>, StoreError> {
        opened(&self.tables[slot], || self.transaction.open_table(definition(slot)))
    }
}

impl Read for Snapshot {
    fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        let found = self.table(slot)?.get(key).map_err(storage_error)?;
        Ok(found.map(|record| with(record.value())))
    }

    fn range(
        &self,
        slot: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<::redb::Range<'_, Bytes, Bytes>, StoreError> {
        self.table(slot)?.range::<&[u8]>((from, to)).map_err(storage_error)
    }
}

/// What is written as one transaction.
///
/// Appends and receipts only note the new heads and read positions, because a batch touches the
/// same room and the same member many times; [`Tables::settle`] writes each once. Everything else
/// must find the tables settled.
pub(super) struct Tables<'t> {
    base: Base<'t>,
    heads: HashMap<RoomId, HeadsRecord>,
    reads: HashMap<(RoomId, UserId), u64>,
    /// What was written, to be done again after a crash.
    redo: Redo,
    /// Grows with everything written or noted.
    changes: u64,
    /// Messages appended.
    messages: u64,
}

impl<'t> Tables<'t> {
    pub(super) fn whole(transaction: &'t WriteTransaction) -> Self {
        Self::on(Base::whole(transaction))
    }

    /// Upon what is committed; see [`Tables::is_unfit`].
    pub(super) fn light(view: View) -> Self {
        Self::on(Base::light(view))
    }

    fn on(base: Base<'t>) -> Self {
        Self {
            base,
            heads: HashMap::new(),
            reads: HashMap::new(),
            redo: Redo::default(),
            changes: 0,
            messages: 0,
        }
    }

    /// Writes a record over the one that may be there.
    pub(super) fn put<T: Table>(
        &mut self,
        key: &T::Key,
        record: &T::Record,
    ) -> Result<(), StoreError> {
        self.changes += 1;
        let key = key.to_bytes();
        let record = seal(T::NAME, &key, record);
        self.write(&Step::Put { table: T::NAME, key: &key, record: &record }, T::SLOT)
    }

    /// Removes a record, if there is one.
    pub(super) fn remove<T: Table>(&mut self, key: &T::Key) -> Result<(), StoreError> {
        self.changes += 1;
        let key = key.to_bytes();
        self.write(&Step::Remove { table: T::NAME, key: &key }, T::SLOT)
    }

    /// Removes the records whose keys begin with `prefix`, sound or not.
    pub(super) fn remove_prefix<T: Table>(&mut self, prefix: &[u8]) -> Result<(), StoreError> {
        self.changes += 1;
        self.write(&Step::RemovePrefix { table: T::NAME, prefix }, T::SLOT)
    }

    /// Does again what a transaction wrote: see [`Tables::redo`].
    pub(super) fn redo_all(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        for step in redo::steps(bytes) {
            let step = step?;
            let slot = NAMES.iter().position(|name| *name == step.table());
            self.write(&step, slot.ok_or_else(redo::not_understood)?)?;
        }
        Ok(())
    }

    fn write(&mut self, step: &Step<'_>, slot: usize) -> Result<(), StoreError> {
        self.redo.note(step);
        self.base.write(step, slot)
    }

    /// The heads of a room as the appends of this transaction left them.
    pub(super) fn heads(&self, room: RoomId) -> Result<Option<HeadsRecord>, StoreError> {
        match self.heads.get(&room) {
            Some(heads) => Ok(Some(*heads)),
            None => self.get::<RoomHeads>(&room),
        }
    }

    /// Notes an appended message: the room's new heads, and how far its sender has read.
    pub(super) fn note_message(&mut self, room: RoomId, sender: UserId, heads: HeadsRecord) {
        self.messages += 1;
        self.note_read(room, sender, heads.last_seq);
        self.note_heads(room, heads);
    }

    /// Notes the new heads of a room.
    pub(super) fn note_heads(&mut self, room: RoomId, heads: HeadsRecord) {
        self.changes += 1;
        self.heads.insert(room, heads);
    }

    /// Notes that `user`, if a member, has read up to `seq`, which is there.
    pub(super) fn note_read(&mut self, room: RoomId, user: UserId, seq: u64) {
        self.changes += 1;
        let noted = self.reads.entry((room, user)).or_default();
        *noted = seq.max(*noted);
    }

    /// Writes what was noted.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        for (room, heads) in std::mem::take(&mut self.heads) {
            self.put::<RoomHeads>(&room, &heads)?;
        }
        for (member, seq) in std::mem::take(&mut self.reads) {
            match self.get::<Members>(&member) {
                Ok(Some(known)) if known.read_seq < seq => {
                    self.put::<Members>(&member, &MemberRecord { read_seq: seq, ..known })?;
                }
                Ok(_) => {}
                // One damaged member must not keep everyone's messages from being committed.
                Err(error @ StoreError::Damaged { .. }) => {
                    tracing::error!(%error, "a read position was not moved");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    /// Everything that was written, for [`Tables::redo_all`]; `None`: more than is worth it.
    pub(super) fn redo(&self) -> Option<&[u8]> {
        self.redo.bytes()
    }

    /// It was more, or something else, than a light transaction can do, and has to be done whole.
    pub(super) fn is_unfit(&self) -> bool {
        match &self.base {
            Base::Whole(_) => false,
            Base::Light(light) => light.is_unfit() || self.redo().is_none(),
        }
    }

    /// What a light transaction wrote.
    pub(super) fn into_written(self) -> Records {
        match self.base {
            Base::Whole(_) => Records::default(),
            Base::Light(light) => light.into_written(),
        }
    }
}

impl Read for Tables<'_> {
    fn find<R>(
        &self,
        slot: usize,
        key: &[u8],
        with: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>, StoreError> {
        self.base.find(slot, key, with)
    }

    fn range(
        &self,
        slot: usize,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<::redb::Range<'_, Bytes, Bytes>, StoreError> {
        self.base.range(slot, from, to)
    }
}

/// The table, opened if it is not yet.
pub(super) fn opened<T>(
    cell: &OnceLock<T>,
    open: impl FnOnce() -> Result<T, TableError>,
) -> Result<&T, StoreError> {
    if let Some(table) = cell.get() {
        return Ok(table);
    }
    let table = open().map_err(table_error)?;
    Ok(cell.get_or_init(|| table))
}

/// What redb's error means to a caller: damage stays, everything else may pass.
pub(super) fn storage_error(error: StorageError) -> StoreError {
    match error {
        StorageError::Corrupted(detail) => StoreError::Damaged { table: "file", detail },
        other => StoreError::Unavailable(other.to_string()),
    }
}

/// The same of the error with which a table does not open.
pub(super) fn table_error(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => storage_error(error),
        other => StoreError::Damaged { table: "file", detail: other.to_string() },
    }
}
