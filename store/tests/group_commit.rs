//! How many commits it takes, counted where a commit ends: at the sync of a file.

use futures_util::future::join_all;
use madang_protocol::{ClientId, Message};
use madang_store::{
    Options, Store,
    conformance::fixtures::{
        append, append_entries, changing, edit, make_room, make_users, message, messages,
        new_group, reacting, room, user,
    },
    open::{Medium, StorageFactory, StorageKind},
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

/// What was done to the files.
#[derive(Debug, Default)]
struct Counts {
    syncs: AtomicU64,
    writes: AtomicU64,
}

impl Counts {
    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

/// A file whose use is counted.
#[derive(Debug)]
struct Counted {
    file: FileBackend,
    counts: Arc<Counts>,
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
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        self.file.write(offset, data)
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Err(BackendError::Unsupported)
    }
}

/// An empty store, and what is done to its files.
fn empty() -> (Store, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let counted = counts.clone();
    let [data, journal] = [(); 2].map(|()| tempfile::tempfile().expect("a file"));
    let factory: StorageFactory = Arc::new(move |kind| {
        let file: File = match kind {
            StorageKind::Data => data.try_clone()?,
            StorageKind::Journal => journal.try_clone()?,
        };
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok(Box::new(Counted { file, counts: counted.clone() }))
    });
    let options = Options::on(Medium::Storage(factory));
    (madang_store::open(options).expect("an empty file"), counts)
}

/// A store where each of the users 1 to `users` has a room.
async fn store(users: u64) -> (Store, Arc<Counts>) {
    let (store, counts) = empty();
    make_users(&store, 1..=users).await;
    for sender in 1..=users {
        make_room(&store, new_group(sender, sender, &[])).await;
    }
    (store, counts)
}

async fn send(store: &Store, sender: u64, from: u64, to: u64) {
    for seq in from..=to {
        let client_id = ClientId::new(&seq.to_string()).expect("short");
        let next = Message { client_id, ..message(sender, seq, sender) };
        append(store, vec![Arc::new(next)]).await;
    }
}

#[tokio::test]
async fn one_sender_waits_for_one_commit_a_message() {
    let (store, counts) = store(1).await;
    let before = counts.syncs();
    send(&store, 1, 1, 50).await;
    let commits = counts.syncs() - before;
    assert_eq!(commits, 50);
}

/// One for the journal and one for the witness, where the pages of a message would be a dozen; and
/// now and then those of all that the journal holds.
#[tokio::test]
async fn a_message_is_two_writes() {
    let (store, counts) = store(1).await;
    let before = counts.writes();
    send(&store, 1, 1, 50).await;
    assert_eq!(counts.writes() - before, 100);
    let before = counts.writes();
    send(&store, 1, 51, 5_000).await;
    let writes = counts.writes() - before;
    assert!((2 * 4_950..3 * 4_950).contains(&writes), "{writes}");
}

/// Messages are gathered by their writer, everything else by the store.
#[tokio::test]
async fn a_hundred_callers_share_their_commits() {
    let (store, counts) = store(100).await;
    for sender in 1..=100 {
        append(&store, messages(sender, 1, 100)).await;
    }
    let before = counts.syncs();
    let readers = (1..=100).map(|reader| tokio::spawn(read(store.clone(), reader, 100)));
    for reader in join_all(readers).await {
        reader.expect("no reader panics");
    }
    let commits = counts.syncs() - before;
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
    let (store, counts) = empty();
    make_users(&store, 1..=1_000).await;
    let members: Vec<u64> = (2..=1_000).collect();
    make_room(&store, new_group(1, 1, &members)).await;
    append(&store, messages(1, 1, 7)).await;
    let before = counts.syncs();
    let reads = (1..=1_000).map(|of| Read { room: room(1), user: user(of), seq: 7 });
    store.receipts.put_reads(reads.collect()).await.expect("written");
    assert_eq!(counts.syncs() - before, 1);
    let readers = store.receipts.readers(room(1), 7, None, usize::MAX).await.expect("read");
    assert_eq!(readers.len(), 1_000);
}

#[tokio::test]
async fn a_command_of_changes_is_one_commit() {
    let (store, counts) = empty();
    make_users(&store, 1..=100).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 100)).await;
    let before = counts.syncs();
    let reactions = (1..=100).map(|of| reacting(1, of, of, "a", true));
    let edits = (1..=100).map(|seq| changing(&edit(&message(1, seq, 1), seq, "edited")));
    append_entries(&store, reactions.chain(edits).collect()).await;
    assert_eq!(counts.syncs() - before, 1);
}
