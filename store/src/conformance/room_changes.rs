//! Cases of [`RoomStore::change`](crate::RoomStore::change).

use super::{
    MEMBERS_MAX,
    fixtures::{
        append, make_group, make_room, make_users, messages, new_direct, new_group, room, user,
    },
};
use crate::{
    Store,
    rooms::{Member, NewRoom, REMOVED_MAX, RoomChange, RoomChanged, RoomRefusal, RoomView},
};
use RoomChange::{Join, Leave};
use RoomRefusal::{
    Banned, Direct, Full, NoRoom, NoSuchMember, NotAllowed, NotMember, OwnerLeaves, UnknownUser,
};
use futures_util::future::join_all;
use madang_protocol::{Event, Heads, MemberChange, MemberEvent, Role};

/// What `by` gets for asking for a change of a room.
async fn changed(store: &Store, in_room: u64, by: u64, change: RoomChange) -> RoomChanged {
    store.rooms.change(room(in_room), user(by), change, 5_000).await.unwrap()
}

async fn refused(store: &Store, in_room: u64, by: u64, change: RoomChange, why: RoomRefusal) {
    let answer = changed(store, in_room, by, change.clone()).await;
    assert_eq!(answer, RoomChanged::Refused(why), "{change:?} of {in_room} by {by}");
}

async fn already(store: &Store, by: u64, change: RoomChange, role: Option<Role>) {
    let answer = changed(store, 1, by, change.clone()).await;
    assert_eq!(answer, RoomChanged::Already(role), "{change:?} by {by}");
}

/// A change of room 1 that is made, tells `events` and ends at `member_rev`.
async fn done(
    store: &Store,
    by: u64,
    change: RoomChange,
    events: &[Event],
    member_rev: u64,
    role: Option<Role>,
) {
    let answer = changed(store, 1, by, change.clone()).await;
    let last_seq = view(store, 1, 1).await.map_or(0, |view| view.heads.last_seq);
    let heads = Heads { last_seq, last_rev: 0, member_rev };
    let expected = RoomChanged::Done { events: events.to_vec(), heads, role };
    assert_eq!(answer, expected, "{change:?} by {by}");
}

async fn view(store: &Store, of: u64, by: u64) -> Option<RoomView> {
    store.rooms.view(room(of), user(by)).await.unwrap()
}

async fn member_rev(store: &Store, of: u64) -> u64 {
    let access = store.rooms.access(user(1), vec![room(of)]).await.unwrap();
    access[0].unwrap().heads.member_rev
}

async fn roles(store: &Store, of: u64) -> Vec<(u64, Role)> {
    let members = store.rooms.members(room(of), None, 10).await.unwrap();
    let number = |member: &Member| (1..20).find(|number| user(*number) == member.user).unwrap();
    members.iter().map(|member| (number(member), member.role)).collect()
}

fn event(of: u64, change: MemberChange, role: Option<Role>) -> Event {
    Event::Member(MemberEvent { user: user(of), change, role })
}

fn joined(of: u64) -> Event {
    event(of, MemberChange::Joined, Some(Role::Member))
}

fn remove(of: u64) -> RoomChange {
    RoomChange::Remove { user: user(of), ban: false }
}

fn ban(of: u64) -> RoomChange {
    RoomChange::Remove { user: user(of), ban: true }
}

fn set_role(of: u64, role: Role) -> RoomChange {
    RoomChange::SetRole { user: user(of), role }
}

fn rename(name: &str) -> RoomChange {
    RoomChange::Rename(name.into())
}

/// Users 1 to 5; in the private group 1 the owner 1, the admin 2, the members 3 and 4.
async fn make_staff(store: &Store) {
    make_users(store, 1..=5).await;
    make_room(store, NewRoom { private: true, ..new_group(1, 1, &[2, 3, 4]) }).await;
    let admin = event(2, MemberChange::Role, Some(Role::Admin));
    done(store, 1, set_role(2, Role::Admin), &[admin], 1, Some(Role::Admin)).await;
}

/// A new member has read everything; joining again changes nothing.
pub async fn joins_once_with_everything_read(store: Store) {
    make_users(&store, 1..=2).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 3)).await;
    done(&store, 2, Join, &[joined(2)], 1, Some(Role::Member)).await;
    let seen = view(&store, 1, 2).await.unwrap();
    assert_eq!((seen.heads.member_rev, seen.read_seq, seen.members), (1, 3, 2));

    already(&store, 2, Join, Some(Role::Member)).await;
    already(&store, 1, Join, Some(Role::Owner)).await;
    assert_eq!(view(&store, 1, 2).await, Some(seen));
    let members = store.rooms.members(room(1), None, 10).await.unwrap();
    assert_eq!(members[1].joined_at, 5_000);
}

/// Unknown, hidden, direct and full rooms.
pub async fn refuses_joins(store: Store) {
    make_users(&store, 1..=MEMBERS_MAX + 2).await;
    make_room(&store, NewRoom { private: true, ..new_group(1, 1, &[2]) }).await;
    make_room(&store, new_direct(2, 1, 2)).await;
    make_room(&store, NewRoom { private: false, ..new_direct(3, 1, 3) }).await;
    let all_but_one: Vec<u64> = (2..MEMBERS_MAX).collect();
    make_room(&store, new_group(4, 1, &all_but_one)).await;
    refused(&store, 9, 1, Join, NoRoom).await;
    refused(&store, 1, 3, Join, NoRoom).await;
    already(&store, 2, Join, Some(Role::Member)).await;
    refused(&store, 2, 3, Join, NoRoom).await;
    refused(&store, 3, 2, Join, Direct).await;
    assert!(matches!(changed(&store, 4, MEMBERS_MAX, Join).await, RoomChanged::Done { .. }));
    refused(&store, 4, MEMBERS_MAX + 1, Join, Full).await;
    refused(&store, 4, 1, RoomChange::Add(user(MEMBERS_MAX + 1)), Full).await;
    let again = changed(&store, 4, MEMBERS_MAX, Join).await;
    assert_eq!(again, RoomChanged::Already(Some(Role::Member)));
    assert_eq!(view(&store, 4, 1).await.unwrap().members, MEMBERS_MAX);
}

/// One who left sees the room no more, until joining again.
pub async fn leaves_once(store: Store) {
    make_group(&store, 3).await;
    append(&store, messages(1, 1, 2)).await;
    done(&store, 2, Leave, &[event(2, MemberChange::Left, None)], 1, None).await;
    already(&store, 2, Leave, None).await;
    assert_eq!(view(&store, 1, 2).await, None);
    assert_eq!(store.rooms.list(user(2), None, 10).await, Ok(Vec::new()));
    let seen = view(&store, 1, 1).await.unwrap();
    assert_eq!((seen.heads.member_rev, seen.members), (1, 2));

    done(&store, 2, Join, &[joined(2)], 2, Some(Role::Member)).await;
    assert_eq!(view(&store, 1, 2).await.unwrap().read_seq, 2);
}

/// Owners, direct rooms, strangers and unknown rooms.
pub async fn refuses_leaves(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, new_group(1, 1, &[3])).await;
    make_room(&store, NewRoom { private: true, ..new_group(2, 1, &[]) }).await;
    make_room(&store, new_direct(3, 1, 2)).await;
    refused(&store, 1, 1, Leave, OwnerLeaves).await;
    already(&store, 2, Leave, None).await;
    refused(&store, 2, 2, Leave, NoRoom).await;
    refused(&store, 3, 1, Leave, Direct).await;
    refused(&store, 3, 3, Leave, NoRoom).await;
    refused(&store, 9, 1, Leave, NoRoom).await;
    assert_eq!(member_rev(&store, 1).await, 0);
}

/// Nobody is there to give it to. Whoever comes first then owns it, with all its messages.
pub async fn the_last_one_leaves_a_room_that_is_kept(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, new_group(1, 1, &[])).await;
    append(&store, messages(1, 1, 2)).await;
    let left = event(1, MemberChange::Left, None);
    let heads = Heads { last_seq: 2, last_rev: 0, member_rev: 1 };
    let expected = RoomChanged::Done { events: vec![left], heads, role: None };
    assert_eq!(changed(&store, 1, 1, Leave).await, expected);
    assert_eq!(roles(&store, 1).await, []);
    let owner = event(2, MemberChange::Joined, Some(Role::Owner));
    let heads = Heads { member_rev: 2, ..heads };
    let expected = RoomChanged::Done { events: vec![owner], heads, role: Some(Role::Owner) };
    assert_eq!(changed(&store, 1, 2, Join).await, expected);
    changed(&store, 1, 3, Join).await;
    assert_eq!(roles(&store, 1).await, [(2, Role::Owner), (3, Role::Member)]);
    assert_eq!(view(&store, 1, 2).await.unwrap().heads.last_seq, 2);
}

/// Every change takes a number of its own, and none gets lost.
pub async fn counts_concurrent_joins(store: Store) {
    make_users(&store, 1..=MEMBERS_MAX + 3).await;
    make_room(&store, new_group(1, 1, &[])).await;
    let answers = join_all((2..=MEMBERS_MAX + 3).map(|who| changed(&store, 1, who, Join))).await;
    let mut numbers: Vec<u64> = answers
        .iter()
        .filter_map(|answer| match answer {
            RoomChanged::Done { heads, .. } => Some(heads.member_rev),
            _ => None,
        })
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..MEMBERS_MAX).collect::<Vec<_>>());
    let full = answers.iter().filter(|answer| **answer == RoomChanged::Refused(Full));
    assert_eq!(full.count(), 3);
    let seen = view(&store, 1, 1).await.unwrap();
    assert_eq!((seen.members, seen.heads.member_rev), (MEMBERS_MAX, MEMBERS_MAX - 1));
}

/// By owner and admin, once; with everything read, like one who joins.
pub async fn adds_members(store: Store) {
    make_staff(&store).await;
    append(&store, messages(1, 1, 3)).await;
    for (by, member_rev) in [(2, 2), (1, 4)] {
        let add = RoomChange::Add(user(5));
        done(&store, by, add.clone(), &[joined(5)], member_rev, Some(Role::Member)).await;
        already(&store, by, add, Some(Role::Member)).await;
        assert_eq!(view(&store, 1, 5).await.unwrap().read_seq, 3);
        changed(&store, 1, by, remove(5)).await;
    }
    already(&store, 2, RoomChange::Add(user(1)), Some(Role::Owner)).await;
}

/// Of users who are none, and by those who may not.
pub async fn refuses_additions(store: Store) {
    make_staff(&store).await;
    refused(&store, 1, 1, RoomChange::Add(user(9)), UnknownUser).await;
    refused(&store, 1, 3, RoomChange::Add(user(9)), NotAllowed).await;
    refused(&store, 1, 3, RoomChange::Add(user(4)), NotAllowed).await;
    refused(&store, 1, 5, RoomChange::Add(user(5)), NoRoom).await;
    assert_eq!(member_rev(&store, 1).await, 1);
}

/// By owner and admin, once; an admin too. Who was removed may join an open room again.
pub async fn removes_members(store: Store) {
    make_users(&store, 1..=5).await;
    make_room(&store, new_group(1, 1, &[2, 3, 4])).await;
    let removed = |of| event(of, MemberChange::Removed, None);
    done(&store, 1, remove(4), &[removed(4)], 1, None).await;
    already(&store, 1, remove(4), None).await;
    already(&store, 1, remove(5), None).await;
    assert_eq!(view(&store, 1, 4).await, None);
    done(&store, 4, Join, &[joined(4)], 2, Some(Role::Member)).await;
    changed(&store, 1, 1, set_role(2, Role::Admin)).await;
    changed(&store, 1, 1, set_role(3, Role::Admin)).await;
    done(&store, 2, remove(3), &[removed(3)], 5, None).await;
    done(&store, 2, remove(2), &[removed(2)], 6, None).await;
    assert_eq!(roles(&store, 1).await, [(1, Role::Owner), (4, Role::Member)]);
}

/// For those whose node did not hear of it: of the latest `REMOVED_MAX` of a room, until they are members
/// again. Who leaves was not removed.
pub async fn remembers_removals(store: Store) {
    const LAST: u64 = REMOVED_MAX as u64 + 2;
    make_users(&store, 1..=LAST).await;
    make_room(&store, new_group(1, 1, &[2, 3])).await;
    changed(&store, 1, 2, Leave).await;
    assert!(!was_removed(&store, 2).await, "it left");
    changed(&store, 1, 1, ban(3)).await;
    assert!(was_removed(&store, 3).await);
    changed(&store, 1, 1, RoomChange::Add(user(3))).await;
    assert!(!was_removed(&store, 3).await, "it is a member");
    changed(&store, 1, 3, Leave).await;
    assert!(!was_removed(&store, 3).await, "it left");
    for number in (3..=LAST).chain([3]) {
        changed(&store, 1, 1, RoomChange::Add(user(number))).await;
        changed(&store, 1, 1, remove(number)).await;
    }
    // As many as are remembered; the first of them came again, and is the last now.
    for (number, expected) in [(3, true), (4, true), (5, true), (LAST, true)] {
        assert_eq!(was_removed(&store, number).await, expected, "{number}");
    }
    changed(&store, 1, 1, RoomChange::Add(user(2))).await;
    changed(&store, 1, 1, remove(2)).await;
    for (number, expected) in [(2, true), (3, true), (4, false), (5, true), (LAST, true)] {
        assert_eq!(was_removed(&store, number).await, expected, "{number}");
    }
}

async fn was_removed(store: &Store, number: u64) -> bool {
    let access = store.rooms.access(user(number), vec![room(1)]).await.unwrap();
    access[0].unwrap().was_removed
}

/// Members and others, until owner or admin add them.
pub async fn keeps_banned_users_out(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, new_group(1, 1, &[2])).await;
    done(&store, 1, ban(2), &[event(2, MemberChange::Removed, None)], 1, None).await;
    done(&store, 1, ban(3), &[], 1, None).await;
    for banned in [2, 3] {
        already(&store, 1, ban(banned), None).await;
        refused(&store, 1, banned, Join, Banned).await;
        already(&store, 1, remove(banned), None).await;
        refused(&store, 1, banned, Join, Banned).await;
        already(&store, banned, Leave, None).await;
    }
    let access = store.rooms.access(user(2), vec![room(1)]).await.unwrap();
    assert_eq!(access[0].map(|access| (access.private, access.role)), Some((false, None)));

    done(&store, 1, RoomChange::Add(user(2)), &[joined(2)], 2, Some(Role::Member)).await;
    changed(&store, 1, 2, Leave).await;
    done(&store, 2, Join, &[joined(2)], 4, Some(Role::Member)).await;
    refused(&store, 1, 3, Join, Banned).await;
}

/// Nobody removes the owner; nobody is removed who is no user.
pub async fn refuses_removals(store: Store) {
    make_staff(&store).await;
    for remove in [remove, ban] {
        refused(&store, 1, 1, remove(1), OwnerLeaves).await;
        refused(&store, 1, 2, remove(1), NotAllowed).await;
        refused(&store, 1, 3, remove(4), NotAllowed).await;
        refused(&store, 1, 3, remove(3), NotAllowed).await;
        refused(&store, 1, 5, remove(3), NoRoom).await;
        refused(&store, 1, 1, remove(9), NoSuchMember).await;
    }
    assert_eq!(member_rev(&store, 1).await, 1);
    assert_eq!(roles(&store, 1).await.len(), 4);
}

/// To and fro, by the owner; the same again changes nothing.
pub async fn gives_roles(store: Store) {
    make_staff(&store).await;
    for (member_rev, role) in [(2, Role::Admin), (3, Role::Member)] {
        let told = event(3, MemberChange::Role, Some(role));
        done(&store, 1, set_role(3, role), &[told], member_rev, Some(role)).await;
        already(&store, 1, set_role(3, role), Some(role)).await;
        assert_eq!(view(&store, 1, 3).await.unwrap().role, role);
    }
    already(&store, 1, set_role(1, Role::Owner), Some(Role::Owner)).await;
}

/// There is one owner at any time: who gives the room away is admin, and may leave.
pub async fn gives_ownership_away(store: Store) {
    make_staff(&store).await;
    let told = [
        event(3, MemberChange::Role, Some(Role::Owner)),
        event(1, MemberChange::Role, Some(Role::Admin)),
    ];
    done(&store, 1, set_role(3, Role::Owner), &told, 3, Some(Role::Owner)).await;
    let owned = [(1, Role::Admin), (2, Role::Admin), (3, Role::Owner), (4, Role::Member)];
    assert_eq!(roles(&store, 1).await, owned);
    refused(&store, 1, 1, set_role(1, Role::Owner), NotAllowed).await;
    refused(&store, 1, 3, Leave, OwnerLeaves).await;
    assert!(matches!(changed(&store, 1, 1, Leave).await, RoomChanged::Done { .. }));
}

/// Roles are the owner's to give, to members; its own it can only give away.
pub async fn refuses_roles(store: Store) {
    make_staff(&store).await;
    for role in [Role::Member, Role::Admin, Role::Owner] {
        refused(&store, 1, 2, set_role(3, role), NotAllowed).await;
        refused(&store, 1, 2, set_role(2, role), NotAllowed).await;
        refused(&store, 1, 3, set_role(3, role), NotAllowed).await;
        refused(&store, 1, 5, set_role(3, role), NoRoom).await;
        refused(&store, 1, 1, set_role(5, role), NoSuchMember).await;
        refused(&store, 1, 1, set_role(9, role), NoSuchMember).await;
    }
    refused(&store, 1, 1, set_role(1, Role::Admin), OwnerLeaves).await;
    refused(&store, 1, 1, set_role(1, Role::Member), OwnerLeaves).await;
    assert_eq!(member_rev(&store, 1).await, 1);
}

/// By owner and admin; the same name again changes nothing.
pub async fn renames(store: Store) {
    make_staff(&store).await;
    let told = |name: &str| [Event::Renamed(name.into())];
    done(&store, 1, rename("a"), &told("a"), 2, Some(Role::Owner)).await;
    done(&store, 2, rename("b"), &told("b"), 3, Some(Role::Admin)).await;
    already(&store, 1, rename("b"), Some(Role::Owner)).await;
    refused(&store, 1, 3, rename("c"), NotAllowed).await;
    assert_eq!(view(&store, 1, 3).await.unwrap().name.as_deref(), Some("b"));
}

/// A private room does not exist for others, an open one is not theirs.
pub async fn says_who_may_not(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, NewRoom { private: true, ..new_group(1, 1, &[2]) }).await;
    make_room(&store, new_group(2, 1, &[2])).await;
    let changes =
        [RoomChange::Add(user(3)), remove(2), ban(2), set_role(2, Role::Admin), rename("mine")];
    for change in changes {
        refused(&store, 1, 3, change.clone(), NoRoom).await;
        refused(&store, 2, 3, change.clone(), NotMember).await;
        refused(&store, 9, 3, change.clone(), NoRoom).await;
        refused(&store, 2, 2, change, NotAllowed).await;
    }
    for of in [1, 2] {
        assert_eq!(member_rev(&store, of).await, 0);
        assert_eq!(roles(&store, of).await, [(1, Role::Owner), (2, Role::Member)]);
    }
}

/// The same two for ever, without a name.
pub async fn a_direct_room_stays_as_it_is(store: Store) {
    make_users(&store, 1..=3).await;
    make_room(&store, new_direct(1, 1, 2)).await;
    already(&store, 1, Join, Some(Role::Member)).await;
    let changes = [
        RoomChange::Add(user(3)),
        remove(2),
        ban(2),
        set_role(2, Role::Admin),
        set_role(2, Role::Owner),
        rename("ours"),
        Leave,
    ];
    for change in changes {
        refused(&store, 1, 1, change.clone(), Direct).await;
        if change != Leave {
            refused(&store, 1, 3, change, NoRoom).await;
        }
    }
    assert_eq!(view(&store, 1, 2).await.map(|view| (view.members, view.name)), Some((2, None)));
}
