//! The floor that benches hold the store against: the records of messages under their keys, made
//! durable, and nothing else. No check, no thread, nobody who is answered.

use super::{
    keys::Key,
    log::record_of,
    record::seal,
    tables::{HeadsRecord, Messages, RoomHeads, Sent, SentRecord, Table},
    transaction::{definition, storage_error, table_error},
};
use crate::StoreError;
use ::redb::{Database, WriteTransaction};
use madang_protocol::Entry;
use std::{collections::HashMap, fmt::Display, marker::PhantomData, path::Path};

/// Messages in a file of their own, which nobody reads.
pub struct BareLog(Database);

impl BareLog {
    /// Makes the file.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it cannot be made there.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        Database::create(path).map(Self).map_err(unavailable)
    }

    /// Commits the messages among `entries` in one durable transaction: each with the name that its
    /// sender gave it, and the heads of each room once.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Damaged`]: whether they are there is not known.
    pub fn commit<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> Result<(), StoreError> {
        let transaction = self.0.begin_write().map_err(unavailable)?;
        put_all(&transaction, entries)?;
        transaction.commit().map_err(unavailable)
    }
}

fn put_all<'a>(
    transaction: &WriteTransaction,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<(), StoreError> {
    let mut messages = Rows::<Messages>::open(transaction)?;
    let mut sent = Rows::<Sent>::open(transaction)?;
    let mut heads = HashMap::new();
    for entry in entries {
        let Entry::Message(message) = entry else { continue };
        let (room, seq, ts) = (message.room, message.seq, message.ts);
        messages.put(&(room, seq), &record_of(message))?;
        let name = (room, message.sender, message.client_id.clone());
        sent.put(&name, &SentRecord { seq, ts })?;
        let (last_rev, member_rev, members) = (0, 0, 1);
        let of_room = HeadsRecord { last_seq: seq, last_rev, member_rev, members, active_at: ts };
        heads.insert(room, of_room);
    }
    let mut rooms = Rows::<RoomHeads>::open(transaction)?;
    heads.iter().try_for_each(|(room, heads)| rooms.put(room, heads))
}

/// A table, open to be written.
struct Rows<'t, T> {
    raw: ::redb::Table<'t, &'static [u8], &'static [u8]>,
    table: PhantomData<T>,
}

impl<'t, T: Table> Rows<'t, T> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let raw = transaction.open_table(definition(T::SLOT)).map_err(table_error)?;
        Ok(Self { raw, table: PhantomData })
    }

    fn put(&mut self, key: &T::Key, record: &T::Record) -> Result<(), StoreError> {
        let key = key.to_bytes();
        let bytes = seal(T::NAME, &key, record);
        self.raw.insert(key.as_slice(), bytes.as_slice()).map_err(storage_error)?;
        Ok(())
    }
}

fn unavailable(error: impl Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
