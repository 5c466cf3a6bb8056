//! A cache that dies does not send the crowd to the store.

use crate::rig::{self, ANSWERED_WITHIN};
use futures_util::future::join_all;
use madang_protocol::SessionId;
use madang_servers::{
    proxy::{Mode, Proxy},
    redis,
};
use madang_store::{
    accounts::{Profile, Session},
    cache::{Caches, Forget, Readers},
    conformance::fixtures::{token_hash, user},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A store that counts its calls, and takes its time.
#[derive(Clone, Default)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    async fn profile(&self, readers: &Readers) -> Vec<Profile> {
        let calls = self.0.clone();
        let load = move |users: Vec<_>| async move {
            calls.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
            let profile =
                |user| Profile { user, username: "u".to_owned(), display_name: "U".to_owned() };
            Ok(users.into_iter().map(profile).collect())
        };
        readers.profiles(vec![user(1)], load).await.unwrap()
    }

    fn calls(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A thousand at once; all are answered.
async fn crowd(readers: &Readers, store: &Counted) -> Duration {
    let began = Instant::now();
    let found = join_all((0..1_000).map(|_| store.profile(readers))).await;
    assert!(found.iter().all(|found| found.len() == 1));
    began.elapsed()
}

#[tokio::test]
async fn a_thousand_identical_reads_are_one_store_call_whatever_the_cache_does() {
    let server = redis::alone().await;
    let proxy = Proxy::start(server.address()).await;
    let caches = rig::at(proxy.address()).caches;
    let (readers, store) = (Readers::new(caches.clone()), Counted::default());
    crowd(&readers, &store).await;
    assert_eq!(store.calls(), 1, "nothing was cached");
    filled(&caches).await;
    crowd(&readers, &store).await;
    assert_eq!(store.calls(), 0, "it is cached");

    proxy.set(Mode::Blackhole);
    let took = crowd(&readers, &store).await;
    assert_eq!(store.calls(), 1, "the cache is silent");
    assert!(took < ANSWERED_WITHIN + Duration::from_millis(300), "{took:?}");
    for _ in 0..6 {
        crowd(&readers, &store).await;
    }
    assert_eq!(store.calls(), 6, "the breaker is open");

    proxy.set(Mode::Cut);
    crowd(&readers, &store).await;
    assert_eq!(store.calls(), 1, "the cache is gone");
}

/// Copies are put in behind the answer.
async fn filled(caches: &Caches) {
    madang_servers::wait::until("a copy is put in", madang_servers::wait::SOON, || async {
        let found = caches.profiles.get(&[user(1)]).await;
        matches!(found.as_deref(), Ok([Some(_)])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_is_not_read_from_a_copy() {
    let (url, cluster) = (redis::url(rig::alone()), rig::fresh());
    let [here, there] =
        [(); 2].map(|()| Readers::new(rig::open(&url, &cluster, rig::RULES).caches));
    let session = Session { session: SessionId([3; 15]), user: user(1), expires_at: 9_000 };
    let alive = move || async move { Ok(Some(session)) };
    let ended = || async { Ok(None) };
    assert_eq!(here.session(token_hash(1), 1_000, alive).await, Ok(Some(session)));
    madang_servers::wait::until("a copy", madang_servers::wait::SOON, || async {
        (there.session(token_hash(1), 1_000, ended).await == Ok(Some(session))).then_some(())
    })
    .await;
    assert_eq!(there.session(token_hash(1), 9_000, ended).await, Ok(None), "it has expired");
    let forget = Forget { sessions: vec![session.session], ..Forget::default() };
    there.forget(&forget).await;
    assert_eq!(there.session(token_hash(1), 1_000, ended).await, Ok(None));
    assert_eq!(here.session(token_hash(1), 1_000, ended).await, Ok(Some(session)), "not told");
    here.forget(&forget).await;
    assert_eq!(here.session(token_hash(1), 1_000, ended).await, Ok(None));
}

#[tokio::test]
async fn a_profile_that_changed_is_read_anew_also_while_the_cache_is_away() {
    let server = redis::alone().await;
    let proxy = Proxy::start(server.address()).await;
    let readers = Readers::new(rig::at(proxy.address()).caches);
    let named = |name: &'static str| {
        let profile = Profile { user: user(1), username: String::new(), display_name: name.into() };
        let readers = readers.clone();
        async move {
            let found = readers.profiles(vec![user(1)], |_| async { Ok(vec![profile]) }).await;
            found.unwrap().remove(0).display_name
        }
    };
    assert_eq!(named("old").await, "old");
    madang_servers::wait::until("a copy", madang_servers::wait::SOON, || async {
        (named("new").await == "old").then_some(())
    })
    .await;
    proxy.set(Mode::Blackhole);
    readers.forget(&Forget { profiles: vec![user(1)], ..Forget::default() }).await;
    proxy.set(Mode::Forward);
    for _ in 0..20 {
        assert_eq!(named("new").await, "new");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
