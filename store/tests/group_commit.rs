//! How many commits it takes, counted where a commit ends: at the sync of the file.

use futures_util::future::join_all;
use madang_protocol::{ClientId, Message};
use madang_store::{
    Options, Store,
    conformance::fixtures::{
        append, append_entries, changing, edit, make_room, make_users, message, messages,
        new_group, reacting, room, user,
    },
    open::{Medium, StorageFactory},
    receipts::Read,
};
use redb::{BackendError, StorageBackend, backends::FileBackend};
use std::{
    fs::File,
    io,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// A file whose syncs are counted.
#[derive(Debug)]
struct Counted {
    file: FileBackend,
    syncs: Arc<AtomicU64>,
}

impl StorageBackend for Counted {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Err(BackendError::Unsupported)
    }
}

/// An empty store, and the count of its syncs.
fn empty() -> (Store, Arc<AtomicU64>) {
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = syncs.clone();
    let file = tempfile::tempfile().expect("a file");
    let factory: StorageFactory = Arc::new(move || {
        let file: File = file.try_clone()?;
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(Counted { file, syncs: counted.clone() }))
    });
    let options = Options::on(Medium::Storage(factory));
    (madang_store::open(options).expect("an empty file"), syncs)
}

/// A store where each of the users 1 to `users` has a room.
async fn store(users: u64) -> (Store, Arc<AtomicU64>) {
    let (store, syncs) = empty();
    make_users(&store, 1..=users).await;
    for sender in 1..=users {
        make_room(&store, new_group(sender, sender, &[])).await;
    }
    (store, syncs)
}

async fn send(store: Store, sender: u64, count: u64) {
    for seq in 1..=count {
        let client_id = ClientId::new(&seq.to_string()).expect("short");
        let next = Message { client_id, ..message(sender, seq, sender) };
        append(&store, vec![Arc::new(next)]).await;
    }
}

#[tokio::test]
async fn one_sender_waits_for_one_commit_a_message() {
    let (store, syncs) = store(1).await;
    let before = syncs.load(Ordering::Relaxed);
    send(store.clone(), 1, 50).await;
    let commits = syncs.load(Ordering::Relaxed) - before;
    assert_eq!(commits, 50);
}

/// Messages are gathered by their writer, everything else by the store.
#[tokio::test]
async fn a_hundred_callers_share_their_commits() {
    let (store, syncs) = store(100).await;
    for sender in 1..=100 {
        append(&store, messages(sender, 1, 100)).await;
    }
    let before = syncs.load(Ordering::Relaxed);
    let readers = (1..=100).map(|reader| tokio::spawn(read(store.clone(), reader, 100)));
    for reader in join_all(readers).await {
        reader.expect("no reader panics");
    }
    let commits = syncs.load(Ordering::Relaxed) - before;
    assert!(commits < 200, "{commits} commits for 10,000 receipts");
}

async fn read(store: Store, reader: u64, count: u64) {
    for seq in 1..=count {
        let read = Read { room: room(reader), user: user(reader), seq };
        store.receipts.put_reads(vec![read]).await.expect("written");
    }
}

#[tokio::test]
async fn a_thousand_receipts_are_one_commit() {
    let (store, syncs) = empty();
    make_users(&store, 1..=1_000).await;
    let members: Vec<u64> = (2..=1_000).collect();
    make_room(&store, new_group(1, 1, &members)).await;
    append(&store, messages(1, 1, 7)).await;
    let before = syncs.load(Ordering::Relaxed);
    let reads = (1..=1_000).map(|of| Read { room: room(1), user: user(of), seq: 7 });
    store.receipts.put_reads(reads.collect()).await.expect("written");
    assert_eq!(syncs.load(Ordering::Relaxed) - before, 1);
    let readers = store.receipts.readers(room(1), 7, None, usize::MAX).await.expect("read");
    assert_eq!(readers.len(), 1_000);
}

#[tokio::test]
async fn a_command_of_changes_is_one_commit() {
    let (store, syncs) = empty();
    make_users(&store, 1..=100).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 100)).await;
    let before = syncs.load(Ordering::Relaxed);
    let reactions = (1..=100).map(|of| reacting(1, of, of, "a", true));
    let edits = (1..=100).map(|seq| changing(&edit(&message(1, seq, 1), seq, "edited")));
    append_entries(&store, reactions.chain(edits).collect()).await;
    assert_eq!(syncs.load(Ordering::Relaxed) - before, 1);
}
