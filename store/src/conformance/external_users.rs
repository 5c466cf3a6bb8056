//! Cases of [`AccountStore::start_external_session`](crate::AccountStore::start_external_session).

use super::fixtures::{CREATED_AT, make_users, new_session, new_user, token_hash, user};
use crate::{
    Store,
    accounts::{Credentials, ExternalLogin, ExternalStarted, Profile, ProfileKeys},
};
use futures_util::future::join_all;
use madang_protocol::UserId;

/// The user of that number by an external id, without a password.
fn login(external_id: &str, number: u64) -> ExternalLogin {
    let mut user = new_user(number);
    user.password_hash = None;
    ExternalLogin { external_id: external_id.into(), user, display_name: None }
}

async fn started(store: &Store, login: ExternalLogin) -> ExternalStarted {
    store.accounts.start_external_session(login, usize::MAX).await.unwrap()
}

fn found(number: u64) -> ExternalStarted {
    ExternalStarted::Found { user: user(number), ended: Vec::new() }
}

async fn user_of_session(store: &Store, number: u64) -> Option<UserId> {
    let session = store.accounts.session(token_hash(number), CREATED_AT).await.unwrap();
    session.map(|session| session.user)
}

async fn profile(store: &Store, number: u64) -> Option<Profile> {
    let which = ProfileKeys::Ids(vec![user(number)]);
    store.accounts.profiles(which).await.unwrap().pop()
}

/// The first call makes the user, the next ones find it; the session is theirs in either case.
pub async fn makes_a_user_once_per_external_id(store: Store) {
    assert_eq!(started(&store, login("a", 1)).await, ExternalStarted::Made);
    assert_eq!(started(&store, login("a", 2)).await, found(1));
    assert_eq!(started(&store, login("A", 3)).await, ExternalStarted::Made);
    assert_eq!(started(&store, login("a ", 4)).await, ExternalStarted::Made);
    for (session, of) in [(1, 1), (2, 1), (3, 3), (4, 4)] {
        assert_eq!(user_of_session(&store, session).await, Some(user(of)));
    }
    assert_eq!(profile(&store, 2).await, None);
    let expected = Credentials { user: user(1), password_hash: None };
    assert_eq!(store.accounts.credentials("user1".into()).await, Ok(Some(expected)));
    assert_eq!(store.accounts.credentials("user2".into()).await, Ok(None));
}

/// However close they come.
pub async fn concurrent_first_calls_make_one_user(store: Store) {
    let calls = (1..=8).map(|number| started(&store, login("a", number)));
    let answers = join_all(calls).await;
    let made = answers.iter().position(|answer| *answer == ExternalStarted::Made).unwrap();
    let made = made as u64 + 1;
    for (number, answer) in (1..=8).zip(answers) {
        let expected = if number == made { ExternalStarted::Made } else { found(made) };
        assert_eq!(answer, expected, "{number}");
        assert_eq!(user_of_session(&store, number).await, Some(user(made)));
    }
}

/// The name of another user makes nothing; a user who is there is found whatever name is given.
pub async fn a_taken_username_makes_no_external_user(store: Store) {
    make_users(&store, [9]).await;
    let mut wished = login("a", 1);
    wished.user.username_folded = "user9".into();
    assert_eq!(started(&store, wished.clone()).await, ExternalStarted::UsernameTaken);
    assert_eq!((profile(&store, 1).await, user_of_session(&store, 1).await), (None, None));
    assert_eq!(started(&store, login("a", 1)).await, ExternalStarted::Made);
    wished.user.session = new_session(2, 1, 9_000);
    assert_eq!(started(&store, wished).await, found(1));
    assert_eq!(profile(&store, 1).await.unwrap().username, "User1");
}

/// Only when one is given.
pub async fn a_display_name_of_an_external_user_follows(store: Store) {
    started(&store, login("a", 1)).await;
    for (session, display_name, shown) in
        [(2, None, "The user 1"), (3, Some("New"), "New"), (4, None, "New")]
    {
        let display_name = display_name.map(str::to_owned);
        let again = ExternalLogin { display_name, ..login("a", session) };
        assert_eq!(started(&store, again).await, found(1));
        assert_eq!(profile(&store, 1).await.unwrap().display_name, shown);
    }
}

/// As a login with a password does.
pub async fn an_external_session_ends_those_too_many(store: Store) {
    started(&store, login("a", 1)).await;
    let answer = store.accounts.start_external_session(login("a", 2), 1).await;
    let ended = vec![new_session(1, 1, 0).session];
    assert_eq!(answer, Ok(ExternalStarted::Found { user: user(1), ended }));
    assert_eq!(user_of_session(&store, 1).await, None);
    assert_eq!(user_of_session(&store, 2).await, Some(user(1)));
}
