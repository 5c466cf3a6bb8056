//! Each contradiction that can be written is found.

use super::super::{
    Redb,
    tables::{Amendments, Changes, LatestChanges, Marker, Reactions, Uncounted},
    transaction::Tables,
};
use super::*;
use crate::{
    Options, Store,
    accounts::{ExternalLogin, ExternalStarted},
    conformance::fixtures::{
        append, append_entries, changing, client_id, count, delete, edit, emoji, make_room,
        make_users, message, messages, new_direct, new_group, new_user, reacting, read, room,
        token_hash, user,
    },
    metrics::Call,
    rooms::NewRoom,
};
use madang_protocol::{Amended, ChangeKind, SessionId};
use std::sync::Arc;

type Break = fn(&mut Tables<'_>) -> Result<(), StoreError>;

/// Three users, one of them with an external id, two rooms, some messages and changes.
async fn fill(redb: &Arc<Redb>) {
    let store = Store {
        log: redb.clone(),
        rooms: redb.clone(),
        receipts: redb.clone(),
        accounts: redb.clone(),
        control: redb.clone(),
    };
    make_users(&store, 1..=2).await;
    let client_id = Some(client_id("create"));
    make_room(&store, NewRoom { client_id, ..new_group(1, 1, &[2]) }).await;
    make_room(&store, new_direct(2, 1, 2)).await;
    append(&store, messages(1, 1, 5)).await;
    // 2 is edited and has a told reaction of both, 4 is deleted, 5 has one that nobody told.
    let entries = vec![
        changing(&edit(&message(1, 2, 1), 1, "edited")),
        changing(&delete(&message(1, 4, 1), 2)),
        reacting(1, 2, 1, "a", true),
        reacting(1, 2, 2, "a", true),
        reacting(1, 5, 2, "a", true),
    ];
    append_entries(&store, entries).await;
    let told = count(&read(&store, 1, 2).await, 3);
    append_entries(&store, vec![changing(&told)]).await;
    let login = ExternalLogin { external_id: "x".into(), user: new_user(3), display_name: None };
    assert_eq!(store.accounts.start_external_session(login, 1).await, Ok(ExternalStarted::Made));
}

/// The problems of sound data that was broken in one way.
async fn problems(broken: Break) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let redb = Arc::new(Redb::open(Options::in_directory(directory.path())).unwrap());
    fill(&redb).await;
    redb.engine.write(Call::Probe, broken).await.unwrap();
    drop(redb);
    check(Medium::Directory(directory.path().into())).unwrap().problems
}

/// Changes a record that is there.
fn change<T: Table>(
    tables: &mut Tables<'_>,
    key: &T::Key,
    change: impl FnOnce(&mut T::Record),
) -> Result<(), StoreError> {
    let mut record = tables.expect::<T>(key)?;
    change(&mut record);
    tables.put::<T>(key, &record)
}

/// Each case breaks something, and is found by the words that name it.
async fn all_found(cases: &[(Break, &str)]) {
    for (broken, expected) in cases {
        let found = problems(*broken).await;
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}: {found:?}");
    }
}

#[tokio::test]
async fn sound_data_has_no_problems() {
    assert_eq!(problems(|_| Ok(())).await, Vec::<String>::new());
}

#[tokio::test]
async fn contradictions_among_messages_are_found() {
    let cases: [(Break, &str); 7] = [
        (|tables| tables.remove::<Messages>(&(room(1), 3)), "4 follows 2"),
        (|tables| tables.remove::<Messages>(&(room(1), 5)), "is at 5, its messages at 4"),
        (
            |tables| change::<Messages>(tables, &(room(1), 3), |message| message.ts = 1),
            "time runs back at 3",
        ),
        (|tables| tables.remove::<Sent>(&(room(1), user(1), client_id("1-4"))), "messages: 4 in"),
        (
            |tables| {
                change::<Sent>(tables, &(room(1), user(1), client_id("1-4")), |sent| sent.seq = 2)
            },
            "sent: no message 2",
        ),
        (
            |tables| {
                let sent = SentRecord { seq: 9, ts: 9 };
                tables.put::<Sent>(&(room(1), user(2), client_id("never")), &sent)
            },
            "sent: no message 9",
        ),
        (|tables| tables.remove::<Rooms>(&room(1)), "messages:"),
    ];
    all_found(&cases).await;
}

#[tokio::test]
async fn contradictions_among_changes_are_found() {
    let cases: [(Break, &str); 12] = [
        (|tables| tables.remove::<Changes>(&(room(1), 2)), "3 follows 1"),
        (|tables| tables.remove::<Changes>(&(room(1), 3)), "is at rev 3, its changes at 2"),
        (|tables| change::<RoomHeads>(tables, &room(1), |heads| heads.last_rev = 4), "is at rev 4"),
        (
            |tables| change::<Changes>(tables, &(room(1), 1), |change| change.seq = 9),
            "was not done to 9",
        ),
        (
            |tables| {
                let record = tables.expect::<Changes>(&(room(1), 1))?;
                tables.put::<Changes>(&(room(7), 1), &record)
            },
            "is no room",
        ),
        (
            |tables| change::<Amendments>(tables, &(room(1), 2), |amended| amended.rev = 1),
            "was not done to 2",
        ),
        (
            |tables| {
                change::<Changes>(tables, &(room(1), 1), |change| change.kind = ChangeKind::Delete)
            },
            "was not done to 2",
        ),
        (
            |tables| change::<Amendments>(tables, &(room(1), 4), |amended| amended.deleted = false),
            "is not as its latest change left it",
        ),
        (|tables| tables.remove::<LatestChanges>(&(room(1), 3)), "is not found by its latest"),
        (|tables| tables.put::<LatestChanges>(&(room(1), 1), &2), "is not the latest"),
        (
            |tables| change::<Messages>(tables, &(room(1), 4), |message| message.body = "x".into()),
            "is deleted and has a body",
        ),
        (|tables| tables.put::<Amendments>(&(room(1), 1), &Amended::default()), "says nothing"),
    ];
    all_found(&cases).await;
}

#[tokio::test]
async fn contradictions_among_reactions_are_found() {
    let cases: [(Break, &str); 10] = [
        (
            |tables| tables.remove::<Reactions>(&(room(1), 2, user(1), emoji("a"))),
            "counts reactions wrong",
        ),
        (
            |tables| tables.put::<Reactions>(&(room(1), 2, user(1), emoji("b")), &Marker),
            "is not counted",
        ),
        (
            |tables| tables.put::<Reactions>(&(room(1), 4, user(1), emoji("a")), &Marker),
            "is not counted",
        ),
        (
            |tables| tables.put::<Reactions>(&(room(1), 9, user(1), emoji("a")), &Marker),
            "is not counted",
        ),
        (
            |tables| {
                change::<Amendments>(tables, &(room(1), 2), |amended| amended.reactions[0].1 = 7)
            },
            "counts reactions wrong",
        ),
        (
            |tables| {
                let twice = |amended: &mut Amended| amended.reactions.push((emoji("a"), 2));
                change::<Amendments>(tables, &(room(1), 2), twice)
            },
            "counts reactions wrong",
        ),
        (
            |tables| {
                let one = |amended: &mut Amended| amended.reactions.push((emoji("a"), 1));
                change::<Amendments>(tables, &(room(1), 4), one)
            },
            "is deleted and has reactions",
        ),
        (
            |tables| tables.remove::<Uncounted>(&(room(1), 5)),
            "has reactions that nobody is to tell",
        ),
        (|tables| tables.put::<Uncounted>(&(room(1), 4), &Marker), "has nothing"),
        (|tables| tables.put::<Uncounted>(&(room(1), 9), &Marker), "has nothing"),
    ];
    all_found(&cases).await;
}

#[tokio::test]
async fn contradictions_among_rooms_and_members_are_found() {
    let cases: [(Break, &str); 12] = [
        (|tables| tables.remove::<RoomHeads>(&room(2)), "has no heads"),
        (
            |tables| change::<RoomHeads>(tables, &room(1), |heads| heads.active_at += 1),
            "the activity of",
        ),
        (|tables| tables.remove::<Members>(&(room(1), user(2))), "has 1 members, not 2"),
        (|tables| tables.remove::<UserRooms>(&(user(2), room(1))), "user_rooms: lacks"),
        (|tables| tables.put::<UserRooms>(&(user(2), room(7)), &Marker), "is no member of"),
        (|tables| tables.put::<RoomCounts>(&user(2), &7), "is in 2 rooms, not 7"),
        (|tables| tables.remove::<RoomCounts>(&user(2)), "room_counts: lacks"),
        (
            |tables| change::<Members>(tables, &(room(1), user(2)), |member| member.read_seq = 9),
            "has read more",
        ),
        (
            |tables| {
                change::<Members>(tables, &(room(1), user(2)), |member| member.role = Role::Owner)
            },
            "has 2 owners",
        ),
        (|tables| tables.put::<Bans>(&(room(1), user(2)), &Marker), "bans: "),
        (|tables| tables.put::<Bans>(&(room(1), user(9)), &Marker), "is no user"),
        (|tables| tables.put::<Bans>(&(room(9), user(2)), &Marker), "is no room"),
    ];
    all_found(&cases).await;
}

#[tokio::test]
async fn contradictions_of_names_and_sessions_are_found() {
    let cases: [(Break, &str); 9] = [
        (|tables| tables.remove::<ExternalIds>(&"x".into()), "is not found by external id"),
        (|tables| tables.put::<ExternalIds>(&"y".into(), &Raw(user(1).0)), "external_ids: leads"),
        (|tables| tables.remove::<Usernames>(&"user1".into()), "is not found by name"),
        (|tables| tables.put::<Usernames>(&"user1".into(), &Raw([9; 15])), "usernames: leads"),
        (|tables| tables.remove::<Users>(&user(2)), "members:"),
        (|tables| tables.remove::<Sessions>(&token_hash(1)), "user_sessions:"),
        (
            |tables| {
                let session = tables.expect::<Sessions>(&token_hash(1))?.session;
                tables.remove::<UserSessions>(&(user(1), SessionId(session.0)))
            },
            "user_sessions: lacks",
        ),
        (
            |tables| tables.put::<DirectRooms>(&(user(1), user(2)), &Raw(room(1).0)),
            "direct_rooms: leads",
        ),
        (
            |tables| {
                let key = (user(1), client_id("create"));
                tables.put::<CreatedRooms>(&key, &Raw(room(7).0))
            },
            "created_rooms:",
        ),
    ];
    all_found(&cases).await;
}
