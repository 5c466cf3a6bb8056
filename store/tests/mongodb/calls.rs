//! How often the database is asked, and that it never has to look through a collection.

use super::{
    profile::{Profile, scans},
    set,
};
use madang_protocol::{RoomId, SessionId};
use madang_store::{
    Store,
    accounts::{ExternalLogin, ProfileKeys, Touch},
    conformance::fixtures::{
        append, append_entries, changing, client_id, edit, make_room, make_users, messages,
        new_direct, new_group, new_session, new_user, read, room, token_hash, user,
    },
    receipts::Read,
    rooms::{NewRoom, RoomChange},
};
use std::collections::BTreeSet;

/// Everything that is asked about rooms, once.
async fn ask_about_rooms(store: &Store, rooms: &[RoomId]) {
    let of = user(1);
    let listed = store.rooms.list(of, None, 50).await.expect("a list");
    let place = listed.last().map(|view| view.place());
    store.rooms.list(of, place, 50).await.expect("the next page");
    store.rooms.view(rooms[0], of).await.expect("a room");
    store.rooms.access(of, rooms.to_vec()).await.expect("access");
    store.rooms.access_all(of, 1_000).await.expect("access");
    store.rooms.members(rooms[0], None, 100).await.expect("members");
    store.rooms.members(rooms[0], Some(of), 100).await.expect("members");
    store.rooms.members_among(rooms[0], vec![of, user(2)]).await.expect("members");
    store.rooms.rooms_of(vec![of, user(2)], 1_000).await.expect("rooms");
}

async fn make_rooms(store: &Store, numbers: std::ops::RangeInclusive<u64>) -> Vec<RoomId> {
    for number in numbers.clone() {
        make_room(store, new_group(number, 1, &[2])).await;
        append(store, messages(number, 1, 2)).await;
    }
    numbers.map(room).collect()
}

/// Also for more rooms than one answer usually has rows.
#[tokio::test]
async fn every_question_about_rooms_is_one_command() {
    let options = set::quiet();
    let store = set::open(&options);
    make_users(&store, 1..=3).await;
    let mut counts = Vec::new();
    for last in [1, 200] {
        let first = if last == 1 { 1 } else { 2 };
        make_rooms(&store, first..=last).await;
        let rooms: Vec<RoomId> = (1..=last).map(room).collect();
        let profile = Profile::begin(&options).await;
        ask_about_rooms(&store, &rooms).await;
        let asked = profile.end().await;
        assert!(asked.iter().all(|asked| asked.name == "aggregate"), "{asked:?}");
        counts.push(asked.len());
    }
    assert_eq!(counts, [9, 9]);
}

#[tokio::test]
async fn sessions_are_asked_about_and_moved_by_one_command() {
    let options = set::options();
    let store = set::open(&options);
    make_users(&store, 1..=150).await;
    let sessions: Vec<_> = (1..=150).map(|number| (user(number), session(number))).collect();
    let touch = |(user, session): &(_, _)| Touch { user: *user, session: *session, expires_at: 9 };
    let profile = Profile::begin(&options).await;
    store.accounts.ended_sessions(sessions.clone(), 1).await.expect("answered");
    let names: Vec<String> = profile.end().await.into_iter().map(|asked| asked.name).collect();
    assert_eq!(names, ["find"]);

    let profile = Profile::begin(&options).await;
    store.accounts.touch_sessions(sessions.iter().map(touch).collect()).await.expect("moved");
    // The profiler notes the statements of the command, not the command.
    let names: Vec<String> = profile.end().await.into_iter().map(|asked| asked.name).collect();
    assert_eq!(names, vec!["update"; 150]);
}

fn session(number: u64) -> SessionId {
    new_session(number, 1, 0).session
}

/// What every call of rooms and accounts asks is explained, and uses an index.
#[tokio::test]
async fn no_query_looks_through_a_collection() {
    let options = set::options();
    let store = set::open(&options);
    make_users(&store, 1..=20).await;
    let rooms = make_rooms(&store, 1..=8).await;
    let first = read(&store, 1, 1).await;
    append_entries(&store, vec![changing(&edit(&first, 1, "another"))]).await;
    let has_read = Read { room: room(1), user: user(2), seq: 1 };
    store.receipts.put_reads(vec![has_read]).await.expect("written");
    // Of a collection that is not there the server says that it would look through it.
    change_rooms(&store).await;
    let profile = Profile::begin(&options).await;
    ask_about_rooms(&store, &rooms).await;
    change_rooms(&store).await;
    use_accounts(&store).await;
    let asked = profile.end().await;
    let mut shapes = BTreeSet::new();
    for asked in &asked {
        assert!(!asked.plan.contains("COLLSCAN"), "{asked:?}");
        let Some(command) = &asked.explicable else { continue };
        let explained = Profile::explain(&options, command.clone()).await;
        assert_eq!(scans(&explained), Vec::<String>::new(), "{command}\n{explained}");
        shapes.insert((asked.name.clone(), asked.plan.clone()));
    }
    // As many kinds of questions as there are, about: it did look at them.
    assert!(shapes.len() >= 8, "{shapes:?}");
}

async fn change_rooms(store: &Store) {
    let named = Some(client_id("$named"));
    let new = NewRoom { client_id: named, ..new_group(21, 1, &[2, 3]) };
    for _ in 0..2 {
        store.rooms.create(new.clone()).await.expect("made");
        store.rooms.create(new_direct(22, 1, 2)).await.expect("made");
    }
    let changes = [
        (4, RoomChange::Join),
        (4, RoomChange::Leave),
        (1, RoomChange::Add(user(5))),
        (1, RoomChange::SetRole { user: user(5), role: madang_protocol::Role::Admin }),
        (1, RoomChange::Remove { user: user(5), ban: true }),
        (1, RoomChange::Add(user(5))),
        (1, RoomChange::Rename("renamed".into())),
    ];
    for (by, change) in changes {
        store.rooms.change(room(21), user(by), change, 5_000).await.expect("changed");
    }
}

async fn use_accounts(store: &Store) {
    let accounts = &store.accounts;
    make_users(store, 31..=32).await;
    accounts.credentials("user1".into()).await.expect("found");
    accounts.profiles(ProfileKeys::Ids(vec![user(1), user(2)])).await.expect("found");
    accounts.profiles(ProfileKeys::Usernames(vec!["user1".into()])).await.expect("found");
    accounts.start_session(new_session(41, 1, 9_000), 1).await.expect("started");
    for number in [51, 52] {
        let login = ExternalLogin {
            external_id: "external".into(),
            user: new_user(number),
            display_name: None,
        };
        accounts.start_external_session(login, 5).await.expect("started");
    }
    accounts.session(token_hash(41), 1_000).await.expect("found");
    accounts.ended_sessions(vec![(user(1), session(41))], 1_000).await.expect("found");
    let touch = Touch { user: user(1), session: session(41), expires_at: 10_000 };
    accounts.touch_sessions(vec![touch]).await.expect("moved");
    accounts.set_password(token_hash(41), "hash".into()).await.expect("set");
    accounts.set_display_name(user(1), "Name".into()).await.expect("set");
    accounts.last_login_from(user(1), [1; 16]).await.expect("found");
    accounts.end_session(token_hash(41)).await.expect("ended");
}
