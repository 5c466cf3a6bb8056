//! Cases of [`RoomStore`](crate::RoomStore).

use super::{
    ROOMS_MAX,
    fixtures::{
        CREATED_AT, append, client_id, make_group, make_room, make_users, message, messages,
        new_direct, new_group, room, user,
    },
};
use crate::{
    Store,
    rooms::{
        Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomRefusal, RoomView,
    },
};
use futures_util::future::join_all;
use madang_protocol::{Heads, Message, Role, RoomId, RoomKind};
use std::sync::Arc;

async fn list(store: &Store, of: u64, after: Option<ListPlace>, limit: usize) -> Vec<RoomView> {
    store.rooms.list(user(of), after, limit).await.unwrap()
}

async fn view(store: &Store, of: u64, by: u64) -> RoomView {
    store.rooms.view(room(of), user(by)).await.unwrap().unwrap()
}

fn ids(views: &[RoomView]) -> Vec<RoomId> {
    views.iter().map(|view| view.room).collect()
}

/// The creator owns it, the others are members, and all see the same room.
pub async fn creates_a_group(store: Store) {
    make_users(&store, 1..=2).await;
    let new = NewRoom { private: true, ..new_group(1, 1, &[2]) };
    let made = make_room(&store, new).await;
    let expected = RoomView {
        room: room(1),
        kind: RoomKind::Group,
        name: Some("room 1".into()),
        private: true,
        role: Role::Owner,
        created_at: CREATED_AT,
        heads: Heads::default(),
        read_seq: 0,
        members: 2,
        last_message: None,
    };
    assert_eq!(made, expected);
    assert_eq!(view(&store, 1, 1).await, expected);
    assert_eq!(view(&store, 1, 2).await, RoomView { role: Role::Member, ..expected });
}

/// The creator and repeats among the members count once.
pub async fn passes_over_repeated_members(store: Store) {
    make_users(&store, 1..=3).await;
    assert_eq!(make_room(&store, new_group(1, 2, &[3, 2, 3, 1, 1])).await.members, 3);
    assert_eq!(view(&store, 1, 2).await.role, Role::Owner);
    assert_eq!(make_room(&store, new_group(2, 2, &[])).await.members, 1);
}

/// The same creator's client id finds the first room, also when all else differs.
pub async fn creates_once_per_client_id(store: Store) {
    make_users(&store, 1..=2).await;
    let named = |number, creator| NewRoom {
        client_id: Some(client_id("create")),
        ..new_group(number, creator, &[])
    };
    let first = make_room(&store, named(1, 1)).await;
    assert_eq!(store.rooms.create(named(2, 1)).await, Ok(Created::Existing(first)));
    assert_eq!(make_room(&store, named(3, 2)).await.room, room(3));
    assert_eq!(ids(&list(&store, 1, None, 10).await), [room(1)]);
}

/// One room for two users, whichever asks; neither owns it.
pub async fn creates_a_direct_room_once_per_pair(store: Store) {
    make_users(&store, 1..=3).await;
    let first = make_room(&store, new_direct(1, 2, 1)).await;
    assert_eq!((first.kind, first.role, first.members), (RoomKind::Direct, Role::Member, 2));
    for (number, creator, other) in [(2, 2, 1), (3, 1, 2)] {
        match store.rooms.create(new_direct(number, creator, other)).await {
            Ok(Created::Existing(view)) => assert_eq!(view, first),
            answer => panic!("{creator} to {other}: {answer:?}"),
        }
    }
    assert_eq!(make_room(&store, new_direct(4, 1, 3)).await.room, room(4));
}

/// Both ask at once, each several times: one room is made.
pub async fn concurrent_creations_of_a_pair_make_one_room(store: Store) {
    make_users(&store, 1..=2).await;
    let creations = (1..=10).map(|number| {
        let (creator, other) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        store.rooms.create(new_direct(number, creator, other))
    });
    let mut new = Vec::new();
    let mut existing = Vec::new();
    for answer in join_all(creations).await {
        match answer.unwrap() {
            Created::New(view) => new.push(view.room),
            Created::Existing(view) => existing.push(view.room),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((new.len(), existing.len()), (1, 9));
    assert!(existing.iter().all(|room| *room == new[0]));
    assert_eq!(ids(&list(&store, 1, None, 10).await), new);
    assert_eq!(ids(&list(&store, 2, None, 10).await), new);
}

/// All that are no users are named, in the order given.
pub async fn names_unknown_users_and_makes_nothing(store: Store) {
    make_users(&store, 1..=2).await;
    let answer = store.rooms.create(new_group(1, 1, &[8, 2, 9])).await;
    assert_eq!(answer, Ok(Created::UnknownUsers(vec![user(8), user(9)])));
    assert_eq!(store.rooms.access(user(1), vec![room(1)]).await, Ok(vec![None]));
    assert_eq!(list(&store, 2, None, 10).await, []);
}

/// The user with too many rooms is named, whoever creates.
pub async fn refuses_more_than_the_rooms_of_a_user(store: Store) {
    make_users(&store, 1..=2).await;
    for number in 1..=ROOMS_MAX {
        make_room(&store, new_group(number, 1, &[])).await;
    }
    let one_more = ROOMS_MAX + 1;
    for new in
        [new_group(one_more, 1, &[]), new_group(one_more, 2, &[1]), new_direct(one_more, 2, 1)]
    {
        assert_eq!(store.rooms.create(new).await, Ok(Created::TooManyRooms(user(1))));
    }
    assert_eq!(list(&store, 2, None, 10).await, []);
    make_room(&store, new_group(one_more, 2, &[])).await;
    for (by, change) in [(1, RoomChange::Join), (2, RoomChange::Add(user(1)))] {
        let full = store.rooms.change(room(one_more), user(by), change, CREATED_AT).await;
        assert_eq!(full, Ok(RoomChanged::Refused(RoomRefusal::Full)));
    }
}

/// Others see nothing, of an open room either.
pub async fn shows_a_room_to_its_members_only(store: Store) {
    make_users(&store, 1..=2).await;
    make_room(&store, new_group(1, 1, &[])).await;
    assert_eq!(store.rooms.view(room(1), user(2)).await, Ok(None));
    assert_eq!(store.rooms.view(room(2), user(1)).await, Ok(None));
    append(&store, messages(1, 1, 3)).await;
    let seen = view(&store, 1, 1).await;
    assert_eq!(seen.heads.last_seq, 3);
    assert_eq!(seen.read_seq, 3);
    assert_eq!(seen.last_message, Some(Arc::new(message(1, 3, 1))));
}

/// The newest message counts, else the creation; ties are ordered by id.
pub async fn lists_by_latest_activity(store: Store) {
    make_users(&store, 1..=2).await;
    for (number, created_at) in [(3, 10), (1, 30), (2, 20), (5, 20), (4, 20)] {
        make_room(&store, NewRoom { created_at, ..new_group(number, 1, &[]) }).await;
    }
    make_room(&store, new_group(6, 2, &[])).await;
    let order = [room(1), room(2), room(4), room(5), room(3)];
    assert_eq!(ids(&list(&store, 1, None, 10).await), order);

    append(&store, vec![Arc::new(Message { ts: 40, ..message(3, 1, 1) })]).await;
    append(&store, vec![Arc::new(Message { ts: 20, ..message(4, 1, 2) })]).await;
    let views = list(&store, 1, None, 10).await;
    assert_eq!(ids(&views), [room(3), room(1), room(2), room(4), room(5)]);
    let seen = (views[0].heads.last_seq, views[0].read_seq);
    assert_eq!(seen, (1, 1));
    assert_eq!((views[3].heads.last_seq, views[3].read_seq), (1, 0));
    for listed in &views {
        assert_eq!(store.rooms.view(listed.room, user(1)).await.unwrap().as_ref(), Some(listed));
    }
}

/// Following the last place of each page shows every room once, at every page size.
pub async fn pages_the_list_without_repeats(store: Store) {
    make_users(&store, [1]).await;
    for number in 1..=ROOMS_MAX {
        // Many ties, so that a page may end within one.
        let created_at = 100 + number / 5;
        make_room(&store, NewRoom { created_at, ..new_group(number, 1, &[]) }).await;
    }
    let everything = list(&store, 1, None, 100).await;
    assert_eq!(everything.len() as u64, ROOMS_MAX);
    for limit in 1..=5 {
        let mut paged: Vec<RoomView> = Vec::new();
        loop {
            let page = list(&store, 1, paged.last().map(RoomView::place), limit).await;
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            paged.extend(page);
        }
        assert_eq!(paged, everything, "pages of {limit}");
    }
    // The room of the place need not be there.
    let between = ListPlace { active_at: 101, room: room(0) };
    let behind = list(&store, 1, Some(between), 1).await;
    assert_eq!(ids(&behind), [room(5)]);
}

/// One answer for each room asked for, members or not.
pub async fn gives_access_in_the_order_asked(store: Store) {
    make_users(&store, 1..=2).await;
    make_room(&store, NewRoom { private: true, ..new_group(1, 1, &[2]) }).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, messages(1, 1, 4)).await;
    let first = Access {
        kind: RoomKind::Group,
        private: true,
        role: Some(Role::Member),
        heads: Heads { last_seq: 4, ..Heads::default() },
        read_seq: 0,
        was_removed: false,
    };
    let second =
        Access { private: false, role: None, heads: Heads::default(), read_seq: 0, ..first };
    let asked = vec![room(2), room(9), room(1), room(2)];
    let answer = store.rooms.access(user(2), asked).await;
    assert_eq!(answer, Ok(vec![Some(second), None, Some(first), Some(second)]));
    let owner = Access { role: Some(Role::Owner), read_seq: 4, ..first };
    assert_eq!(store.rooms.access(user(1), vec![room(1)]).await, Ok(vec![Some(owner)]));
}

/// The rooms with the latest activity, with what `access` says of them.
pub async fn gives_access_to_the_latest_rooms(store: Store) {
    make_users(&store, 1..=2).await;
    for number in 1..=4 {
        make_room(&store, new_group(number, 1, &[2])).await;
    }
    append(&store, messages(3, 1, 2)).await;
    append(&store, messages(2, 1, 1)).await;
    let answer = store.rooms.access_all(user(2), 3).await.unwrap();
    let order: Vec<RoomId> = answer.iter().map(|(room, _)| *room).collect();
    assert_eq!(order, [room(3), room(2), room(1)]);
    let single = store.rooms.access(user(2), order).await.unwrap();
    assert_eq!(answer.into_iter().map(|(_, access)| Some(access)).collect::<Vec<_>>(), single);
    assert_eq!(store.rooms.access_all(user(7), 3).await, Ok(Vec::new()));
}

/// In pages of any size, each member once.
pub async fn lists_members_by_user(store: Store) {
    make_users(&store, 1..=5).await;
    make_room(&store, new_group(1, 3, &[5, 1, 4, 2])).await;
    make_room(&store, new_group(2, 1, &[])).await;
    append(&store, vec![Arc::new(message(1, 1, 4))]).await;
    let expected: Vec<Member> = (1..=5)
        .map(|number| Member {
            user: user(number),
            role: if number == 3 { Role::Owner } else { Role::Member },
            joined_at: CREATED_AT,
            read_seq: u64::from(number == 4),
        })
        .collect();
    for limit in 1..=6 {
        let mut members: Vec<Member> = Vec::new();
        loop {
            let after = members.last().map(|member| member.user);
            let page = store.rooms.members(room(1), after, limit).await.unwrap();
            assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            members.extend(page);
        }
        assert_eq!(members, expected, "pages of {limit}");
    }
    assert_eq!(store.rooms.members(room(9), None, 5).await, Ok(Vec::new()));
}

/// Of the users asked for, members only, in the order asked.
pub async fn finds_members_among_users(store: Store) {
    make_group(&store, 3).await;
    make_users(&store, 4..=4).await;
    let among = |numbers: &[u64]| {
        let users = numbers.iter().copied().map(user).collect();
        store.rooms.members_among(room(1), users)
    };
    let found: Vec<_> = among(&[3, 4, 9, 1]).await.unwrap();
    let roles: Vec<_> = found.iter().map(|member| (member.user, member.role)).collect();
    assert_eq!(roles, [(user(3), Role::Member), (user(1), Role::Owner)]);
    assert_eq!(among(&[]).await, Ok(vec![]));
    assert_eq!(store.rooms.members_among(room(9), vec![user(1)]).await, Ok(vec![]));
}

/// Each user's rooms, large ones left out; users without rooms and unknown ones have none.
pub async fn finds_the_rooms_of_many_users(store: Store) {
    make_group(&store, 3).await;
    make_users(&store, 4..=4).await;
    make_room(&store, new_group(2, 1, &[2])).await;
    make_room(&store, new_direct(3, 3, 1)).await;
    let of = async |numbers: &[u64], members_max| {
        let users = numbers.iter().copied().map(user).collect();
        let mut found = store.rooms.rooms_of(users, members_max).await.unwrap();
        found.iter_mut().for_each(|(_, rooms)| rooms.sort_unstable());
        found
    };
    let all = of(&[2, 4, 1, 9], 3).await;
    let expected = [
        (user(2), vec![room(1), room(2)]),
        (user(4), vec![]),
        (user(1), vec![room(1), room(2), room(3)]),
        (user(9), vec![]),
    ];
    assert_eq!(all, expected);
    assert_eq!(of(&[3], 2).await, [(user(3), vec![room(3)])]);
    assert_eq!(of(&[], 2).await, []);
}
