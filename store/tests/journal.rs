//! What is beside the data file: it has what was acknowledged last, belongs to that file alone, and is
//! gone after an orderly end.

use madang_protocol::operation::Range;
use madang_store::{
    Medium, OpenError, Options, Store,
    conformance::fixtures::{
        append, append_entries, changing, delete, make_room, make_users, messages, new_group,
        reacting, read, room, user,
    },
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const DATA: &str = "madang.redb";
const JOURNAL: &str = "madang.journal";

fn open(directory: &Path) -> Result<Store, OpenError> {
    madang_store::open(Options::in_directory(directory))
}

fn check(directory: &Path) -> Result<madang_store::check::Report, OpenError> {
    madang_store::check(Medium::Directory(directory.into()))
}

/// A store with one room and `count` messages, each a commit of its own.
async fn used_store(count: u64) -> (TempDir, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("an empty store");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    send(&store, 1, count).await;
    (directory, store)
}

async fn send(store: &Store, from: u64, to: u64) {
    for seq in from..=to {
        append(store, messages(1, seq, seq)).await;
    }
}

/// A directory as a process that was killed leaves it.
fn killed(of: &Path) -> (TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let [data, journal] = [DATA, JOURNAL].map(|name| {
        let to = directory.path().join(name);
        fs::copy(of.join(name), &to).expect("copied");
        to
    });
    (directory, data, journal)
}

async fn verify(store: &Store, count: u64) {
    let page = store.log.page(room(1), Range::Newest, usize::MAX, usize::MAX).await;
    assert_eq!(page.map(|page| page.messages), Ok(messages(1, 1, count)));
}

/// Neither opening nor checking changes anything; returns what both say.
fn refused(directory: &Path) -> String {
    let read = || [DATA, JOURNAL].map(|name| fs::read(directory.join(name)).ok());
    let before = read();
    let error = open(directory).err().expect("it is not opened");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let checked = check(directory).expect_err("it is not checked").to_string();
    assert!(read() == before, "the files were changed: {error}");
    assert_eq!(checked, error.to_string());
    checked
}

#[tokio::test]
async fn what_a_killed_process_had_acknowledged_is_there() {
    let (directory, store) = used_store(100).await;
    let (left, data, journal) = killed(directory.path());
    let before = [&data, &journal].map(|path| fs::read(path).expect("a file"));
    assert_eq!(check(left.path()).expect("sound").messages, 100);
    assert!([&data, &journal].map(|path| fs::read(path).expect("a file")) == before);

    let again = open(left.path()).expect("sound");
    verify(&again, 100).await;
    send(&again, 101, 200).await;
    let (left_again, ..) = killed(left.path());
    verify(&open(left_again.path()).expect("sound"), 200).await;
    verify(&store, 100).await;
}

/// What takes a record away, or all that begin alike, is done again as well.
#[tokio::test]
async fn what_was_removed_stays_removed() {
    let (directory, store) = used_store(2).await;
    let reactions =
        [(1, "a", true), (1, "b", true), (2, "a", true), (2, "b", true), (2, "a", false)];
    for (seq, emoji, is_on) in reactions {
        append_entries(&store, vec![reacting(1, seq, 1, emoji, is_on)]).await;
    }
    let deleted = delete(&read(&store, 1, 1).await, 1);
    append_entries(&store, vec![changing(&deleted)]).await;
    let (left, ..) = killed(directory.path());
    assert_eq!(check(left.path()).expect("readable").problems, Vec::<String>::new());
    let again = open(left.path()).expect("sound");
    assert_eq!(read(&again, 1, 1).await, *deleted.message);
    let mine = again.log.my_reactions(room(1), user(1), vec![1, 2]).await.expect("readable");
    assert_eq!(mine.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
}

#[tokio::test]
async fn an_orderly_end_leaves_one_file_with_everything() {
    let (directory, store) = used_store(100).await;
    assert!(directory.path().join(JOURNAL).exists());
    store.control.close().await;
    assert!(!directory.path().join(JOURNAL).exists());
    verify(&open(directory.path()).expect("sound"), 100).await;
}

/// Messages that fill it several times.
#[tokio::test]
async fn a_full_journal_is_taken_along_by_the_data() {
    let (directory, store) = used_store(9_000).await;
    let (left, _, journal) = killed(directory.path());
    assert_eq!(fs::metadata(journal).expect("a file").len(), 2 * 1024 * 1024);
    assert_eq!(check(left.path()).expect("sound").problems, Vec::<String>::new());
    verify(&open(left.path()).expect("sound"), 9_000).await;
    drop(store);
}

#[tokio::test]
async fn data_without_its_journal_is_refused() {
    let (directory, _store) = used_store(10).await;
    let (left, _, journal) = killed(directory.path());
    fs::remove_file(&journal).expect("removed");
    let text = refused(left.path());
    assert!(text.contains("acknowledged") && text.contains("backup"), "{text}");
}

#[tokio::test]
async fn a_journal_without_its_last_entry_is_refused() {
    let (directory, store) = used_store(10).await;
    let (left, _, journal) = killed(directory.path());
    let before = fs::read(&journal).expect("a file");
    send(&store, 11, 11).await;
    let (later, _, _) = killed(directory.path());
    fs::write(later.path().join(JOURNAL), &before).expect("written");
    assert!(refused(later.path()).contains("acknowledged"));
    verify(&open(left.path()).expect("sound"), 10).await;
}

#[tokio::test]
async fn a_journal_of_other_data_is_refused() {
    let (directory, store) = used_store(10).await;
    store.control.close().await;
    let earlier = fs::read(directory.path().join(DATA)).expect("a file");
    let store = open(directory.path()).expect("sound");
    append(&store, messages(1, 11, 1_000)).await; // too large for the journal
    send(&store, 1_001, 1_010).await;
    let (left, data, journal) = killed(directory.path());
    fs::write(&data, &earlier).expect("written");
    let text = refused(left.path());
    assert!(text.contains(JOURNAL) && text.contains("other data"), "{text}");
    // What the error says to do.
    fs::remove_file(&journal).expect("removed");
    verify(&open(left.path()).expect("a backup is sound"), 10).await;
}

#[tokio::test]
async fn a_journal_without_data_is_not_begun_anew() {
    let (directory, _store) = used_store(10).await;
    let (left, data, journal) = killed(directory.path());
    let moved = fs::read(&data).expect("a file");
    fs::remove_file(&data).expect("removed");
    let error = open(left.path()).err().expect("it is not opened").to_string();
    assert!(error.contains("missing") && error.contains("journal"), "{error}");
    assert!(!data.exists() && journal.exists());
    fs::write(&data, moved).expect("put back");
    verify(&open(left.path()).expect("sound"), 10).await;
}
