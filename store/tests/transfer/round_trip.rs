//! There and back.

use super::{
    check, export,
    filled::{self, EXTERNAL_ID, SESSIONS_MAX, USERS, observe},
    import, open, try_export,
};
use madang_store::{
    StoreError,
    accounts::{ExternalLogin, ExternalStarted},
    conformance::fixtures::{
        append, client_id, make_group, make_room, message, messages, new_direct, new_group,
        new_user, room, user,
    },
    rooms::{Created, NewRoom, RoomChange, RoomChanged, RoomRefusal},
    transfer::TransferError,
};
use std::sync::Arc;

#[tokio::test]
async fn everything_is_the_same_afterwards() {
    for seed in 0..6 {
        let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
        let store = open(from.path());
        filled::fill(&store, seed).await;
        let seen = observe(&store).await;
        store.control.close().await;

        let text = export(from.path());
        assert_eq!(import(to.path(), &text).expect("imported"), text.lines().count() as u64);
        assert_eq!(export(to.path()), text, "seed {seed}");
        assert_eq!(check(to.path()), check(from.path()), "seed {seed}");
        assert_eq!(check(to.path()).problems, Vec::<String>::new(), "seed {seed}");
        let store = open(to.path());
        assert_eq!(observe(&store).await, seen, "seed {seed}");
    }
}

#[tokio::test]
async fn what_is_unique_stays_so_and_numbers_go_on() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let store = open(from.path());
    filled::fill(&store, 1).await;
    store.control.close().await;
    import(to.path(), &export(from.path())).expect("imported");

    let store = open(to.path());
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
    let next = message(1, last.last_seq + 1, 1);
    append(&store, vec![Arc::new(next)]).await;
    make_room(&store, new_group(23, 5, &[])).await;
    store.control.close().await;
    assert_eq!(check(to.path()).problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_store_that_was_only_opened_is_empty() {
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    for directory in [&from, &to] {
        open(directory.path()).control.close().await;
    }
    let text = export(from.path());
    assert_eq!(text.lines().count(), 2, "{text}");
    assert_eq!(import(to.path(), &text).expect("imported"), 2);
    assert_eq!(export(to.path()), text);
}

/// More than one transaction takes.
#[tokio::test]
async fn a_large_room_is_taken_along_or_not_at_all() {
    const MESSAGES: u64 = 21_000;
    let [from, to] = [(); 2].map(|()| tempfile::tempdir().expect("a directory"));
    let store = open(from.path());
    make_group(&store, 2).await;
    for first in (1..=MESSAGES).step_by(3_000) {
        append(&store, messages(1, first, first + 2_999)).await;
    }
    store.control.close().await;
    let text = export(from.path());
    let cut = text.rfind("{\"end\"").expect("a last line");
    let refused = import(to.path(), &text[..cut]).expect_err("cut short");
    assert!(matches!(refused, TransferError::Line { .. }), "{refused}");
    assert_eq!(std::fs::read_dir(to.path()).expect("readable").count(), 1, "only the lock");
    import(to.path(), &text).expect("imported");
    assert_eq!(check(to.path()).messages, MESSAGES);
    assert_eq!(export(to.path()), text);
}

#[tokio::test]
async fn a_damaged_store_is_not_exported() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    make_group(&store, 1).await;
    append(&store, messages(1, 1, 9)).await;
    store.control.close().await;
    let path = directory.path().join("madang.redb");
    let mut bytes = std::fs::read(&path).expect("readable");
    let body = b"message 7 of 1";
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(body)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[*at] ^= 1);
    std::fs::write(&path, bytes).expect("writable");
    let refused = try_export(directory.path()).expect_err("damaged");
    let is_damage = matches!(
        refused,
        TransferError::Store(StoreError::Damaged { .. })
            | TransferError::Open(madang_store::OpenError::Damaged { .. })
    );
    assert!(is_damage, "{refused:?}");
}
