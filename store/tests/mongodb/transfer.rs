//! From redb into MongoDB and back.

#[path = "../transfer/filled.rs"]
mod filled;

use super::set;
use filled::{EXTERNAL_ID, SESSIONS_MAX, USERS, observe};
use madang_store::{
    ClusterError, ClusterOptions, Medium, Options,
    accounts::{ExternalLogin, ExternalStarted},
    conformance::fixtures::{
        append, client_id, make_room, make_users, message, messages, new_direct, new_group,
        new_user, room, user,
    },
    rooms::{Created, NewRoom, RoomChange, RoomChanged, RoomRefusal},
    transfer::{Transfer, TransferError, jsonl, transfer, transfer_cluster},
};
use mongodb::bson::{Document, doc};
use std::{path::Path, sync::Arc};

fn export(from: &dyn Transfer) -> String {
    let mut bytes = Vec::new();
    jsonl::write(from, &mut bytes, &mut |_| {}).expect("exported");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn import(to: &dyn Transfer, text: &str) -> Result<u64, TransferError> {
    jsonl::read(to, &mut text.as_bytes(), &mut |_| {})
}

fn file(directory: &Path) -> Box<dyn Transfer> {
    transfer(Medium::Directory(directory.into()))
}

/// An export of a redb file filled from a seed, and what its traits said.
async fn from_redb(seed: u64) -> (String, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = madang_store::open(Options::in_directory(directory.path())).expect("a store");
    filled::fill(&store, seed).await;
    let seen = observe(&store).await;
    store.control.close().await;
    (export(&*file(directory.path())), seen)
}

#[tokio::test]
async fn everything_is_the_same_on_the_way_and_back() {
    for seed in 0..2 {
        let (text, seen) = from_redb(seed).await;
        let options = set::options();
        let database = transfer_cluster(options.clone());
        assert_eq!(import(&*database, &text).expect("imported"), text.lines().count() as u64);
        assert_eq!(export(&*database), text, "seed {seed}");
        let store = set::open(&options);
        assert_eq!(observe(&store).await, seen, "seed {seed}");
        store.control.close().await;

        let back = tempfile::tempdir().expect("a directory");
        import(&*file(back.path()), &export(&*database)).expect("imported");
        assert_eq!(export(&*file(back.path())), text, "seed {seed}");
    }
}

/// Filled by the same calls, both say the same.
#[tokio::test]
async fn an_export_of_a_database_is_what_a_file_would_say() {
    let (text, _) = from_redb(5).await;
    let options = set::options();
    let store = set::open(&options);
    filled::fill(&store, 5).await;
    store.control.close().await;
    assert_eq!(export(&*transfer_cluster(options)), text);
}

#[tokio::test]
async fn what_is_unique_stays_so_and_numbers_go_on() {
    let (text, _) = from_redb(1).await;
    let options = set::options();
    import(&*transfer_cluster(options.clone()), &text).expect("imported");
    let store = set::open(&options);
    let named = NewRoom { client_id: Some(client_id("first room")), ..new_group(21, 1, &[]) };
    let made = [store.rooms.create(named).await, store.rooms.create(new_direct(22, 2, 4)).await];
    for (made, known) in made.into_iter().zip([room(1), room(3)]) {
        let Ok(Created::Existing(view)) = made else { panic!("{made:?}") };
        assert_eq!(view.room, known);
    }
    let login =
        ExternalLogin { external_id: EXTERNAL_ID.into(), user: new_user(24), display_name: None };
    let found = ExternalStarted::Found { user: user(USERS), ended: Vec::new() };
    assert_eq!(store.accounts.start_external_session(login, SESSIONS_MAX).await, Ok(found));
    let banned = store.rooms.change(room(1), user(3), RoomChange::Join, 3_000).await;
    assert_eq!(banned, Ok(RoomChanged::Refused(RoomRefusal::Banned)));
    let last = store.log.activate(room(1), 1).await.expect("readable").expect("there").heads;
    append(&store, vec![Arc::new(message(1, last.last_seq + 1, 1))]).await;
    make_room(&store, new_group(23, 5, &[])).await;
}

/// How many rooms a user is in is counted anew.
#[tokio::test]
async fn bounds_hold_after_an_import() {
    let (text, _) = from_redb(2).await;
    let options = ClusterOptions { rooms_max: 5, ..set::options() };
    import(&*transfer_cluster(options.clone()), &text).expect("imported");
    let store = set::open(&options);
    let rooms = store.rooms.rooms_of(vec![user(2)], 100).await.expect("read")[0].1.len() as u64;
    for number in rooms..5 {
        make_room(&store, new_group(30 + number, 2, &[])).await;
    }
    let one_more = store.rooms.create(new_group(40, 2, &[])).await;
    assert_eq!(one_more, Ok(Created::TooManyRooms(user(2))));
}

/// What is wrong with a line is seen by the database, in words that name the line; nothing stays.
#[tokio::test]
async fn a_refused_import_leaves_the_database_empty() {
    let (text, _) = from_redb(3).await;
    let options = set::options();
    let database = transfer_cluster(options.clone());
    let lines: Vec<&str> = text.lines().collect();
    let find = |parts: &[&str]| {
        let has_all = |line: &&str| parts.iter().all(|part| line.contains(part));
        lines.iter().position(has_all).expect("a line")
    };
    let (nobody, one, two) = (user(99).to_string(), user(1).to_string(), user(2).to_string());
    let first = room(1).to_string();
    for (parts, from, to, words) in [
        (vec!["{\"user\"", "\"User2\""], "\"user2\"", "\"user1\"", "username is another's"),
        (vec!["{\"room\"", &first], &one, &nobody, "creator is no user"),
        (vec!["{\"member\"", &two], &two, &nobody, "is no user"),
        (vec!["{\"creation\""], &first, &nobody, "names no room of that creator"),
    ] {
        let at = find(&parts);
        let mut edited: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        edited[at] = edited[at].replacen(from, to, 1);
        refuses(&*database, &sealed(&edited), at + 1, words);
    }
    for (parts, words) in [
        (vec!["{\"session\""], "token is another's"),
        (vec!["{\"login\""], "twice"),
        (vec!["{\"creation\""], "twice"),
    ] {
        let at = find(&parts);
        let mut edited: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        edited.insert(at, edited[at].clone());
        refuses(&*database, &sealed(&edited), at + 2, words);
    }
    // One of another user has the same token.
    let mut edited: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let session = edited[find(&["{\"session\""])].clone();
    let other = find(&["{\"user\"", "\"User2\""]) + 1;
    edited.insert(other, session);
    refuses(&*database, &sealed(&edited), other + 1, "token is another's");
    // Two messages of one name, and a change that its message knows nothing of.
    let names: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut edited = names.clone();
    let of_one = |seq: &str| [seq.to_owned(), "{\"message\"".to_owned()];
    let [first, second] = ["\"seq\":1,", "\"seq\":2,"].map(|seq| {
        let parts = of_one(seq);
        find(&[&parts[0], &parts[1]])
    });
    let name = |line: &str, field: &str| {
        let (_, behind) = line.split_once(field).expect("the field");
        behind[..behind.find("\",").expect("its end")].to_owned()
    };
    for field in ["\"sender\":\"", "\"client_id\":\""] {
        let (mine, theirs) = (name(&edited[second], field), name(&edited[first], field));
        let (from, to) = (format!("{field}{mine}"), format!("{field}{theirs}"));
        edited[second] = edited[second].replacen(&from, &to, 1);
    }
    refuses(&*database, &sealed(&edited), second + 1, "another message of that client_id");

    let cut = &text[..text.rfind("{\"end\"").expect("a last line")];
    refuses(&*database, cut, lines.len(), "cut short");
    import(&*database, &text).expect("imported");
    assert_eq!(export(&*database), text);
}

/// With a last line that agrees.
fn sealed(lines: &[String]) -> String {
    let kept = &lines[..lines.len() - 1];
    format!("{}\n{{\"end\":true,\"lines\":{}}}\n", kept.join("\n"), lines.len())
}

fn refuses(database: &dyn Transfer, text: &str, line: usize, words: &str) {
    let error = import(database, text).expect_err(words);
    let TransferError::Line { number, reason } = &error else { panic!("{words}: {error:?}") };
    assert_eq!((*number, reason.contains(words)), (line as u64, true), "{error}, not {words}");
    assert_eq!(export(database).lines().count(), 2, "left behind after {words:?}");
}

#[tokio::test]
async fn only_an_empty_database_is_filled() {
    let (text, _) = from_redb(4).await;
    let options = set::options();
    let store = set::open(&options);
    make_users(&store, [1]).await;
    store.control.close().await;
    let database = transfer_cluster(options);
    let before = export(&*database);
    let refused = import(&*database, &text).expect_err("not empty");
    assert!(matches!(refused, TransferError::NotEmpty { .. }), "{refused:?}");
    assert_eq!(export(&*database), before);
}

/// Neither by a node, nor by another import.
#[tokio::test]
async fn a_database_that_was_filled_in_part_is_refused_by_name() {
    let (text, _) = from_redb(4).await;
    let options = set::options();
    set::open(&options).control.close().await;
    let mark = doc! { "_id": "import" };
    let client = mongodb::Client::with_uri_str(&options.uri).await.expect("a client");
    let meta = client.database(&options.database).collection::<Document>("meta");
    meta.insert_one(mark).await.expect("marked");
    let expected = ClusterError::HalfFilled { database: options.database.clone() };
    let opened = set::try_open(&options);
    assert_eq!(opened.err(), Some(expected.clone()));
    assert!(expected.to_string().contains("has not ended"));
    let refused = import(&*transfer_cluster(options), &text).expect_err("half filled");
    assert!(matches!(refused, TransferError::Cluster(ClusterError::HalfFilled { .. })));
}

/// More than one batch takes.
#[tokio::test]
async fn a_large_room_is_taken_along() {
    const MESSAGES: u64 = 6_000;
    let options = set::options();
    let store = set::open(&options);
    make_users(&store, [1]).await;
    make_room(&store, new_group(1, 1, &[])).await;
    for first in (1..=MESSAGES).step_by(1_000) {
        append(&store, messages(1, first, first + 999)).await;
    }
    store.control.close().await;
    let text = export(&*transfer_cluster(options));
    let other = transfer_cluster(set::options());
    import(&*other, &text).expect("imported");
    assert_eq!(export(&*other), text);
}
