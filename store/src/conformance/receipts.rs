//! Cases of [`ReceiptStore`](crate::ReceiptStore).

use super::fixtures::{
    CREATED_AT, append, make_group, make_room, make_users, message, messages, new_group, room, user,
};
use crate::{Store, receipts::Read, rooms::RoomChange};
use futures_util::future::join_all;
use std::sync::Arc;

const ALL: usize = usize::MAX;

fn has_read(in_room: u64, of: u64, seq: u64) -> Read {
    Read { room: room(in_room), user: user(of), seq }
}

/// The members of a room and how far they have read, by number.
async fn positions(store: &Store, in_room: u64) -> Vec<u64> {
    let members = store.rooms.members(room(in_room), None, ALL).await.unwrap();
    members.iter().map(|member| member.read_seq).collect()
}

/// Group 1 of users 1 to `users`, with messages 1 to `to` of user 1, who has read them.
async fn group_with_messages(store: &Store, users: u64, to: u64) {
    make_group(store, users).await;
    append(store, messages(1, 1, to)).await;
}

/// A position moves up and never down, whatever comes in which order.
pub async fn read_positions_only_move_up(store: Store) {
    group_with_messages(&store, 3, 9).await;
    for (seq, expected) in [(3, 3), (2, 3), (0, 3), (3, 3), (7, 7), (6, 7)] {
        assert_eq!(store.receipts.put_reads(vec![has_read(1, 2, seq)]).await, Ok(()));
        assert_eq!(positions(&store, 1).await, [9, expected, 0], "after {seq}");
    }
    let bulk = [5, 8, 1].map(|seq| has_read(1, 3, seq)).to_vec();
    assert_eq!(store.receipts.put_reads(bulk).await, Ok(()));
    assert_eq!(positions(&store, 1).await, [9, 7, 8]);
}

/// Nobody has read more than there is, and what comes later is unread.
pub async fn read_positions_stay_within_the_room(store: Store) {
    group_with_messages(&store, 2, 3).await;
    make_room(&store, new_group(2, 1, &[2])).await;
    let beyond = vec![has_read(1, 2, u64::MAX), has_read(2, 2, 1), has_read(9, 2, 1)];
    assert_eq!(store.receipts.put_reads(beyond).await, Ok(()));
    assert_eq!((positions(&store, 1).await, positions(&store, 2).await), (vec![3, 3], vec![0, 0]));
    append(&store, messages(1, 4, 5)).await;
    assert_eq!(positions(&store, 1).await, [5, 3]);
}

/// Receipts of those who are no members, or not any more, are passed over.
pub async fn a_receipt_makes_nobody_a_member(store: Store) {
    make_users(&store, 1..=4).await;
    make_room(&store, new_group(1, 1, &[2, 3])).await;
    append(&store, messages(1, 1, 3)).await;
    store.rooms.change(room(1), user(3), RoomChange::Leave, CREATED_AT).await.unwrap();
    let bulk = (2..=5).map(|number| has_read(1, number, 2)).collect();
    assert_eq!(store.receipts.put_reads(bulk).await, Ok(()));
    let members = store.rooms.members(room(1), None, ALL).await.unwrap();
    let found: Vec<_> = members.iter().map(|member| (member.user, member.read_seq)).collect();
    assert_eq!(found, [(user(1), 3), (user(2), 2)]);
    assert_eq!(store.rooms.view(room(1), user(3)).await, Ok(None));
    assert_eq!(store.rooms.view(room(1), user(4)).await, Ok(None));
    let readers = store.receipts.readers(room(1), 1, None, ALL).await.unwrap();
    assert_eq!(readers, members);
}

/// Every answer that holds a read position shows it.
pub async fn a_receipt_is_seen_everywhere(store: Store) {
    group_with_messages(&store, 2, 5).await;
    assert_eq!(store.receipts.put_reads(vec![has_read(1, 2, 4)]).await, Ok(()));
    let view = store.rooms.view(room(1), user(2)).await.unwrap().unwrap();
    let listed = store.rooms.list(user(2), None, 1).await.unwrap();
    let access = store.rooms.access(user(2), vec![room(1)]).await.unwrap();
    let all = store.rooms.access_all(user(2), 1).await.unwrap();
    let seen = [view.read_seq, listed[0].read_seq, access[0].unwrap().read_seq, all[0].1.read_seq];
    assert_eq!(seen, [4; 4]);
}

/// A thousand at once, of many rooms: as if each had come alone.
pub async fn a_bulk_counts_for_every_member(store: Store) {
    make_users(&store, 1..=6).await;
    for number in 1..=10 {
        make_room(&store, new_group(number, 1, &[2, 3, 4, 5, 6])).await;
        append(&store, messages(number, 1, 20)).await;
    }
    // Twenty for each member but the first of each room, in no order.
    let bulk: Vec<_> = (0..1_000_u64)
        .map(|number| {
            let (in_room, of) = (number % 10 + 1, number / 10 % 5 + 2);
            has_read(in_room, of, (number / 50 + number) % (in_room + of) + 1)
        })
        .collect();
    assert_eq!(store.receipts.put_reads(bulk.clone()).await, Ok(()));
    for number in 1..=10 {
        let highest = |of| {
            let of_member =
                bulk.iter().filter(|read| (read.room, read.user) == (room(number), user(of)));
            of_member.map(|read| read.seq).max().unwrap()
        };
        let expected: Vec<_> = (2..=6).map(highest).collect();
        assert_eq!(positions(&store, number).await[1..], expected, "room {number}");
    }
}

/// Nothing to write is written.
pub async fn putting_no_receipts_is_fine(store: Store) {
    assert_eq!(store.receipts.put_reads(Vec::new()).await, Ok(()));
}

/// Receipts that race with each other and with sends end at the highest.
pub async fn racing_receipts_end_at_the_highest(store: Store) {
    group_with_messages(&store, 2, 20).await;
    let racers = (1..=20).rev().map(|seq| store.receipts.put_reads(vec![has_read(1, 2, seq)]));
    let (answers, ()) = tokio::join!(join_all(racers), async {
        append(&store, vec![Arc::new(message(1, 21, 2)), Arc::new(message(1, 22, 1))]).await;
    });
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(positions(&store, 1).await, [22, 21]);
}

/// Readers of a message stand by user, page by page, its sender among them.
pub async fn pages_readers_by_user(store: Store) {
    group_with_messages(&store, 5, 9).await;
    let bulk = vec![has_read(1, 2, 3), has_read(1, 4, 5), has_read(1, 5, 4)];
    assert_eq!(store.receipts.put_reads(bulk).await, Ok(()));
    for (seq, after, limit, expected) in [
        (4, None, ALL, vec![(1, 9), (4, 5), (5, 4)]),
        (4, None, 2, vec![(1, 9), (4, 5)]),
        (4, Some(4), 2, vec![(5, 4)]),
        (4, Some(2), 1, vec![(4, 5)]),
        (4, Some(5), ALL, vec![]),
        (5, None, ALL, vec![(1, 9), (4, 5)]),
        (9, None, ALL, vec![(1, 9)]),
        (10, None, ALL, vec![]),
        (0, None, ALL, vec![(1, 9), (2, 3), (3, 0), (4, 5), (5, 4)]),
        (4, None, 0, vec![]),
    ] {
        let readers = store.receipts.readers(room(1), seq, after.map(user), limit).await.unwrap();
        let found: Vec<_> = readers.iter().map(|reader| (reader.user, reader.read_seq)).collect();
        let expected: Vec<_> = expected.iter().map(|(of, seq)| (user(*of), *seq)).collect();
        assert_eq!(found, expected, "of {seq}, after {after:?}, at most {limit}");
    }
    assert_eq!(store.receipts.readers(room(9), 0, None, ALL).await, Ok(Vec::new()));
}
