//! Who joins whom, and what is believed.

use super::*;
use crate::{
    accounts::Profile,
    cache::{InProcess, Nothing},
    conformance::fixtures::user,
};
use futures_util::{FutureExt, future::pending};
use madang_protocol::UserId;
use tokio::sync::oneshot;

type Loaded = Result<Vec<Option<Profile>>, StoreError>;

fn profile(name: &str) -> Option<Profile> {
    Some(Profile { user: user(1), username: String::new(), display_name: name.to_owned() })
}

/// What is found of user 1, when the store says `name`.
async fn read(copies: &LookAside<UserId>, name: &'static str) -> Option<String> {
    let load = move |_| async move { Ok(vec![profile(name)]) };
    let mut found = copies.get(vec![user(1)], |_| true, load).await.unwrap();
    found.pop().flatten().map(|profile| profile.display_name)
}

/// A read whose answer the test gives.
async fn begun(
    copies: &LookAside<UserId>,
) -> (oneshot::Sender<Loaded>, impl Future<Output = Loaded> + use<>) {
    let ((sender, answer), (asked, is_asked)) = (oneshot::channel(), oneshot::channel());
    let load = move |_| async move {
        asked.send(()).unwrap();
        answer.await.unwrap()
    };
    let copies = copies.clone();
    let read = async move { copies.get(vec![user(1)], |_| true, load).await };
    let read = tokio::spawn(read).map(Result::unwrap);
    is_asked.await.unwrap();
    (sender, read)
}

async fn settled() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_answers_until_it_ends() {
    let copies = LookAside::new(Arc::new(InProcess::new()));
    assert_eq!(read(&copies, "first").await.as_deref(), Some("first"));
    settled().await;
    tokio::time::advance(TTL - Duration::from_millis(1)).await;
    assert_eq!(read(&copies, "second").await.as_deref(), Some("first"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(read(&copies, "second").await.as_deref(), Some("second"));
}

/// It was begun before the change was committed, and comes back after others were told.
#[tokio::test(start_paused = true)]
async fn a_read_that_is_late_is_joined_and_believed_by_nobody_who_knows_better() {
    let copies = LookAside::new(Arc::new(InProcess::new()));
    let (answer, late) = begun(&copies).await;
    copies.forget(&[user(1)]).await;
    assert_eq!(read(&copies, "new").await.as_deref(), Some("new"), "not joined");
    answer.send(Ok(vec![profile("old")])).unwrap();
    assert_eq!(late.await, Ok(vec![profile("old")]), "whoever asked before");
    settled().await;
    assert_eq!(read(&copies, "newer").await.as_deref(), Some("newer"), "nothing was put in");
    tokio::time::advance(FORGOTTEN).await;
    assert_eq!(read(&copies, "newest").await.as_deref(), Some("newest"));
    settled().await;
    assert_eq!(read(&copies, "later").await.as_deref(), Some("newest"), "copies are made again");
}

#[tokio::test(start_paused = true)]
async fn what_took_long_to_read_makes_no_copy() {
    let copies = LookAside::new(Arc::new(InProcess::new()));
    let (answer, slow) = begun(&copies).await;
    tokio::time::advance(LOAD_LONGEST).await;
    answer.send(Ok(vec![profile("old")])).unwrap();
    assert_eq!(slow.await, Ok(vec![profile("old")]));
    settled().await;
    assert_eq!(read(&copies, "new").await.as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_to_all_and_kept_by_nobody() {
    let copies = LookAside::new(Arc::new(InProcess::new()));
    let (answer, first) = begun(&copies).await;
    let joined = copies.get(vec![user(1)], |_| true, |_| async { panic!("it joins") });
    answer.send(Err(StoreError::Overloaded)).unwrap();
    assert_eq!(
        tokio::join!(first, joined),
        (Err(StoreError::Overloaded), Err(StoreError::Overloaded))
    );
    assert_eq!(read(&copies, "then").await.as_deref(), Some("then"));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_panics_leaves_nobody_waiting() {
    let copies: LookAside<UserId> = LookAside::new(Arc::new(Nothing));
    let dies = copies.get(vec![user(1)], |_| true, |_| async { panic!("on purpose") });
    assert!(matches!(dies.await, Err(StoreError::Unavailable(_))));
    assert_eq!(read(&copies, "then").await.as_deref(), Some("then"));
}

/// A cache that never has done what it is told to put in.
struct Slow;

#[async_trait::async_trait]
impl Cache<UserId> for Slow {
    async fn get(&self, keys: &[UserId]) -> Result<Vec<Option<Profile>>, StoreError> {
        Ok(vec![None; keys.len()])
    }

    async fn put(&self, _: Vec<(UserId, Profile)>, _: Duration) -> Result<(), StoreError> {
        pending().await
    }

    async fn forget(&self, _: &[UserId]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_before_a_copy_is_put_in_joins_the_read_it_is_made_of() {
    let copies = LookAside::new(Arc::new(Slow));
    assert_eq!(read(&copies, "first").await.as_deref(), Some("first"));
    settled().await;
    assert_eq!(read(&copies, "second").await.as_deref(), Some("first"));
    copies.forget(&[user(1)]).await;
    assert_eq!(read(&copies, "third").await.as_deref(), Some("third"), "not once it is untrue");
    let nobody = |_| async { Ok(vec![None]) };
    let found = copies.get(vec![user(2)], |_| true, nobody).await;
    assert_eq!(found, Ok(vec![None]));
    settled().await;
    let somebody = |_| async { Ok(vec![profile("new")]) };
    let found = copies.get(vec![user(2)], |_| true, somebody).await;
    assert_eq!(found, Ok(vec![profile("new")]), "of nothing there is no copy");
}

#[tokio::test(start_paused = true)]
async fn copies_that_are_there_are_believed_no_more_when_anything_may_have_been_missed() {
    let copies = LookAside::new(Arc::new(InProcess::new()));
    assert_eq!(read(&copies, "first").await.as_deref(), Some("first"));
    settled().await;
    copies.disbelieve_all();
    assert_eq!(read(&copies, "second").await.as_deref(), Some("second"));
    tokio::time::advance(COPIES_GONE).await;
    assert_eq!(read(&copies, "third").await.as_deref(), Some("third"));
    settled().await;
    assert_eq!(read(&copies, "fourth").await.as_deref(), Some("third"), "copies are made again");
}

#[tokio::test(start_paused = true)]
async fn reads_under_way_are_bounded() {
    let copies: LookAside<UserId> = LookAside::new(Arc::new(Nothing));
    let ask = |number| {
        let copies = copies.clone();
        async move { copies.get(vec![user(number)], |_| true, |_| pending()).await }
    };
    for number in 0..FLIGHTS_MAX as u64 {
        assert!(ask(number).now_or_never().is_none());
    }
    assert_eq!(ask(999_999).await, Err(StoreError::Overloaded));
    assert!(ask(3).now_or_never().is_none(), "who joins takes no place");
}
