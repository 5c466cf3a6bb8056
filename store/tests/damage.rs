//! Flipped bits: what is damaged is not served, what is sound still is.

mod disk;

use disk::Disk;
use madang_protocol::{Message, operation::Range};
use madang_store::{
    Store, StoreError,
    accounts::ProfileKeys,
    conformance::fixtures::{
        CREATED_AT, append, client_id, make_room, make_users, message, new_group, room, token_hash,
        user,
    },
    rooms::NewRoom,
};
use std::sync::Arc;

const MESSAGES: u64 = 40;

/// Texts that stand in the file once for each record they are in.
fn body(seq: u64) -> String {
    format!("the body of message {seq:04} ").repeat(8)
}

/// The bytes of a store with two rooms, closed cleanly.
async fn bytes() -> Vec<u8> {
    let disk = Disk::default();
    let store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, 1..=3).await;
    for number in [1, 2] {
        let name = Some(format!("the name of room {number:04}"));
        make_room(&store, NewRoom { name, ..new_group(number, 1, &[2, 3]) }).await;
    }
    for in_room in [1, 2] {
        let messages = (1..=MESSAGES)
            .map(|seq| Message { body: body(seq).into(), ..message(in_room, seq, 1) })
            .map(Arc::new);
        append(&store, messages.collect()).await;
    }
    store.control.close().await;
    disk.bytes()
}

/// Every place of `text` in the file.
fn places(bytes: &[u8], text: &str) -> Vec<usize> {
    let found = bytes.windows(text.len()).enumerate();
    found.filter(|(_, window)| *window == text.as_bytes()).map(|(place, _)| place).collect()
}

fn flipped(bytes: &[u8], places: &[usize], bit: usize) -> Disk {
    let mut bytes = bytes.to_vec();
    for place in places {
        bytes[*place] ^= 1 << bit;
    }
    Disk::with_bytes(bytes)
}

fn is_damaged<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Damaged { .. }))
}

async fn whole_room(store: &Store, number: u64) -> Result<Vec<Arc<Message>>, StoreError> {
    let page = store.log.page(room(number), Range::Newest, usize::MAX, usize::MAX).await?;
    Ok(page.messages)
}

#[tokio::test]
async fn a_flipped_message_is_not_served_and_the_others_are() {
    let bytes = bytes().await;
    let places = places(&bytes, &body(7));
    assert!(places.len() >= 2, "the message of two rooms");
    for bit in 0..8 {
        let disk = flipped(&bytes, &places, bit);
        let store = madang_store::open(disk.options()).expect("it opens without a word");
        assert!(is_damaged(&whole_room(&store, 1).await), "bit {bit}");
        let before = store.log.page(room(1), Range::Before(7), 100, usize::MAX).await;
        assert_eq!(before.map(|page| page.messages.len()), Ok(6));
        let after = store.log.page(room(1), Range::After(7), 100, usize::MAX).await;
        assert_eq!(after.map(|page| page.messages.len() as u64), Ok(MESSAGES - 7));
        let window = store.log.activate(room(1), 10).await.map(|active| active.is_some());
        assert_eq!(window, Ok(true));
        append(&store, vec![Arc::new(message(1, MESSAGES + 1, 1))]).await;
        store.control.close().await;
    }
}

#[tokio::test]
async fn a_flipped_room_spoils_no_other_room() {
    let bytes = bytes().await;
    let places = places(&bytes, "the name of room 0001");
    assert!(!places.is_empty());
    let store = madang_store::open(flipped(&bytes, &places, 3).options()).expect("it opens");
    assert!(is_damaged(&store.rooms.view(room(1), user(1)).await));
    assert!(is_damaged(&store.rooms.list(user(1), None, 10).await));
    assert!(is_damaged(&store.rooms.access(user(1), vec![room(1)]).await));
    assert!(matches!(store.rooms.view(room(2), user(1)).await, Ok(Some(_))));
    assert!(is_damaged(&store.rooms.join(room(1), user(1), CREATED_AT).await));
    // The writer is none the worse for it.
    append(&store, vec![Arc::new(message(2, MESSAGES + 1, 1))]).await;
}

#[tokio::test]
async fn the_check_finds_every_flipped_record() {
    let bytes = bytes().await;
    let sound = madang_store::check(Disk::with_bytes(bytes.clone()).medium());
    assert_eq!(sound.map(|report| report.problems_found).ok(), Some(0));
    for text in ["the body of message 0007", "the name of room 0002", "The user 2", "hash 3"] {
        let places = places(&bytes, text);
        assert!(!places.is_empty(), "{text}");
        let disk = flipped(&bytes, &places, 0);
        let found = match madang_store::check(disk.medium()) {
            Ok(report) => !report.is_sound(),
            Err(error) => matches!(error, madang_store::OpenError::Damaged { .. }),
        };
        assert!(found, "{text}");
        assert!(disk.bytes() != bytes, "the check repaired it");
    }
}

/// Any bit of the file: what comes back is right, or an error, and no call panics.
#[tokio::test]
async fn no_flipped_bit_makes_wrong_data() {
    let bytes = bytes().await;
    let mut random = fastrand::Rng::with_seed(1);
    let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
    let mut unopened = 0;
    let mut refused = 0;
    for _ in 0..300 {
        let place = used[random.usize(..used.len())];
        let disk = flipped(&bytes, &[place], random.usize(..8));
        let Ok(store) = madang_store::open(disk.options()) else {
            unopened += 1;
            continue;
        };
        refused += read_everything(&store).await;
    }
    assert!(refused > 10, "{unopened} were not opened, {refused} reads refused");
}

/// Reads what is there; panics over anything wrong. Returns how many calls gave no answer.
async fn read_everything(store: &Store) -> u32 {
    let mut refused = 0;
    let mut look = |right: Result<bool, StoreError>| match right {
        Ok(right) => assert!(right, "wrong data was served"),
        Err(_) => refused += 1,
    };
    for number in [1, 2] {
        let right = |messages: Vec<Arc<Message>>| {
            messages.len() as u64 == MESSAGES
                && messages.iter().zip(1..).all(|(found, seq)| {
                    **found == Message { body: body(seq).into(), ..message(number, seq, 1) }
                })
        };
        look(whole_room(store, number).await.map(right));
        let views = store.rooms.view(room(number), user(2)).await;
        look(views.map(|view| view.is_none_or(|view| view.heads.last_seq == MESSAGES)));
        let members = store.rooms.members(room(number), None, 10).await;
        look(members.map(|members| members.iter().all(|member| member.joined_at == CREATED_AT)));
        let sent = vec![(user(1), client_id("1-7"))];
        let found = store.log.find_sent(room(number), sent).await;
        look(found.map(|found| found[0].is_none_or(|found| found.seq == 7)));
    }
    let profiles = store.accounts.profiles(ProfileKeys::Ids(vec![user(2)])).await;
    look(profiles.map(|found| found.iter().all(|profile| profile.username == "User2")));
    let session = store.accounts.session(token_hash(2), CREATED_AT, 0).await;
    look(session.map(|found| found.is_none_or(|session| session.user == user(2))));
    refused
}
