//! What a database says about itself, and what is written when it is opened.

use super::{
    tables::{COMMITS, FORMAT, FORMAT_NUMBER, HISTORY, Meta, NAMES, Table},
    transaction::{Read, Snapshot, Tables, definition, storage_error, table_error},
};
use crate::StoreError;
use ::redb::{Database, Durability, ReadableDatabase, TableHandle, WriteTransaction};
use std::hash::{BuildHasher, RandomState};

/// Whose it is.
pub(super) enum Format {
    /// It holds nothing at all.
    Empty,
    /// It is ours, in this format.
    Number(u64),
    /// It holds something else.
    Other,
}

/// How far it has come.
pub(super) struct Progress {
    /// How many transactions were committed.
    pub(super) commits: u64,
    /// What its last durable commit drew; versions without a journal drew nothing.
    pub(super) history: Option<u64>,
}

pub(super) fn format(database: &Database) -> Result<Format, StoreError> {
    let names = table_names(database)?;
    if names.is_empty() {
        return Ok(Format::Empty);
    }
    if !names.iter().any(|name| name == Meta::NAME) {
        return Ok(Format::Other);
    }
    match Snapshot::take(database)?.get::<Meta>(&FORMAT.to_owned()) {
        Ok(Some(number)) => Ok(Format::Number(number)),
        Ok(None) => Ok(Format::Other),
        Err(error) => Err(error),
    }
}

pub(super) fn progress(database: &Database) -> Result<Progress, StoreError> {
    if matches!(format(database)?, Format::Empty) {
        return Ok(Progress { commits: 0, history: None });
    }
    let snapshot = Snapshot::take(database)?;
    let commits = snapshot.expect::<Meta>(&COMMITS.to_owned())?;
    Ok(Progress { commits, history: snapshot.get::<Meta>(&HISTORY.to_owned())? })
}

/// Gives a database that was just made its tables, and one of an earlier version what was added
/// since. Returns its history.
pub(super) fn complete(database: &Database) -> Result<u64, StoreError> {
    let known = progress(database)?.history;
    if let Some(history) = known
        && table_names(database)?.len() >= NAMES.len()
    {
        return Ok(history);
    }
    let is_new = matches!(format(database)?, Format::Empty);
    let history = known.unwrap_or_else(draw_history);
    write(database, Durability::Immediate, |transaction| {
        let tables = &mut make_tables(transaction)?;
        if is_new {
            tables.put::<Meta>(&FORMAT.to_owned(), &FORMAT_NUMBER)?;
            tables.put::<Meta>(&COMMITS.to_owned(), &0)?;
        }
        tables.put::<Meta>(&HISTORY.to_owned(), &history)
    })?;
    Ok(history)
}

/// Does again what the journal has beyond the database. Not durably: the journal still has it, and the
/// disk may be full.
pub(super) fn redo(database: &Database, transactions: &[Vec<u8>]) -> Result<(), StoreError> {
    if transactions.is_empty() {
        return Ok(());
    }
    write(database, Durability::None, |transaction| {
        let tables = &mut Tables::whole(transaction);
        transactions.iter().try_for_each(|steps| tables.redo_all(steps))
    })
}

/// Notes in a transaction that is to be durable which one it is. Returns what it draws.
pub(super) fn begin_history(tables: &mut Tables<'_>, number: u64) -> Result<u64, StoreError> {
    let history = draw_history();
    tables.put::<Meta>(&COMMITS.to_owned(), &number)?;
    tables.put::<Meta>(&HISTORY.to_owned(), &history)?;
    Ok(history)
}

/// Nobody outside can guess it: keys of the standard library's hasher are drawn from the system.
fn draw_history() -> u64 {
    RandomState::new().hash_one(HISTORY)
}

fn write(
    database: &Database,
    durability: Durability,
    body: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = database.begin_write().map_err(|error| unavailable(error.into()))?;
    body(&transaction)?;
    commit(transaction, durability)
}

/// Makes the tables that are not there.
fn make_tables(transaction: &WriteTransaction) -> Result<Tables<'_>, StoreError> {
    for slot in 0..NAMES.len() {
        transaction.open_table(definition(slot)).map_err(table_error)?;
    }
    Ok(Tables::whole(transaction))
}

/// Ends a transaction. A durable one writes redb's map of free pages, too, and in two phases: so opening
/// after a kill need not read the whole file.
pub(super) fn commit(
    mut transaction: WriteTransaction,
    durability: Durability,
) -> Result<(), StoreError> {
    transaction.set_quick_repair(matches!(durability, Durability::Immediate));
    transaction.set_durability(durability).map_err(|error| unavailable(error.into()))?;
    transaction.commit().map_err(|error| unavailable(error.into()))
}

fn table_names(database: &Database) -> Result<Vec<String>, StoreError> {
    let transaction = database.begin_read().map_err(|error| unavailable(error.into()))?;
    let tables = transaction.list_tables().map_err(storage_error)?;
    Ok(tables.map(|table| table.name().to_owned()).collect())
}

fn unavailable(error: ::redb::Error) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
