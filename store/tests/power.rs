//! G1, G2 and G3 through power cuts and failing disks: what was acknowledged stays, without holes
//! or repeats, whatever the disk did with that which was not synced.

mod disk;

use disk::{Disk, Faults, Unsynced};
use futures_util::future::join_all;
use madang_protocol::{Message, operation::Range};
use madang_store::{
    Store,
    conformance::fixtures::{
        append, append_entries, changing, delete, edit, make_room, make_users, message, messages,
        new_group, reacting, read, room, try_append, user,
    },
    log::Stopped,
    receipts::Read,
};
use std::sync::Arc;

/// Rooms, each with one home that appends.
const ROOMS: u64 = 4;
/// How many messages each home appends at once: few go into the journal, many into the data.
const AT_ONCE: [u64; ROOMS as usize] = [1, 2, 3, 700];
/// A room that is filled before, so that the journal is, too.
const FILLED: u64 = ROOMS + 1;
/// Long messages that the journal holds, and some.
const LONG_MESSAGES: u64 = 150;
/// Messages of a room whose messages are changed.
const MESSAGES: u64 = 5;

async fn open_with_rooms(disk: &Disk) -> Store {
    with_rooms(madang_store::open(disk.options()).expect("an empty disk")).await
}

async fn with_rooms(store: Store) -> Store {
    make_users(&store, [1, 2]).await;
    for number in 1..=FILLED {
        make_room(&store, new_group(number, 1, &[2])).await;
    }
    store
}

/// Sends so many long messages, each a commit of its own.
async fn fill(store: &Store, count: u64) {
    for seq in 1..=count {
        append(store, vec![Arc::new(long_message(FILLED, seq))]).await;
    }
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
        tokio::task::yield_now().await;
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
    let mut options = disk.options();
    if seed.is_multiple_of(3) {
        // Pages of what is in the journal only are written to the data as well, for want of memory.
        options.cache_bytes = 0;
    }
    let store = with_rooms(madang_store::open(options).expect("an empty disk")).await;
    let filled = random.u64(0..LONG_MESSAGES);
    fill(&store, filled).await;
    // A lie is found out by what was acknowledged, and the largest commit takes a thousand operations.
    let operations = if lies { 2_000..4_000 } else { 1..2_000 };
    let dead_from = Some(disk.operations() + random.u64(operations));
    disk.set_faults(Faults { dead_from, lies, ..Faults::default() });
    let homes = (1..=ROOMS).zip(AT_ONCE);
    let homes = homes.map(|(number, batch)| append_until_failure(&store, number, batch));
    let acknowledged = join_all(homes).await;
    drop(store);

    let left = disk.after_power_cut(unsynced, &mut random);
    let report = madang_store::check(left.medium()).map_err(|error| error.to_string())?;
    if !report.is_sound() {
        return Err(format!("{:?}", report.problems));
    }
    let store = madang_store::open(left.options()).map_err(|error| error.to_string())?;
    let page = store.log.page(room(FILLED), Range::Newest, 1, 1).await;
    if page.map(|page| page.last_seq) != Ok(filled) {
        return Err(format!("not all of {filled}"));
    }
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

/// Edits, reactions and receipts in room 1, one command each, until that fails; returns how many
/// changes and how many receipts were acknowledged.
async fn change_until_failure(store: &Store) -> (u64, u64) {
    for rev in 1.. {
        let seq = rev % MESSAGES + 1;
        let message = read(store, 1, seq).await;
        let command = vec![
            changing(&edit(&message, rev, &format!("edited {rev}"))),
            reacting(1, seq, 2, "a", rev % 3 > 0),
        ];
        let answer = store.log.append(command).await;
        if answer.stopped.is_some() {
            assert_eq!(answer.committed, 0, "a command is durable as a whole");
            return (rev - 1, rev - 1);
        }
        let read = Read { room: room(1), user: user(2), seq };
        if store.receipts.put_reads(vec![read]).await.is_err() {
            return (rev, rev - 1);
        }
    }
    unreachable!("revs end in failure")
}

/// Cuts the power at a random operation under changes, and looks at what is left.
async fn round_of_changes(seed: u64, unsynced: Unsynced) {
    let mut random = fastrand::Rng::with_seed(seed);
    let disk = Disk::default();
    let store = open_with_rooms(&disk).await;
    append(&store, messages(1, 1, MESSAGES)).await;
    fill(&store, random.u64(0..LONG_MESSAGES)).await;
    let dead_from = Some(disk.operations() + random.u64(1..400));
    disk.set_faults(Faults { dead_from, ..Faults::default() });
    let (acknowledged, receipts) = change_until_failure(&store).await;
    drop(store);

    let left = disk.after_power_cut(unsynced, &mut random);
    let report = madang_store::check(left.medium()).expect("readable");
    assert!(report.is_sound(), "{:?}", report.problems);
    let store = madang_store::open(left.options()).expect("a sound disk");
    let marks = store.log.marks(room(1), 0, usize::MAX).await.expect("readable");
    let last_rev = marks.len() as u64;
    assert!(last_rev >= acknowledged, "{acknowledged} acknowledged, {last_rev} left");
    for seq in 1..=MESSAGES {
        let latest = (1..=last_rev).rev().find(|rev| rev % MESSAGES + 1 == seq);
        let found = store.log.target(room(1), seq, user(2)).await.expect("readable");
        let found = found.expect("it was sent");
        let body = latest.map_or(message(1, seq, 1).body, |rev| format!("edited {rev}").into());
        let reacts = latest.is_some_and(|rev| rev % 3 > 0);
        let state = (found.message.rev(), found.message.body.clone(), !found.mine.is_empty());
        assert_eq!(state, (latest.unwrap_or(0), body, reacts), "message {seq}");
    }
    let read_up_to = if receipts == 0 { 0 } else { MESSAGES.min(receipts + 1) };
    let member = store.rooms.view(room(1), user(2)).await.expect("readable").expect("a member");
    assert!(member.read_seq >= read_up_to, "{} instead of {read_up_to}", member.read_seq);
    append_entries(&store, vec![changing(&delete(&message(1, 1, 1), last_rev + 1))]).await;
}

#[tokio::test]
async fn no_acknowledged_change_is_lost() {
    for seed in 0..60 {
        for unsynced in [Unsynced::Lost, Unsynced::SomeKept, Unsynced::Torn] {
            round_of_changes(seed, unsynced).await;
        }
    }
}

/// So long that a page of the file holds one: what a failed sync left out is not written again by
/// the next commits.
fn long_message(in_room: u64, seq: u64) -> Message {
    Message { body: format!("{seq:014000}").into(), ..message(in_room, seq, 1) }
}

/// Whatever operation of a commit fails: "refused" means never written, "committed" means durable,
/// and the store goes on by itself.
#[tokio::test]
async fn every_single_failure_of_the_journal_is_answered_truly() {
    every_single_failure_is_answered_truly(0).await;
}

/// The journal is nearly full: one of the first commits goes into the data.
#[tokio::test]
async fn every_single_failure_of_the_data_is_answered_truly() {
    every_single_failure_is_answered_truly(have_room().await - 3).await;
}

/// How many long messages the journal has room for: the next one is a commit into the data.
async fn have_room() -> u64 {
    /// A write, a sync, and the witness.
    const JOURNALED: u64 = 3;
    let disk = Disk::default();
    let store = open_with_rooms(&disk).await;
    for seq in 1.. {
        let before = disk.operations();
        append(&store, vec![Arc::new(long_message(FILLED, seq))]).await;
        if disk.operations() - before > JOURNALED {
            return seq - 1;
        }
    }
    unreachable!("it is bounded")
}

async fn every_single_failure_is_answered_truly(filled: u64) {
    // How often the failed commit had taken effect nevertheless, and how often not.
    let (mut committed_nevertheless, mut refused) = (0, 0);
    for failing in 1..60 {
        let disk = Disk::default();
        let store = open_with_rooms(&disk).await;
        fill(&store, filled).await;
        let fails_at = disk.operations() + failing;
        disk.set_faults(Faults { fails_at: Some(fails_at), ..Faults::default() });
        let mut committed = 0;
        while committed < 10 || disk.operations() <= fails_at {
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
        // Before the store is closed, which would write everything once more.
        let left = disk.after_power_cut(Unsynced::Lost, &mut fastrand::Rng::with_seed(1));
        drop(store);
        let store = madang_store::open(left.options()).expect("a sound disk");
        let page = store.log.page(room(1), Range::Newest, 100, usize::MAX).await;
        let messages = page.map(|page| page.messages);
        let expected = (1..=committed).map(|seq| Arc::new(long_message(1, seq))).collect();
        assert_eq!(messages, Ok(expected), "operation {failing}");
    }
    assert!(committed_nevertheless > 0, "no doubt was resolved");
    assert!(refused > 0, "no failure was refused");
}
