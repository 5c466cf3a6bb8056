//! Cases of [`Cache`].

use super::fixtures::{room, token_hash, user};
use crate::{
    accounts::{Profile, Session},
    cache::{Caches, FORGOTTEN, MemberKey, Membership, TokenKey},
};
use madang_protocol::{Role, RoomKind, SessionId, UserId};
use std::time::{Duration, Instant};

/// Makes the caches to be examined.
pub type Make = fn() -> Caches;

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(600);

fn profile(number: u64, display_name: &str) -> Profile {
    let username = format!("user{number}");
    Profile { user: user(number), username, display_name: display_name.to_owned() }
}

fn users<const N: usize>(numbers: [u64; N]) -> Vec<UserId> {
    numbers.map(user).to_vec()
}

async fn put(caches: &Caches, profile: Profile, ttl: Duration) {
    caches.profiles.put(vec![(profile.user, profile)], ttl).await.unwrap();
}

async fn named<const N: usize>(caches: &Caches, numbers: [u64; N]) -> Vec<Option<String>> {
    let found = caches.profiles.get(&users(numbers)).await.unwrap();
    found.into_iter().map(|found| found.map(|profile| profile.display_name)).collect()
}

/// In the order asked, with gaps where there is none.
pub async fn gives_what_was_put_in_the_order_asked(make: Make) {
    let caches = make();
    assert_eq!(named(&caches, [1, 2]).await, [None, None]);
    let copies = [1, 2, 3].map(|number| (user(number), profile(number, &number.to_string())));
    caches.profiles.put(copies.to_vec(), LONG).await.unwrap();
    let [one, three] = ["1", "3"].map(|name| Some(name.to_owned()));
    assert_eq!(named(&caches, [3, 9, 1, 3]).await, [three.clone(), None, one, three]);
}

/// A copy of every kind is what was put in, and kinds do not meet.
pub async fn keeps_every_kind(make: Make) {
    let caches = make();
    let expires_at = 1_700_000_000_000;
    let session = Session { session: SessionId([7; 15]), user: user(1), expires_at };
    let key = TokenKey(token_hash(1));
    caches.sessions.put(vec![(key.clone(), session)], LONG).await.unwrap();
    assert_eq!(caches.sessions.get(std::slice::from_ref(&key)).await, Ok(vec![Some(session)]));

    let keys = [1, 2].map(|number| MemberKey { room: room(number), user: user(1) });
    let none = Membership { kind: RoomKind::Group, private: true, role: None };
    let owner = Membership { role: Some(Role::Owner), private: false, ..none };
    caches.members.put(vec![(keys[0], none), (keys[1], owner)], LONG).await.unwrap();
    assert_eq!(caches.members.get(&keys).await, Ok(vec![Some(none), Some(owner)]));
    assert_eq!(named(&caches, [1]).await, [None]);
}

/// A copy ends with its time.
pub async fn copies_end(make: Make) {
    let (caches, began) = (make(), Instant::now());
    put(&caches, profile(1, "old"), Duration::from_millis(400)).await;
    put(&caches, profile(2, "old"), LONG).await;
    while named(&caches, [1]).await != [None] {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    put(&caches, profile(1, "new"), LONG).await;
    let [new, old] = ["new", "old"].map(|name| Some(name.to_owned()));
    assert_eq!(named(&caches, [1, 2]).await, [new, old]);
}

/// What was read later is not overwritten by what was read before and comes late.
pub async fn a_copy_that_is_there_stays(make: Make) {
    let caches = make();
    put(&caches, profile(1, "first"), LONG).await;
    put(&caches, profile(1, "second"), LONG).await;
    assert_eq!(named(&caches, [1]).await, [Some("first".to_owned())]);
}

/// Of a key that was forgotten there is no copy, also when one comes late.
pub async fn what_was_forgotten_stays_out(make: Make) {
    assert!(FORGOTTEN > Duration::from_secs(5), "a case takes less");
    let caches = make();
    put(&caches, profile(1, "old"), LONG).await;
    put(&caches, profile(2, "old"), LONG).await;
    caches.profiles.forget(&users([1, 3])).await.unwrap();
    for number in [1, 3] {
        put(&caches, profile(number, "late"), LONG).await;
    }
    assert_eq!(named(&caches, [1, 2, 3]).await, [None, Some("old".to_owned()), None]);
}

/// No keys are no work.
pub async fn nothing_is_fine(make: Make) {
    let caches = make();
    assert_eq!(caches.profiles.get(&[]).await, Ok(vec![]));
    assert_eq!(caches.profiles.put(vec![], LONG).await, Ok(()));
    assert_eq!(caches.profiles.forget(&[]).await, Ok(()));
}

/// Many keys in one call.
pub async fn takes_hundreds_at_once(make: Make) {
    let caches = make();
    let all: Vec<_> = (0..500).map(user).collect();
    let copies = (0..500).map(|number| (user(number), profile(number, &number.to_string())));
    caches.profiles.put(copies.collect(), LONG).await.unwrap();
    let found = caches.profiles.get(&all).await.unwrap();
    for (number, found) in found.into_iter().enumerate() {
        assert_eq!(found, Some(profile(number as u64, &number.to_string())));
    }
}
