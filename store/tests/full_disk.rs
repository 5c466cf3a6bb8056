//! A disk that runs full for a while: sends are refused for certain, reads go on, and when there
//! is room again everything works without a restart.

mod disk;

use disk::{Disk, Faults};
use futures_util::future::join_all;
use madang_protocol::{Message, operation::Range};
use madang_resilience::State;
use madang_store::{
    Options, Store, StoreError,
    conformance::fixtures::{
        make_room, make_users, message, messages, new_group, room, try_append,
    },
    log::{Appended, Stopped},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const RECOVERY_MAX: Duration = Duration::from_secs(20);

fn large_message(seq: u64) -> Arc<Message> {
    Arc::new(Message { body: format!("{seq:016000}").into(), ..message(1, seq, 1) })
}

async fn append(store: &Store, seq: u64) -> Result<(), StoreError> {
    match try_append(store, vec![large_message(seq)]).await {
        Appended { committed: 1, stopped: None } => Ok(()),
        Appended { committed: 0, stopped: Some(Stopped::Refused(error)) } => Err(error),
        other => panic!("message {seq}: {other:?}"),
    }
}

/// Waits until `works`; the store gets there without help.
async fn until(mut works: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + RECOVERY_MAX;
    while !works().await {
        assert!(Instant::now() < deadline, "never recovered");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_ok(store: &Store) {
    until(async || store.control.health().state == State::Ok).await;
}

async fn verify(store: &Store, count: u64) {
    let page = store.log.page(room(1), Range::Newest, usize::MAX, usize::MAX).await;
    let expected: Vec<_> = (1..=count).map(large_message).collect();
    assert_eq!(page.map(|page| page.messages), Ok(expected));
}

/// Appends until the disk is full; returns how many were committed.
async fn fill(store: &Store, from: u64) -> u64 {
    let mut seq = from;
    while append(store, seq).await.is_ok() {
        seq += 1;
    }
    seq - 1
}

#[tokio::test]
async fn a_full_disk_refuses_sends_and_recovers_by_itself() {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    assert_eq!(store.control.health().state, State::Ok);
    let mut committed = 0;
    for _ in 0..3 {
        let blocks_max = Some(disk.blocks() + 100);
        disk.set_faults(Faults { blocks_max, ..Faults::default() });
        committed = fill(&store, committed + 1).await;
        let full = store.control.health();
        assert_eq!(full.state, State::Degraded);

        // Intact and readable, although the file was opened again on a full disk; and refused
        // means that the same message may be sent again.
        verify(&store, committed).await;
        let refused = append(&store, committed + 1).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

        disk.set_faults(Faults::default());
        until(async || append(&store, committed + 1).await.is_ok()).await;
        committed += 1;
        assert_eq!(store.control.health().state, State::Ok);
        assert!(store.control.health().since >= full.since);
    }
    verify(&store, committed).await;
    store.control.close().await;
    let report = madang_store::check(disk.medium()).expect("a sound disk");
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.messages, committed);
}

/// While the data file cannot grow, what the journal has room for is accepted, and then nothing; reads
/// go on, and when there is room again everything does.
#[tokio::test]
async fn a_full_disk_is_felt_when_the_journal_is_full() {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    disk.set_faults(Faults { blocks_max: Some(0), ..Faults::default() });
    let mut seq = 1;
    while try_append(&store, messages(1, seq, seq)).await.committed == 1 {
        seq += 1;
    }
    assert!(seq > 1_000, "{seq}");
    assert_eq!(store.control.health().state, State::Degraded);
    let page = store.log.page(room(1), Range::Newest, usize::MAX, usize::MAX).await;
    assert_eq!(page.map(|page| page.messages), Ok(messages(1, 1, seq - 1)));
    disk.set_faults(Faults::default());
    until_ok(&store).await;
    let sent = try_append(&store, messages(1, seq, seq)).await;
    assert_eq!(sent.committed, 1);
    store.control.close().await;
    let report = madang_store::check(disk.medium()).expect("a sound disk");
    assert_eq!((report.problems, report.messages), (Vec::new(), seq));
}

/// Nobody sends to a node that is not ready, so it must notice without being sent to.
#[tokio::test]
async fn it_recovers_without_being_asked() {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    disk.set_faults(Faults { blocks_max: Some(0), ..Faults::default() });
    let committed = fill(&store, 1).await;
    disk.set_faults(Faults::default());
    until_ok(&store).await;
    assert_eq!(append(&store, committed + 1).await, Ok(()));
}

/// When the storage is gone altogether, the outcome of the commit under way is unknown, what comes
/// after is refused, and both calls answer soon.
#[tokio::test]
async fn a_storage_that_is_gone_leaves_one_outcome_unknown() {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let dead_from = Some(disk.operations());
    disk.set_faults(Faults { dead_from, ..Faults::default() });
    let answer = try_append(&store, vec![large_message(1)]).await;
    assert!(matches!(answer.stopped, Some(Stopped::Unknown(_))), "{answer:?}");
    assert_eq!(store.control.health().state, State::Down);
    assert!(matches!(append(&store, 1).await, Err(StoreError::Unavailable(_))));
    let read = store.rooms.view(room(1), message(1, 1, 1).sender).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");

    disk.set_faults(Faults::default());
    until_ok(&store).await;
    assert_eq!(append(&store, 1).await, Ok(()));
}

/// After one failed read redb refuses everything; the store must notice without being written to.
#[tokio::test]
async fn a_failed_read_is_recovered_from() {
    let disk = Disk::default();
    let options = Options { cache_bytes: 0, ..disk.options() };
    let store = madang_store::open(options).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let dead_from = Some(disk.operations());
    disk.set_faults(Faults { dead_from, ..Faults::default() });
    let read = store.log.activate(room(1), 1).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");

    disk.set_faults(Faults::default());
    until(async || store.log.activate(room(1), 1).await.is_ok()).await;
}

/// While the store rests there is always a next job to be refused; it must try again all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_recovers_although_senders_never_pause() {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    disk.set_faults(Faults { blocks_max: Some(0), ..Faults::default() });
    let next = fill(&store, 1).await + 1;
    disk.set_faults(Faults::default());
    let deadline = Instant::now() + RECOVERY_MAX;
    let impatient = (0..8).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            while try_append(&store, vec![large_message(next)]).await.committed == 0
                && store.control.health().state != State::Ok
            {
                assert!(Instant::now() < deadline, "never recovered");
            }
        })
    });
    for sender in join_all(impatient).await {
        sender.expect("it recovered");
    }
}
