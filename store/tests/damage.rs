//! Flipped bits: what is damaged is not served, what is sound still is.

mod disk;

use disk::{Bytes, Disk, Faults};
use madang_protocol::{Message, operation::Range};
use madang_store::{
    OpenError, Store, StoreError,
    accounts::ProfileKeys,
    check::Report,
    conformance::fixtures::{
        CREATED_AT, append, client_id, make_room, make_users, message, new_group, room, token_hash,
        try_append, user,
    },
    rooms::{NewRoom, RoomChange},
};
use std::sync::Arc;

const MESSAGES: u64 = 40;

/// Texts that stand in the file once for each record they are in.
fn body(seq: u64) -> String {
    format!("the body of message {seq:04} ").repeat(16)
}

/// A byte of the data, or of its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Data(usize),
    Journal(usize),
}

impl Place {
    fn of(self, bytes: &mut Bytes) -> &mut u8 {
        match self {
            Self::Data(place) => &mut bytes.data[place],
            Self::Journal(place) => &mut bytes.journal[place],
        }
    }
}

/// A disk with a store of two rooms, and the places of the last commit. Those of the first room are one
/// large commit into the data, those of the second room many small ones into the journal.
async fn filled() -> (Disk, Store, Vec<Place>) {
    filled_by(1).await
}

/// The same by a store that was closed between the rooms, if it is to have two lives.
async fn filled_by(lives: u32) -> (Disk, Store, Vec<Place>) {
    let disk = Disk::default();
    let mut store = madang_store::open(disk.options()).expect("an empty disk");
    make_users(&store, 1..=3).await;
    for number in [1, 2] {
        let name = Some(format!("the name of room {number:04}"));
        make_room(&store, NewRoom { name, ..new_group(number, 1, &[2, 3]) }).await;
    }
    let mut before = Bytes::default();
    for (in_room, at_once) in [(1, MESSAGES), (2, 4)] {
        if in_room > 1 && lives > 1 {
            store.control.close().await;
            store = madang_store::open(disk.options()).expect("a sound disk");
        }
        let messages = (1..=MESSAGES)
            .map(|seq| Message { body: body(seq).into(), ..message(in_room, seq, 1) })
            .map(Arc::new)
            .collect::<Vec<_>>();
        for batch in messages.chunks(at_once as usize) {
            before = disk.bytes();
            append(&store, batch.to_vec()).await;
        }
    }
    let mut after = disk.bytes();
    let places = [used(&after), used_of_journal(&after)].concat().into_iter();
    let changed = places.filter(|place| place.of(&mut before) != place.of(&mut after)).collect();
    (disk, store, changed)
}

/// The bytes of such a store, closed cleanly.
async fn bytes() -> Bytes {
    let (disk, store, _) = filled().await;
    store.control.close().await;
    disk.bytes()
}

/// The bytes of such a store whose process was killed while nothing was under way, and the places
/// of the last commit.
async fn killed() -> (Bytes, Vec<Place>) {
    let (disk, _store, last) = filled().await;
    (disk.bytes(), last)
}

/// The same of one whose process was killed `operations` into one more commit: into the journal, or of
/// what the journal holds into the data.
async fn killed_within_a_commit(operations: u64, of_the_data: bool) -> (Bytes, Vec<Place>) {
    let (disk, store, last) = filled().await;
    let dead_from = Some(disk.operations() + operations);
    disk.set_faults(Faults { dead_from, ..Faults::default() });
    if of_the_data {
        store.control.close().await;
    } else {
        let next = Message { body: body(MESSAGES + 1).into(), ..message(2, MESSAGES + 1, 1) };
        try_append(&store, vec![Arc::new(next)]).await;
    }
    (disk.bytes(), last)
}

/// Every place of `text` in the data.
fn places(bytes: &Bytes, text: &str) -> Vec<Place> {
    let found = bytes.data.windows(text.len()).enumerate();
    let found = found.filter(|(_, window)| *window == text.as_bytes());
    found.map(|(place, _)| Place::Data(place)).collect()
}

fn flipped(bytes: &Bytes, places: &[Place], bit: usize) -> Disk {
    let mut bytes = bytes.clone();
    for place in places {
        *place.of(&mut bytes) ^= 1 << bit;
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
    let join = store.rooms.change(room(1), user(1), RoomChange::Join, CREATED_AT);
    assert!(is_damaged(&join.await));
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
        assert!(is_reported(&madang_store::check(disk.medium())), "{text}");
        assert!(disk.bytes() != bytes, "the check repaired it");
    }
}

/// Damage that is named, rather than some other failure.
fn is_reported(checked: &Result<Report, OpenError>) -> bool {
    match checked {
        Ok(report) => !report.is_sound(),
        Err(error) => matches!(error, OpenError::Damaged { .. } | OpenError::Foreign { .. }),
    }
}

/// What became of flipped files.
#[derive(Debug, Default)]
struct Outcomes {
    /// Not opened.
    unopened: u32,
    /// Opened, with reads that give an error.
    refused: u32,
    /// Opened, with everything in it.
    unharmed: u32,
}

/// Flips one bit in a file and looks at it as an operator would, and as a node would. Panics
/// unless damage is reported and leaves the file as it was, or everything acknowledged is there.
async fn judge(bytes: &Bytes, place: Place, bit: usize, outcomes: &mut Outcomes) {
    let disk = flipped(bytes, &[place], bit);
    let before = disk.bytes();
    let checked = madang_store::check(disk.medium());
    assert!(disk.bytes() == before, "bit {bit} of {place:?}: the check changed the file");
    let found = format!("bit {bit} of {place:?}: the check found {checked:?}");
    match madang_store::open(disk.options()) {
        Err(_) => {
            assert!(disk.bytes() == before, "{found}, and the opening changed the file");
            assert!(is_reported(&checked), "{found}, but it is not opened");
            outcomes.unopened += 1;
        }
        Ok(store) => match read_everything(&store).await {
            0 if is_reported(&checked) => outcomes.refused += 1,
            0 => {
                let report = checked.expect("reported otherwise");
                let counts = [report.users, report.sessions, report.rooms, report.members];
                assert_eq!(counts, [3, 3, 2, 6], "{found}");
                assert!((2 * MESSAGES..=2 * MESSAGES + 1).contains(&report.messages), "{found}");
                outcomes.unharmed += 1;
            }
            _ => {
                assert!(is_reported(&checked), "{found}, but reads are refused");
                outcomes.refused += 1;
            }
        },
    }
}

/// Bytes that are used, and what earlier commits left behind; neither zero nor what redb fills new
/// pages with while it is debugged.
fn used(bytes: &Bytes) -> Vec<Place> {
    used_of(&bytes.data).map(Place::Data).collect()
}

fn used_of_journal(bytes: &Bytes) -> Vec<Place> {
    used_of(&bytes.journal).map(Place::Journal).collect()
}

fn used_of(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (0..bytes.len()).filter(|place| !matches!(bytes[*place], 0 | 0xff))
}

/// Flips bits of some of these places.
async fn judge_some(bytes: &Bytes, places: &[Place], flips: u32, seed: u64) -> Outcomes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut outcomes = Outcomes::default();
    for _ in 0..flips {
        let place = places[random.usize(..places.len())];
        judge(bytes, place, random.usize(..8), &mut outcomes).await;
    }
    outcomes
}

#[tokio::test]
async fn no_flipped_bit_of_a_closed_file_makes_wrong_data() {
    let bytes = bytes().await;
    let outcomes = judge_some(&bytes, &used(&bytes), 300, 1).await;
    assert!(outcomes.unopened + outcomes.refused > 30, "{outcomes:?}");
}

/// Pages of the data are looked at when they are read, as after an orderly end.
#[tokio::test]
async fn no_flipped_bit_of_a_killed_file_loses_what_was_acknowledged() {
    let (bytes, last) = killed().await;
    let outcomes = judge_some(&bytes, &used(&bytes), 150, 2).await;
    assert!(outcomes.unopened > 50 && outcomes.refused > 10, "{outcomes:?}");
    for places in [used_of_journal(&bytes), last] {
        let outcomes = judge_some(&bytes, &places, 150, 2).await;
        assert!(outcomes.unopened > 100, "{outcomes:?}");
        assert_eq!(outcomes.refused, 0, "every entry of the journal is read");
    }
}

/// Nothing was written to the data since it was closed.
#[tokio::test]
async fn no_flipped_bit_below_a_journal_makes_wrong_data() {
    let (disk, _store, _) = filled_by(2).await;
    let bytes = disk.bytes();
    let outcomes = judge_some(&bytes, &used(&bytes), 300, 3).await;
    assert!(outcomes.unopened > 10 && outcomes.refused > 10, "{outcomes:?}");
}

#[tokio::test]
async fn nor_does_one_of_a_file_killed_within_a_commit() {
    for (operations, of_the_data) in
        (0..4).map(|at| (at, false)).chain((0..25).map(|at| (at, true)))
    {
        let (bytes, last) = killed_within_a_commit(operations, of_the_data).await;
        judge_some(&bytes, &last, 12, operations).await;
    }
}

/// Every byte of the header that tells redb which commit is the newest, and of the witness.
#[tokio::test]
async fn no_flipped_bit_of_the_first_page_loses_what_was_acknowledged() {
    for bytes in [bytes().await, killed().await.0] {
        let witness = used_of(&bytes.data).filter(|place| (320..4_096).contains(place));
        let mut outcomes = Outcomes::default();
        for place in (0..320).chain(witness) {
            judge(&bytes, Place::Data(place), place % 8, &mut outcomes).await;
        }
        assert!(outcomes.unopened > 10 && outcomes.unharmed > 10, "{outcomes:?}");
    }
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
            (MESSAGES..=MESSAGES + 1).contains(&(messages.len() as u64))
                && messages.iter().zip(1..).all(|(found, seq)| {
                    **found == Message { body: body(seq).into(), ..message(number, seq, 1) }
                })
        };
        look(whole_room(store, number).await.map(right));
        let views = store.rooms.view(room(number), user(2)).await;
        look(views.map(|view| view.is_none_or(|view| view.heads.last_seq >= MESSAGES)));
        let members = store.rooms.members(room(number), None, 10).await;
        look(members.map(|members| members.iter().all(|member| member.joined_at == CREATED_AT)));
        let sent = vec![(user(1), client_id("1-7"))];
        let found = store.log.find_sent(room(number), sent).await;
        look(found.map(|found| found[0].is_none_or(|found| found.seq == 7)));
    }
    let profiles = store.accounts.profiles(ProfileKeys::Ids(vec![user(2)])).await;
    look(profiles.map(|found| found.iter().all(|profile| profile.username == "User2")));
    let session = store.accounts.session(token_hash(2), CREATED_AT).await;
    look(session.map(|found| found.is_none_or(|session| session.user == user(2))));
    refused
}
