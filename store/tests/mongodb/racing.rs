//! Several nodes on one database, changing the same things at once.

use super::set;
use futures_util::future::join_all;
use madang_protocol::SessionId;
use madang_store::{
    ClusterOptions, Store,
    accounts::{CreatedUsers, ExternalLogin, ExternalStarted, NewUser},
    conformance::fixtures::{
        client_id, make_room, make_users, new_direct, new_group, new_session, new_user, room,
        token_hash, user,
    },
    rooms::{Created, NewRoom, RoomChange, RoomChanged, RoomRefusal},
};

/// Stores of three nodes on one database.
fn nodes(options: &ClusterOptions) -> [Store; 3] {
    [(); 3].map(|()| set::open(options))
}

/// Joins, leaves and roles from everywhere: each that is told takes a number of its own, and the
/// room is what they come to.
#[tokio::test]
async fn member_revs_have_no_hole_and_counts_hold() {
    const USERS: u64 = 12;
    let options = set::options();
    let nodes = nodes(&options);
    make_users(&nodes[0], 1..=USERS).await;
    make_room(&nodes[0], new_group(1, 1, &[])).await;
    let everybody = (2..=USERS).map(|who| {
        let store = &nodes[who as usize % nodes.len()];
        async move {
            let mut told = Vec::new();
            for (by, change) in [
                (who, RoomChange::Join),
                (1, RoomChange::Rename(format!("{who}").as_str().into())),
                (who, RoomChange::Leave),
                (1, RoomChange::Add(user(who))),
            ] {
                let changed = store.rooms.change(room(1), user(by), change, 5_000).await;
                match changed.expect("decided") {
                    RoomChanged::Done { events, heads, .. } => {
                        assert_eq!(events.len(), 1);
                        told.push(heads.member_rev);
                    }
                    other => panic!("{other:?}"),
                }
            }
            told
        }
    });
    let mut told: Vec<u64> = join_all(everybody).await.into_iter().flatten().collect();
    told.sort_unstable();
    assert_eq!(told, (1..=4 * (USERS - 1)).collect::<Vec<_>>());
    let view = nodes[0].rooms.view(room(1), user(1)).await.expect("read").expect("there");
    assert_eq!((view.members, view.heads.member_rev), (USERS, 4 * (USERS - 1)));
}

/// The last place of a user's rooms is given once, however many rooms ask for it together.
#[tokio::test]
async fn a_user_never_gets_into_more_rooms_than_allowed() {
    let options = ClusterOptions { rooms_max: 5, ..set::options() };
    let nodes = nodes(&options);
    make_users(&nodes[0], 1..=4).await;
    for number in 1..=4 {
        make_room(&nodes[0], new_group(number, 1, &[])).await;
    }
    for (owner, number) in [(2, 5), (3, 6), (4, 7)] {
        make_room(&nodes[0], new_group(number, owner, &[])).await;
    }
    let joins = (5..=7).map(|number| {
        let store = &nodes[number as usize % nodes.len()];
        store.rooms.change(room(number), user(1), RoomChange::Join, 5_000)
    });
    let answers: Vec<RoomChanged> =
        join_all(joins).await.into_iter().map(|answer| answer.expect("decided")).collect();
    let full = RoomChanged::Refused(RoomRefusal::Full);
    assert_eq!(answers.iter().filter(|answer| **answer == full).count(), 2, "{answers:?}");
    let rooms = nodes[0].rooms.rooms_of(vec![user(1)], 100).await.expect("read");
    assert_eq!(rooms[0].1.len(), 5);
}

/// One owner, whatever happens at once.
#[tokio::test]
async fn a_room_has_one_owner() {
    let options = set::options();
    let nodes = nodes(&options);
    make_users(&nodes[0], 1..=4).await;
    make_room(&nodes[0], new_group(1, 1, &[2, 3, 4])).await;
    let gifts = (2..=4).map(|to| {
        let change = RoomChange::SetRole { user: user(to), role: madang_protocol::Role::Owner };
        nodes[to as usize % nodes.len()].rooms.change(room(1), user(1), change, 5_000)
    });
    let answers: Vec<RoomChanged> =
        join_all(gifts).await.into_iter().map(|answer| answer.expect("decided")).collect();
    let given = answers.iter().filter(|answer| matches!(answer, RoomChanged::Done { .. }));
    assert_eq!(given.count(), 1, "{answers:?}");
    let too_late = RoomChanged::Refused(RoomRefusal::NotAllowed);
    assert_eq!(answers.iter().filter(|answer| **answer == too_late).count(), 2, "{answers:?}");
}

#[tokio::test]
async fn a_pair_and_a_client_id_make_one_room_on_all_nodes() {
    let options = set::options();
    let nodes = nodes(&options);
    make_users(&nodes[0], 1..=2).await;
    let creations = (1..=12).map(|number| {
        let (creator, other) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        let direct = new_direct(number, creator, other);
        let named = Some(client_id("the room"));
        let group = NewRoom { client_id: named, ..new_group(100 + number, 1, &[2]) };
        let store = &nodes[number as usize % nodes.len()];
        async move { (store.rooms.create(direct).await, store.rooms.create(group).await) }
    });
    let (direct, named): (Vec<_>, Vec<_>) = join_all(creations).await.into_iter().unzip();
    for answers in [direct, named] {
        let mut made = 0;
        let mut rooms: Vec<_> = answers
            .into_iter()
            .map(|answer| match answer.expect("decided") {
                Created::New(view) => {
                    made += 1;
                    view.room
                }
                Created::Existing(view) => view.room,
                other => panic!("{other:?}"),
            })
            .collect();
        rooms.dedup();
        assert_eq!((made, rooms.len()), (1, 1));
    }
}

/// `single_session`, from everywhere at once.
#[tokio::test]
async fn one_of_many_single_sessions_is_left() {
    let options = set::options();
    let nodes = nodes(&options);
    make_users(&nodes[0], [1]).await;
    let logins = (11..=22).map(|number| {
        let store = &nodes[number as usize % nodes.len()];
        store.accounts.start_session(new_session(number, 1, u64::MAX), 1)
    });
    let mut all: Vec<SessionId> =
        join_all(logins).await.into_iter().flat_map(|answer| answer.expect("started")).collect();
    let mut left = Vec::new();
    for number in (11..=22).chain([1]) {
        let found = nodes[0].accounts.session(token_hash(number), 1_000).await.expect("read");
        left.extend(found.map(|session| session.session));
    }
    assert_eq!(left.len(), 1, "{left:?}");
    all.extend(left);
    all.sort_unstable();
    let mut expected: Vec<SessionId> =
        (11..=22).chain([1]).map(|number| new_session(number, 1, 0).session).collect();
    expected.sort_unstable();
    assert_eq!(all, expected, "each ended once");
}

#[tokio::test]
async fn names_are_given_once_on_all_nodes() {
    let options = set::options();
    let nodes = nodes(&options);
    let signups = (1..=12).map(|number| {
        let wanted = NewUser { username_folded: "wanted".into(), ..new_user(number) };
        let login = ExternalLogin {
            external_id: "external".into(),
            user: new_user(100 + number),
            display_name: None,
        };
        let store = &nodes[number as usize % nodes.len()];
        async move {
            let signup = store.accounts.create_users(vec![wanted]).await;
            (signup, store.accounts.start_external_session(login, 100).await)
        }
    });
    let (signups, external): (Vec<_>, Vec<_>) = join_all(signups).await.into_iter().unzip();
    let made = signups.iter().filter(|answer| **answer == Ok(CreatedUsers::All));
    assert_eq!(made.count(), 1, "{signups:?}");
    assert!(signups.iter().all(Result::is_ok), "{signups:?}");
    let made = external.iter().filter(|answer| **answer == Ok(ExternalStarted::Made));
    assert_eq!(made.count(), 1, "{external:?}");
    let found = |answer: &&Result<_, _>| matches!(answer, Ok(ExternalStarted::Found { .. }));
    assert_eq!(external.iter().filter(found).count(), 11, "{external:?}");
}
