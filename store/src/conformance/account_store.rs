//! Cases of [`AccountStore`](crate::AccountStore).

use super::fixtures::{CREATED_AT, make_users, new_session, new_user, token_hash, user};
use crate::{
    Store,
    accounts::{
        CreatedUsers, Credentials, LOGIN_REMEMBERED_MS, LOGINS_REMEMBERED_MAX, NewSession, NewUser,
        Profile, ProfileKeys, Session, Touch,
    },
};
use futures_util::future::join_all;
use madang_protocol::{Millis, SessionId};

async fn session(store: &Store, number: u64, now: Millis) -> Option<Session> {
    store.accounts.session(token_hash(number), now).await.unwrap()
}

/// Starts a session that ends no other.
async fn start(store: &Store, new: NewSession) {
    assert_eq!(store.accounts.start_session(new, usize::MAX).await, Ok(Vec::new()));
}

/// Which of these sessions are there.
async fn present(store: &Store, numbers: &[u64]) -> Vec<u64> {
    let mut present = Vec::new();
    for number in numbers {
        if session(store, *number, CREATED_AT).await.is_some() {
            present.push(*number);
        }
    }
    present
}

fn ids(numbers: &[u64]) -> Vec<SessionId> {
    numbers.iter().map(|number| new_session(*number, 1, 0).session).collect()
}

fn session_of(new: &NewSession) -> Session {
    Session { session: new.session, user: new.user, expires_at: new.expires_at }
}

async fn profiles_by_id(store: &Store, numbers: &[u64]) -> Vec<Profile> {
    let ids = numbers.iter().copied().map(user).collect();
    store.accounts.profiles(ProfileKeys::Ids(ids)).await.unwrap()
}

fn profile(number: u64) -> Profile {
    let NewUser { user, username, display_name, .. } = new_user(number);
    Profile { user, username, display_name }
}

/// They can log in, be looked up, and are logged in.
pub async fn creates_users_with_their_first_session(store: Store) {
    make_users(&store, 1..=2).await;
    for number in 1..=2 {
        let new = new_user(number);
        let expected = Credentials { user: new.user, password_hash: new.password_hash };
        let found = store.accounts.credentials(new.username_folded).await;
        assert_eq!(found, Ok(Some(expected)));
        assert_eq!(profiles_by_id(&store, &[number]).await, [profile(number)]);
        let expected = Some(session_of(&new.session));
        assert_eq!(session(&store, number, CREATED_AT).await, expected);
    }
}

/// The first whose name is taken is named, by another of the same call too.
pub async fn creates_all_users_or_none(store: Store) {
    make_users(&store, [1]).await;
    let named =
        |number, folded: &str| NewUser { username_folded: folded.into(), ..new_user(number) };
    for (users, index) in [
        (vec![new_user(2), named(3, "user1"), named(4, "user2")], 1),
        (vec![new_user(2), new_user(3), named(4, "user2"), named(5, "user1")], 2),
    ] {
        let answer = store.accounts.create_users(users).await;
        assert_eq!(answer, Ok(CreatedUsers::UsernameTaken { index }));
        assert_eq!(profiles_by_id(&store, &[1, 2, 3, 4, 5]).await, [profile(1)]);
        assert_eq!(store.accounts.credentials("user2".into()).await, Ok(None));
        assert_eq!(session(&store, 2, CREATED_AT).await, None);
    }
    make_users(&store, [2]).await;
}

/// Two cannot have one name, however close they come.
pub async fn one_of_concurrent_signups_gets_the_name(store: Store) {
    let signups = (1..=8).map(|number| {
        let wanted = NewUser { username_folded: "wanted".into(), ..new_user(number) };
        store.accounts.create_users(vec![wanted])
    });
    let answers = join_all(signups).await;
    let made = answers.iter().filter(|answer| **answer == Ok(CreatedUsers::All)).count();
    let taken = Ok(CreatedUsers::UsernameTaken { index: 0 });
    let refused = answers.iter().filter(|answer| **answer == taken).count();
    assert_eq!((made, refused), (1, 7), "{answers:?}");
    assert_eq!(profiles_by_id(&store, &[1, 2, 3, 4, 5, 6, 7, 8]).await.len(), 1);
}

/// Names are compared as they are given; a user may have no password.
pub async fn knows_no_unknown_credentials(store: Store) {
    let new = NewUser { password_hash: None, ..new_user(1) };
    let expected = Credentials { user: new.user, password_hash: None };
    assert_eq!(store.accounts.create_users(vec![new]).await, Ok(CreatedUsers::All));
    assert_eq!(store.accounts.credentials("user1".into()).await, Ok(Some(expected)));
    for unknown in ["User1", "user", "user11", ""] {
        assert_eq!(store.accounts.credentials(unknown.into()).await, Ok(None), "{unknown}");
    }
}

/// Unknown ones are left out, repeats answered once.
pub async fn finds_profiles_in_the_order_asked(store: Store) {
    make_users(&store, 1..=3).await;
    let by_id = profiles_by_id(&store, &[3, 9, 1, 3]).await;
    assert_eq!(by_id, [profile(3), profile(1)]);
    let names = ["user2", "nobody", "user1", "user2"].map(String::from).to_vec();
    let by_name = store.accounts.profiles(ProfileKeys::Usernames(names)).await;
    assert_eq!(by_name, Ok(vec![profile(2), profile(1)]));
    assert_eq!(profiles_by_id(&store, &[]).await, []);
}

/// A session is there until the millisecond it expires at.
pub async fn ends_sessions_at_their_time(store: Store) {
    make_users(&store, [1]).await;
    let new = new_session(11, 1, 5_000);
    start(&store, new.clone()).await;
    assert_eq!(session(&store, 11, 4_999).await, Some(session_of(&new)));
    assert_eq!(session(&store, 11, 5_000).await, None);
    assert_eq!(session(&store, 12, CREATED_AT).await, None);
    assert!(session(&store, 1, CREATED_AT).await.is_some());
}

/// The last time from each address; a session made on the node is no login from anywhere.
pub async fn remembers_where_users_log_in_from(store: Store) {
    make_users(&store, 1..=2).await;
    let (home, work) = ([1; 16], [2; 16]);
    for (number, address, created_at) in
        [(11, Some(home), 2_000), (12, Some(home), 3_000), (13, None, 4_000)]
    {
        let new = NewSession { address, created_at, ..new_session(number, 1, Millis::MAX) };
        start(&store, new).await;
    }
    let mut signup = new_user(3);
    signup.session.address = Some(work);
    store.accounts.create_users(vec![signup]).await.unwrap();
    for (number, address, expected) in
        [(1, home, Some(3_000)), (1, work, None), (2, home, None), (3, work, Some(CREATED_AT))]
    {
        let answer = store.accounts.last_login_from(user(number), address).await;
        assert_eq!(answer, Ok(expected), "user {number}");
    }
}

/// The others stay; ending it again changes nothing.
pub async fn ends_one_session(store: Store) {
    make_users(&store, 1..=2).await;
    start(&store, new_session(11, 1, Millis::MAX)).await;
    for _ in 0..2 {
        assert_eq!(store.accounts.end_session(token_hash(1)).await, Ok(()));
        assert_eq!(session(&store, 1, CREATED_AT).await, None);
        assert!(session(&store, 11, CREATED_AT).await.is_some());
        assert!(session(&store, 2, CREATED_AT).await.is_some());
    }
}

/// Those that expire first end, of this user alone; expired ones are cleared away unnamed.
pub async fn ends_the_sessions_a_user_has_too_many_of(store: Store) {
    make_users(&store, 1..=2).await;
    for (number, expires_at) in [(11, 9_000), (12, 7_000), (13, 8_000), (14, CREATED_AT + 1)] {
        start(&store, new_session(number, 1, expires_at)).await;
    }
    let later = NewSession { created_at: CREATED_AT + 1, ..new_session(15, 1, 10_000) };
    assert_eq!(store.accounts.start_session(later, 4).await, Ok(ids(&[12])));
    assert_eq!(present(&store, &[1, 2, 11, 12, 13, 14, 15]).await, [1, 2, 11, 13, 15]);

    for (number, sessions_max, ended) in [(16, 1, &[13, 11, 15, 1][..]), (17, 0, &[16])] {
        let new = new_session(number, 1, 11_000);
        assert_eq!(store.accounts.start_session(new, sessions_max).await, Ok(ids(ended)));
    }
    assert_eq!(present(&store, &[1, 2, 11, 13, 15, 16, 17]).await, [2, 17]);
}

/// However close they come, one is left, and each of the others is named once.
pub async fn concurrent_single_sessions_leave_one(store: Store) {
    make_users(&store, [1]).await;
    let logins =
        (11..=18).map(|number| store.accounts.start_session(new_session(number, 1, 9_000), 1));
    let answers = join_all(logins).await;
    let mut ended: Vec<SessionId> = answers.into_iter().flat_map(Result::unwrap).collect();
    let left = present(&store, &[1, 11, 12, 13, 14, 15, 16, 17, 18]).await;
    assert_eq!(left.len(), 1, "{left:?}");
    ended.extend(ids(&left));
    ended.sort_unstable();
    assert_eq!(ended, ids(&[1, 11, 12, 13, 14, 15, 16, 17, 18]));
}

/// Never back, and nothing is made of those that are not there, or are another user's.
pub async fn touches_many_sessions_at_once(store: Store) {
    make_users(&store, 1..=2).await;
    for (number, of, expires_at) in [(11, 1, 5_000), (12, 1, 9_000), (14, 2, 5_000)] {
        start(&store, new_session(number, of, expires_at)).await;
    }
    let touch = |number| {
        let NewSession { user, session, .. } = new_session(number, 1, 0);
        Touch { user, session, expires_at: 7_000 }
    };
    let touches = [11, 12, 13, 14].map(touch).to_vec();
    assert_eq!(store.accounts.touch_sessions(touches).await, Ok(()));
    assert_eq!(store.accounts.touch_sessions(Vec::new()).await, Ok(()));
    for (number, expires_at) in
        [(11, Some(7_000)), (12, Some(9_000)), (13, None), (14, Some(5_000))]
    {
        let found = session(&store, number, CREATED_AT).await;
        assert_eq!(found.map(|session| session.expires_at), expires_at, "{number}");
    }
}

/// Those that were ended, have expired or never were; in the order asked.
pub async fn names_the_sessions_that_ended(store: Store) {
    make_users(&store, 1..=2).await;
    for (number, of, expires_at) in
        [(11, 1, Millis::MAX), (12, 1, 5_000), (13, 1, 5_001), (14, 2, Millis::MAX)]
    {
        start(&store, new_session(number, of, expires_at)).await;
    }
    store.accounts.end_session(token_hash(11)).await.unwrap();
    let ended = async |numbers: &[u64], now| {
        let sessions = numbers.iter().map(|number| {
            let NewSession { user, session, .. } = new_session(*number, 1, 0);
            (user, session)
        });
        store.accounts.ended_sessions(sessions.collect(), now).await
    };
    let all = [14, 1, 13, 99, 12, 11];
    assert_eq!(ended(&all, 4_999).await, Ok(ids(&[14, 99, 11])), "14 is another user's");
    assert_eq!(ended(&all, 5_000).await, Ok(ids(&[14, 99, 12, 11])));
    assert_eq!(ended(&[13, 1], 5_000).await, Ok(vec![]));
    assert_eq!(ended(&[], 5_000).await, Ok(vec![]));
    assert!(session(&store, 13, 5_000).await.is_some(), "nothing has changed");
}

/// The session that asked stays; one that is not there changes nothing.
pub async fn a_new_password_ends_the_other_sessions(store: Store) {
    make_users(&store, 1..=2).await;
    for number in [11, 12] {
        start(&store, new_session(number, 1, Millis::MAX)).await;
    }
    let set = |number| store.accounts.set_password(token_hash(number), "new".into());
    assert_eq!(set(99).await, Ok(None));
    assert_eq!(store.accounts.credentials("user1".into()).await.unwrap(), {
        let NewUser { user, password_hash, .. } = new_user(1);
        Some(Credentials { user, password_hash })
    });
    let mut ended = set(11).await.unwrap().unwrap();
    ended.sort_unstable();
    assert_eq!(ended, ids(&[1, 12]));
    assert_eq!(present(&store, &[1, 2, 11, 12]).await, [2, 11]);
    for (name, expected) in [("user1", "new"), ("user2", "hash 2")] {
        let found = store.accounts.credentials(name.into()).await.unwrap().unwrap();
        assert_eq!(found.password_hash.as_deref(), Some(expected));
    }
    assert_eq!(set(12).await, Ok(None), "a session that has ended");
}

/// Others keep theirs.
pub async fn changes_a_display_name(store: Store) {
    make_users(&store, 1..=2).await;
    let renamed = Profile { display_name: "Another".into(), ..profile(1) };
    let set = |number| store.accounts.set_display_name(user(number), "Another".into());
    assert_eq!(set(1).await, Ok(Some(renamed.clone())));
    assert_eq!(set(9).await, Ok(None));
    assert_eq!(profiles_by_id(&store, &[1, 2, 9]).await, [renamed, profile(2)]);
    assert!(session(&store, 1, CREATED_AT).await.is_some());
}

/// The latest addresses, and none for longer than it is good for.
pub async fn forgets_old_logins(store: Store) {
    make_users(&store, 1..=2).await;
    let address = |number: usize| (number as u128).to_be_bytes();
    let login = |number: u64, of, at, created_at| {
        let new = new_session(number, of, Millis::MAX);
        start(&store, NewSession { address: Some(address(at)), created_at, ..new })
    };
    let known = async |of, at| {
        store.accounts.last_login_from(user(of), address(at)).await.unwrap().is_some()
    };
    login(11, 2, 1, CREATED_AT).await;
    login(12, 1, 1, CREATED_AT).await;
    login(13, 1, 2, CREATED_AT + 1).await;
    login(14, 1, 3, CREATED_AT + 1 + LOGIN_REMEMBERED_MS).await;
    assert!(!known(1, 1).await && known(1, 2).await && known(1, 3).await);
    assert!(known(2, 1).await, "another user's");

    let now = CREATED_AT + 2 + LOGIN_REMEMBERED_MS;
    for number in 0..LOGINS_REMEMBERED_MAX {
        login(100 + number as u64, 1, 100 + number, now + number as Millis).await;
    }
    assert!(!known(1, 3).await, "the oldest of too many");
    for number in 0..LOGINS_REMEMBERED_MAX {
        assert!(known(1, 100 + number).await, "{number}");
    }
}
