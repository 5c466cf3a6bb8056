//! G1, G2 and G3 through power cuts and failing disks: what was acknowledged stays, without holes
//! or repeats, whatever the disk did with that which was not synced.

mod disk;

use disk::{Disk, Faults, Unsynced};
use futures_util::future::join_all;
use madang_protocol::{Message, operation::Range};
use madang_store::{
    Store,
    conformance::fixtures::{append, make_room, make_users, message, new_group, room, try_append},
    log::Stopped,
};
use std::sync::Arc;

/// Rooms, each with one home that appends; their appends share commits.
const ROOMS: u64 = 4;

async fn open_with_rooms(disk: &Disk) -> Store {
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, [1, 2]).await;
    for number in 1..=ROOMS {
        make_room(&store, new_group(number, 1, &[2])).await;
    }
    store
}

/// Appends to one room until that fails; returns how many were acknowledged.
async fn append_until_failure(store: &Store, in_room: u64, batch: u64) -> u64 {
    let mut acknowledged = 0;
    loop {
        let next = acknowledged + 1..=acknowledged + batch;
        let messages: Vec<_> = next.map(|seq| Arc::new(message(in_room, seq, 1))).collect();
        let answer = try_append(store, messages).await;
        acknowledged += answer.committed as u64;
        if answer.stopped.is_some() {
            return acknowledged;
        }
    }
}

/// What is wrong with a room of which the first `acknowledged` messages must be there.
async fn verify(store: &Store, in_room: u64, acknowledged: u64) -> Result<(), String> {
    let page = store.log.page(room(in_room), Range::Newest, usize::MAX, usize::MAX).await;
    let page = page.map_err(|error| error.to_string())?;
    let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
    if seqs != (1..=seqs.len() as u64).collect::<Vec<_>>() {
        return Err(format!("room {in_room}: a hole in {seqs:?}"));
    }
    if page.last_seq < acknowledged {
        return Err(format!("room {in_room}: {acknowledged} lost, there are {}", page.last_seq));
    }
    let same = |found: &Arc<Message>| **found == message(in_room, found.seq, 1);
    if !page.messages.iter().all(same) {
        return Err(format!("room {in_room}: not what was sent"));
    }
    Ok(())
}

/// Runs until the power is cut at a random operation, and looks at what is left.
async fn round(seed: u64, unsynced: Unsynced, lies: bool) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = Disk::default();
    let store = open_with_rooms(&disk).await;
    let dead_from = Some(disk.operations() + random.u64(1..400));
    disk.set_faults(Faults { dead_from, lies, ..Faults::default() });
    let homes = (1..=ROOMS).map(|number| append_until_failure(&store, number, number));
    let acknowledged = join_all(homes).await;
    drop(store);

    let left = disk.after_power_cut(unsynced, &mut random);
    let report = madang_store::check(left.medium()).map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(format!("{:?}", report.problems));
    }
    let store = madang_store::open(left.options()).map_err(|error| error.to_string())?;
    for (number, acknowledged) in (1..=ROOMS).zip(acknowledged) {
        verify(&store, number, acknowledged).await?;
        let last = store.log.page(room(number), Range::Newest, 1, 1).await;
        let next = last.map_err(|error| error.to_string())?.last_seq + 1;
        append(&store, vec![Arc::new(message(number, next, 1))]).await;
    }
    Ok(())
}

async fn rounds(unsynced: Unsynced) {
    for seed in 0..60 {
        if let Err(problem) = round(seed, unsynced, false).await {
            panic!("seed {seed}, {unsynced:?}: {problem}");
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_with_the_unsynced() {
    rounds(Unsynced::Lost).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_some_writes_are_kept() {
    rounds(Unsynced::SomeKept).await;
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_writes_are_torn() {
    rounds(Unsynced::Torn).await;
}

/// The proof that the rounds above can fail.
#[tokio::test]
async fn a_disk_that_lies_about_syncing_is_found_out() {
    let mut found = 0;
    for seed in 0..10 {
        found += u32::from(round(seed, Unsynced::Lost, true).await.is_err());
    }
    assert!(found >= 9, "found in {found} of 10 rounds");
}

/// So long that a page of the file holds one: what a failed sync left out is not written again by
/// the next commits.
fn long_message(in_room: u64, seq: u64) -> Message {
    Message { body: format!("{seq:03500}").into(), ..message(in_room, seq, 1) }
}

/// Whatever operation of a commit fails: "refused" means never written, "committed" means durable,
/// and the store goes on by itself.
#[tokio::test]
async fn every_single_failure_is_answered_truly() {
    // How often the failed commit had taken effect nevertheless, and how often not.
    let (mut committed_nevertheless, mut refused) = (0, 0);
    for failing in 1..60 {
        let disk = Disk::default();
        let store = open_with_rooms(&disk).await;
        let fails_at = disk.operations() + failing;
        disk.set_faults(Faults { fails_at: Some(fails_at), ..Faults::default() });
        let mut committed = 0;
        while committed < 10 {
            let before = disk.operations();
            let next = long_message(1, committed + 1);
            let answer = try_append(&store, vec![Arc::new(next)]).await;
            committed += answer.committed as u64;
            let failed = (before..disk.operations()).contains(&(fails_at - 1));
            match answer.stopped {
                None => committed_nevertheless += u32::from(failed),
                Some(Stopped::Refused(_)) => refused += u32::from(failed),
                // Written although it was refused, or lost although nothing said so.
                Some(other) => panic!("operation {failing}: {other:?}"),
            }
            tokio::task::yield_now().await;
        }
        drop(store);
        assert!(disk.operations() > fails_at, "operation {failing} was never done");
        let left = disk.after_power_cut(Unsynced::Lost, &mut fastrand::Rng::with_seed(1));
        let store = madang_store::open(left.options()).expect("a sound disk");
        let page = store.log.page(room(1), Range::Newest, 100, usize::MAX).await;
        let messages = page.map(|page| page.messages);
        let expected = (1..=10).map(|seq| Arc::new(long_message(1, seq))).collect();
        assert_eq!(messages, Ok(expected), "operation {failing}");
    }
    assert!(committed_nevertheless > 0, "no doubt was resolved");
    assert!(refused > 0, "no failure was refused");
}
