//! Cases of [`MessageLog`](crate::MessageLog).

use super::fixtures::{
    CREATED_AT, append, append_entries, changing, client_id, edit, make_group, make_room,
    make_users, message, messages, new_group, room, try_append, user,
};
use crate::{
    Store,
    log::{Appended, NEWS_MAX, Page, Sent, Stopped},
    rooms::RoomChange,
};
use futures_util::future::join_all;
use madang_protocol::{Heads, Message, RoomId, RoomKind, limits, operation::Range};
use std::sync::Arc;

const ALL: usize = usize::MAX;

async fn seqs(store: &Store, room: RoomId, range: Range, limit: usize, bytes: usize) -> Vec<u64> {
    let page = store.log.page(room, range, limit, bytes).await.unwrap();
    page.messages.iter().map(|message| message.seq).collect()
}

async fn all(store: &Store, room: RoomId) -> Vec<Arc<Message>> {
    store.log.page(room, Range::Newest, ALL, ALL).await.unwrap().messages
}

fn stopped(committed: usize, stopped: Stopped) -> Appended {
    Appended { committed, stopped: Some(stopped) }
}

/// Every field comes back as it went in, byte for byte.
pub async fn appends_in_order_and_reads_back(store: Store) {
    make_group(&store, 2).await;
    let plain = message(1, 1, 1);
    let reply =
        Message {
            reply_to: Some(1), body: "답장 \u{0}\r\n é e\u{301}".into(), ..message(1, 2, 2)
        };
    let longest = "x".repeat(limits::BODY_BYTES_MAX);
    let long = Message {
        body: longest.into(),
        client_id: client_id(&"c".repeat(limits::CLIENT_ID_BYTES_MAX)),
        ..message(1, 3, 1)
    };
    let sent: Vec<_> = [plain, reply, long].into_iter().map(Arc::new).collect();
    append(&store, sent.clone()).await;
    assert_eq!(all(&store, room(1)).await, sent);
    append(&store, messages(1, 4, 4)).await;
    assert_eq!(seqs(&store, room(1), Range::Newest, ALL, ALL).await, [1, 2, 3, 4]);
}

/// An empty command commits nothing and stops at nothing.
pub async fn appending_nothing_is_fine(store: Store) {
    append(&store, Vec::new()).await;
}

/// What stands before a known client id is committed; it and what stands behind it is not.
pub async fn stops_at_the_first_duplicate(store: Store) {
    make_group(&store, 2).await;
    append(&store, messages(1, 1, 2)).await;
    let again = Message { seq: 4, body: "another body".into(), ..message(1, 2, 1) };
    let command = vec![Arc::new(message(1, 3, 2)), Arc::new(again), Arc::new(message(1, 5, 2))];
    assert_eq!(try_append(&store, command).await, stopped(1, Stopped::Duplicate));
    assert_eq!(seqs(&store, room(1), Range::Newest, ALL, ALL).await, [1, 2, 3]);
    // Not attempted, so it may be sent again under another number.
    append(&store, vec![Arc::new(Message { seq: 4, ..message(1, 5, 2) })]).await;
}

/// What stands before a taken seq is committed; it and what stands behind it is not.
pub async fn stops_at_the_first_taken_seq(store: Store) {
    make_group(&store, 2).await;
    make_room(&store, new_group(2, 1, &[2])).await;
    append(&store, messages(1, 1, 3)).await;
    let command =
        vec![Arc::new(message(2, 1, 2)), Arc::new(message(1, 3, 2)), Arc::new(message(2, 2, 2))];
    assert_eq!(try_append(&store, command).await, stopped(1, Stopped::Taken));
    assert_eq!(all(&store, room(1)).await, messages(1, 1, 3));
    assert_eq!(seqs(&store, room(2), Range::Newest, ALL, ALL).await, [1]);
}

/// A client id that stands twice in one command is taken once.
pub async fn stops_at_a_duplicate_within_the_command(store: Store) {
    make_group(&store, 1).await;
    let twice = Message { seq: 2, ..message(1, 1, 1) };
    let command = vec![Arc::new(message(1, 1, 1)), Arc::new(twice), Arc::new(message(1, 3, 1))];
    assert_eq!(try_append(&store, command).await, stopped(1, Stopped::Duplicate));
    assert_eq!(all(&store, room(1)).await, messages(1, 1, 1));
}

/// The very same message again is both a duplicate and taken: either answer is right.
pub async fn names_either_reason_when_both_hold(store: Store) {
    make_group(&store, 1).await;
    append(&store, messages(1, 1, 1)).await;
    let answer = try_append(&store, messages(1, 1, 1)).await;
    let either = [stopped(0, Stopped::Duplicate), stopped(0, Stopped::Taken)];
    assert!(either.contains(&answer), "{answer:?}");
    assert_eq!(all(&store, room(1)).await, messages(1, 1, 1));
}

/// Another sender, and another room, may use the same client id.
pub async fn client_ids_are_unique_per_sender_and_room(store: Store) {
    make_group(&store, 2).await;
    make_room(&store, new_group(2, 1, &[])).await;
    let named = |in_room, seq, sender| {
        Arc::new(Message { client_id: client_id("same"), ..message(in_room, seq, sender) })
    };
    append(&store, vec![named(1, 1, 1), named(1, 2, 2), named(2, 1, 1)]).await;
    let again = try_append(&store, vec![named(1, 3, 1)]).await;
    assert_eq!(again, stopped(0, Stopped::Duplicate));
}

/// One command for several rooms is ordered as a whole.
pub async fn stops_across_rooms(store: Store) {
    make_group(&store, 1).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, messages(2, 1, 1)).await;
    let command = [messages(1, 1, 2), messages(2, 1, 2), messages(1, 3, 3)].concat();
    let answer = try_append(&store, command).await;
    assert_eq!(answer.committed, 2);
    assert!(matches!(answer.stopped, Some(Stopped::Duplicate | Stopped::Taken)), "{answer:?}");
    assert_eq!(all(&store, room(1)).await, messages(1, 1, 2));
    assert_eq!(all(&store, room(2)).await, messages(2, 1, 1));
}

/// A committed message is read by its sender; nobody becomes a member by sending.
pub async fn moves_the_read_position_of_a_member(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, new_group(1, 1, &[2])).await;
    let command = [messages(1, 1, 2), vec![Arc::new(message(1, 3, 3))]].concat();
    append(&store, command).await;
    let members = store.rooms.members(room(1), None, 10).await.unwrap();
    let read: Vec<_> = members.iter().map(|member| (member.user, member.read_seq)).collect();
    assert_eq!(read, [(user(1), 2), (user(2), 0)]);
}

/// Of many that want the same seq at once, one gets it and all others are told.
pub async fn racing_appends_have_one_winner(store: Store) {
    make_group(&store, 6).await;
    for seq in 1..=10 {
        let racers =
            (1..=6).map(|sender| try_append(&store, vec![Arc::new(message(1, seq, sender))]));
        let answers = join_all(racers).await;
        let winners = answers.iter().filter(|answer| answer.committed == 1).count();
        let losers = answers.iter().filter(|answer| **answer == stopped(0, Stopped::Taken)).count();
        assert_eq!((winners, losers), (1, 5), "seq {seq}: {answers:?}");
    }
    let everything = seqs(&store, room(1), Range::Newest, ALL, ALL).await;
    assert_eq!(everything, (1..=10).collect::<Vec<_>>());
}

/// Heads, time and the newest messages come in one answer.
pub async fn activates_with_heads_and_the_newest(store: Store) {
    make_group(&store, 2).await;
    let fresh = store.log.activate(room(1), 10).await.unwrap().unwrap();
    assert_eq!((fresh.heads, fresh.last_ts, fresh.window.len()), (Heads::default(), 0, 0));

    append(&store, messages(1, 1, 5)).await;
    make_users(&store, [9]).await;
    store.rooms.change(room(1), user(9), RoomChange::Join, CREATED_AT).await.unwrap();
    let active = store.log.activate(room(1), 3).await.unwrap().unwrap();
    assert_eq!(active.heads, Heads { last_seq: 5, last_rev: 0, member_rev: 1 });
    assert_eq!((active.kind, active.last_ts), (RoomKind::Group, message(1, 5, 1).ts));
    assert_eq!(active.window, messages(1, 3, 5));
    let narrow = store.log.activate(room(1), 0).await.unwrap().unwrap();
    assert_eq!((narrow.heads.last_seq, narrow.window.len()), (5, 0));
}

/// A room that was not made cannot be activated.
pub async fn activates_no_unknown_room(store: Store) {
    make_group(&store, 1).await;
    assert_eq!(store.log.activate(room(2), 10).await, Ok(None));
}

/// Answers stand in the order asked, and say where and when.
pub async fn finds_what_was_sent_in_the_order_asked(store: Store) {
    make_group(&store, 2).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, [messages(1, 1, 2), messages(2, 1, 1)].concat()).await;
    let (first, second) = (message(1, 1, 1), message(1, 2, 1));
    let asked = vec![
        (user(1), second.client_id.clone()),
        (user(2), second.client_id.clone()),
        (user(1), client_id("never")),
        (user(1), first.client_id.clone()),
        (user(1), second.client_id.clone()),
    ];
    let found = |message: &Message| Some(Sent { seq: message.seq, ts: message.ts });
    assert_eq!(
        store.log.find_sent(room(1), asked).await,
        Ok(vec![found(&second), None, None, found(&first), found(&second)])
    );
    let elsewhere = vec![(user(1), second.client_id)];
    assert_eq!(store.log.find_sent(room(2), elsewhere).await, Ok(vec![None]));
    assert_eq!(store.log.find_sent(room(2), Vec::new()).await, Ok(Vec::new()));
}

/// Before and after exclude what they name; all ranges ascend; the head comes along.
pub async fn pages_have_exclusive_bounds(store: Store) {
    make_group(&store, 1).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, [messages(1, 1, 9), messages(2, 1, 2)].concat()).await;
    for (range, limit, expected) in [
        (Range::Newest, 3, vec![7, 8, 9]),
        (Range::Newest, 100, (1..=9).collect()),
        (Range::Newest, 0, vec![]),
        (Range::Before(5), 2, vec![3, 4]),
        (Range::Before(3), 9, vec![1, 2]),
        (Range::Before(1), 9, vec![]),
        (Range::Before(0), 9, vec![]),
        (Range::Before(100), 2, vec![8, 9]),
        (Range::Before(u64::MAX), 1, vec![9]),
        (Range::After(0), 2, vec![1, 2]),
        (Range::After(4), 2, vec![5, 6]),
        (Range::After(8), 9, vec![9]),
        (Range::After(9), 9, vec![]),
        (Range::After(u64::MAX), 9, vec![]),
    ] {
        let page = store.log.page(room(1), range, limit, ALL).await.unwrap();
        let seqs: Vec<u64> = page.messages.iter().map(|message| message.seq).collect();
        assert_eq!((seqs, page.last_seq), (expected, 9), "{range:?}, at most {limit}");
    }
}

/// Bodies count, whole messages are given, and one is given however big it is.
pub async fn pages_are_bounded_by_number_and_bytes(store: Store) {
    make_group(&store, 1).await;
    let ten_bytes = |seq| Arc::new(Message { body: "0123456789".into(), ..message(1, seq, 1) });
    append(&store, (1..=6).map(ten_bytes).collect()).await;
    for (range, bytes, expected) in [
        (Range::Newest, 30, vec![4, 5, 6]),
        (Range::Newest, 29, vec![5, 6]),
        (Range::Newest, 1, vec![6]),
        (Range::Newest, 0, vec![6]),
        (Range::Before(4), 20, vec![2, 3]),
        (Range::After(1), 39, vec![2, 3, 4]),
        (Range::After(1), 40, vec![2, 3, 4, 5]),
        (Range::After(1), 5, vec![2]),
    ] {
        assert_eq!(seqs(&store, room(1), range, ALL, bytes).await, expected, "{range:?}, {bytes}");
    }
}

/// No room, no messages, no error.
pub async fn an_unknown_room_reads_as_empty(store: Store) {
    for range in [Range::Newest, Range::Before(5), Range::After(0)] {
        assert_eq!(store.log.page(room(1), range, 10, ALL).await, Ok(Page::default()));
    }
}

/// Only what is further than known is told, whichever number it is, in the order asked.
pub async fn tells_the_heads_of_rooms_that_went_on(store: Store) {
    make_group(&store, 2).await;
    for number in 2..=5 {
        make_room(&store, new_group(number, 1, &[])).await;
    }
    append(&store, [messages(1, 1, 3), messages(2, 1, 2), messages(4, 1, 1)].concat()).await;
    append_entries(&store, vec![changing(&edit(&message(2, 1, 1), 1, "edited"))]).await;
    store.rooms.change(room(3), user(2), RoomChange::Join, CREATED_AT).await.unwrap();
    let heads = |last_seq, last_rev, member_rev| Heads { last_seq, last_rev, member_rev };
    let news = async |known: &[(u64, Heads)]| {
        let known = known.iter().map(|(number, heads)| (room(*number), *heads)).collect();
        store.log.news(known).await.unwrap()
    };
    let nothing = Heads::default();
    assert_eq!(
        news(&[(4, nothing), (9, nothing), (3, nothing), (5, nothing), (1, nothing)]).await,
        [(room(4), heads(1, 0, 0)), (room(3), heads(0, 0, 1)), (room(1), heads(3, 0, 0))]
    );
    let of_two = [(room(2), heads(2, 1, 0))];
    assert_eq!(news(&[(2, heads(1, 1, 0))]).await, of_two);
    assert_eq!(news(&[(2, heads(2, 0, 0))]).await, of_two);
    assert_eq!(news(&[(2, heads(9, 0, 9))]).await, of_two, "one number is enough");
    let known =
        [(1, heads(3, 0, 0)), (2, heads(2, 1, 0)), (3, heads(0, 0, 1)), (4, heads(9, 9, 9))];
    assert_eq!(news(&known).await, []);
    assert_eq!(news(&[]).await, []);
}

/// As many rooms as are promised are looked at, by the order asked.
pub async fn looks_for_news_of_so_many_rooms(store: Store) {
    make_group(&store, 1).await;
    append(&store, messages(1, 1, 1)).await;
    let elsewhere = (10..).map(|number| (room(number), Heads::default()));
    let one = (room(1), Heads::default());
    let asked = |before| elsewhere.clone().take(before).chain([one]).collect();
    let found = vec![(room(1), Heads { last_seq: 1, ..Heads::default() })];
    assert_eq!(store.log.news(asked(NEWS_MAX - 1)).await, Ok(found));
    assert_eq!(store.log.news(asked(NEWS_MAX)).await, Ok(Vec::new()));
}
