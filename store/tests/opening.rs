//! What cannot be opened stays as it was, byte for byte, and is named.

use madang_resilience::State;
use madang_store::{
    Medium, OpenError, Options, Store, StoreError,
    conformance::fixtures::{
        append, append_entries, changing, edit, make_room, make_users, message, messages,
        new_group, reacting, read, room,
    },
};
use redb::{Database, TableDefinition};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

fn open(directory: &Path) -> Result<Store, OpenError> {
    madang_store::open(Options::in_directory(directory))
}

fn check(directory: &Path) -> Result<madang_store::check::Report, OpenError> {
    madang_store::check(Medium::Directory(directory.into()))
}

/// A directory with a data file of some messages, and the file's path.
async fn used_directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("an empty store");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 100)).await;
    store.control.close().await;
    let path = directory.path().join("madang.redb");
    (directory, path)
}

/// Neither opening nor checking changes the file; returns the error of the opening.
fn refused(directory: &Path, path: &Path) -> OpenError {
    let before = fs::read(path).expect("a file");
    let error = open(directory).err().expect("it is not opened");
    check(directory).expect_err("it is not checked");
    assert!(fs::read(path).expect("a file") == before, "the file was changed: {error}");
    error
}

#[test]
fn foreign_files_are_refused() {
    for bytes in [&b""[..], b"x", b"redb", &[0; 8_192], b"SQLite format 3\0 and so on"] {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("madang.redb");
        fs::write(&path, bytes).expect("written");
        let error = refused(directory.path(), &path);
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("madang.redb"), "{error}");
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    const TABLE: TableDefinition<'_, &str, u64> = TableDefinition::new("theirs");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("madang.redb");
    let database = Database::create(&path).expect("created");
    let transaction = database.begin_write().expect("begun");
    transaction.open_table(TABLE).expect("opened").insert("key", 1).expect("inserted");
    transaction.commit().expect("committed");
    // Their crash, too, is theirs to repair.
    let crashed = fs::read(&path).expect("a file");
    drop(database);
    let error = refused(directory.path(), &path);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");

    fs::write(&path, crashed).expect("written");
    let error = refused(directory.path(), &path);
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
}

/// Writes a format number as a later version would.
fn write_format(path: &Path, number: u64) {
    const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("madang");
    let mut record = vec![1, u8::try_from(number).expect("one byte of MessagePack")];
    let sealed = [b"madang\0".as_slice(), &6_u32.to_le_bytes(), b"format", &record].concat();
    record.extend(xxhash_rust::xxh3::xxh3_64(&sealed).to_le_bytes());
    let database = Database::open(path).expect("opened");
    let transaction = database.begin_write().expect("begun");
    let mut table = transaction.open_table(META).expect("opened");
    table.insert(b"format".as_slice(), record.as_slice()).expect("inserted");
    drop(table);
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_newer_format_is_refused() {
    let (directory, path) = used_directory().await;
    write_format(&path, 1);
    drop(open(directory.path()).expect("this is how version 1 is written"));
    write_format(&path, 2);
    let error = refused(directory.path(), &path);
    assert!(matches!(error, OpenError::NewerFormat { found: 2, known: 1, .. }), "{error}");
}

/// What was added since is made by the first opening, and missed by nobody before it.
#[tokio::test]
async fn a_file_without_later_tables_is_completed() {
    const LATER: [&str; 6] =
        ["amended", "changes", "latest_changes", "reactions", "uncounted", "external_ids"];
    let (directory, path) = used_directory().await;
    let database = Database::open(&path).expect("opened");
    let transaction = database.begin_write().expect("begun");
    for name in LATER {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new(name);
        assert!(transaction.delete_table(table).expect("deleted"), "{name}");
    }
    transaction.commit().expect("committed");
    drop(database);
    let before = fs::read(&path).expect("a file");
    assert_eq!(check(directory.path()).expect("sound").problems_found, 0);
    assert!(fs::read(&path).expect("a file") == before, "the check changed it");

    let store = open(directory.path()).expect("ours");
    assert_eq!(read(&store, 1, 7).await, message(1, 7, 1));
    let edited = edit(&message(1, 7, 1), 1, "edited");
    append_entries(&store, vec![changing(&edited), reacting(1, 8, 1, "a", true)]).await;
    assert_eq!(read(&store, 1, 7).await, *edited.message);
}

#[tokio::test]
async fn a_truncated_file_is_refused() {
    let (directory, path) = used_directory().await;
    let whole = fs::read(&path).expect("a file");
    for length in [8, 9, 300, 4_096, 10_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("written");
        let error = refused(directory.path(), &path);
        let named = matches!(error, OpenError::Foreign { .. } | OpenError::Damaged { .. });
        assert!(named, "{length} bytes: {error}");
    }
}

#[tokio::test]
async fn data_in_use_is_refused_by_name() {
    let (directory, path) = used_directory().await;
    let store = open(directory.path()).expect("free");
    let error = refused(directory.path(), &path);
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&directory.path().display().to_string()), "{error}");

    let second = store.clone();
    drop(store);
    assert!(open(directory.path()).is_err(), "a clone still uses it");
    second.control.close().await;
    open(directory.path()).expect("closed data is free, whoever still holds a store");
}

/// Somebody who opened the file itself, with redb and without our lock.
#[tokio::test]
async fn a_file_in_use_by_another_tool_is_refused() {
    let (directory, path) = used_directory().await;
    let tool = Database::open(&path).expect("free");
    let error = refused(directory.path(), &path);
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(tool);
    open(directory.path()).expect("free again");
}

#[tokio::test]
async fn checking_needs_data_and_changes_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = check(directory.path()).expect_err("there is nothing");
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);

    let (directory, path) = used_directory().await;
    let before = fs::read(&path).expect("a file");
    let report = check(directory.path()).expect("sound");
    assert_eq!((report.problems_found, report.messages), (0, 100));
    assert!(fs::read(&path).expect("a file") == before, "the file was changed");
}

#[test]
fn an_unfinished_creation_is_begun_again() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("madang.redb.new"), [0; 100]).expect("written");
    drop(open(directory.path()).expect("created"));
    assert!(!directory.path().join("madang.redb.new").exists());
    assert_eq!(check(directory.path()).expect("sound").problems_found, 0);
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let (directory, _) = used_directory().await;
    let store = open(directory.path()).expect("free");
    store.control.close().await;
    store.control.close().await;
    assert_eq!(store.control.health().state, State::Down);
    let read = store.log.activate(room(1), 1).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let written = store.accounts.end_session([0; 32]).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
}
