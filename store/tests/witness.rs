//! The file says, outside of its commits, how many were acknowledged; what contradicts that is
//! refused, and nothing else is.

use madang_protocol::operation::Range;
use madang_store::{
    Medium, OpenError, Options, Store,
    conformance::fixtures::{append, make_room, make_users, messages, new_group, room},
};
use std::{
    fs, ops,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// Where the witness stands.
const WITNESS: ops::Range<usize> = 2_048..2_064;
/// What redb uses of the first page.
const HEADER: usize = 320;
const PAGE: usize = 4_096;

fn open(directory: &Path) -> Result<Store, OpenError> {
    madang_store::open(Options::in_directory(directory))
}

/// A store with one room, in use.
async fn used_store() -> (TempDir, PathBuf, Store) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path()).expect("an empty store");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let path = directory.path().join("madang.redb");
    (directory, path, store)
}

/// How many messages there are.
async fn count(store: &Store) -> u64 {
    let page = store.log.page(room(1), Range::Newest, 1, usize::MAX).await;
    page.map(|page| page.last_seq).expect("a page")
}

/// As if a killed process had left `bytes` at `path`.
async fn reopened(path: &Path, bytes: &[u8]) -> Result<Store, OpenError> {
    fs::write(path, bytes).expect("written");
    open(path.parent().expect("a directory"))
}

#[tokio::test]
async fn a_file_behind_its_witness_is_refused_until_that_is_taken_away() {
    let (directory, path, store) = used_store().await;
    append(&store, messages(1, 1, 3)).await;
    store.control.close().await;
    let mut older = fs::read(&path).expect("a file");
    let store = open(directory.path()).expect("sound");
    append(&store, messages(1, 4, 4)).await;
    store.control.close().await;
    let newer = fs::read(&path).expect("a file");
    drop(store);

    older[WITNESS].copy_from_slice(&newer[WITNESS]);
    let error = reopened(&path, &older).await.err().expect("it has lost a commit");
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("acknowledged") && text.contains("backup"), "{text}");
    let checked = madang_store::check(Medium::Directory(directory.path().into()));
    assert_eq!(checked.expect_err("the check says the same").to_string(), text);
    assert!(fs::read(&path).expect("a file") == older, "the file was changed");

    // What docs/architecture.md says to do without a backup.
    older[WITNESS].fill(0);
    let store = reopened(&path, &older).await.expect("nothing contradicts it");
    assert_eq!(count(&store).await, 3);
    append(&store, messages(1, 4, 4)).await;
    assert!(fs::read(&path).expect("a file")[WITNESS].iter().any(|byte| *byte != 0), "renewed");
}

/// A backup has its own witness, and so says nothing about what came later.
#[tokio::test]
async fn an_older_copy_is_opened() {
    let (_directory, path, store) = used_store().await;
    append(&store, messages(1, 1, 3)).await;
    store.control.close().await;
    let backup = fs::read(&path).expect("a file");
    let store = reopened(&path, &backup).await.expect("sound");
    append(&store, messages(1, 4, 10)).await;
    store.control.close().await;
    let store = reopened(&path, &backup).await.expect("a backup is sound");
    assert_eq!(count(&store).await, 3);
}

/// The witness rests on this: whatever redb does, it leaves the rest of the first page alone.
#[tokio::test]
async fn nobody_else_writes_to_its_page() {
    let (directory, path, mut store) = used_store().await;
    let mut witness = vec![0; WITNESS.len()];
    let mut next = 1;
    for killed in [false, true, false, true] {
        append(&store, messages(1, next, next + 999)).await;
        next += 1_000;
        let used = fs::read(&path).expect("a file");
        assert_ne!(used[WITNESS], witness, "it was not written");
        witness = used[WITNESS].to_vec();
        store.control.close().await;
        if killed {
            fs::write(&path, used).expect("written");
        }
        store = open(directory.path()).expect("sound");
        let page = fs::read(&path).expect("a file")[..PAGE].to_vec();
        assert_eq!(page[WITNESS], witness);
        let mut rest = page[HEADER..WITNESS.start].iter().chain(&page[WITNESS.end..]);
        assert!(rest.all(|byte| *byte == 0), "{page:?}");
    }
}
