//! A set that takes connections and what is said to it, and gives no answers.

use futures_util::future::{BoxFuture, join_all};
use madang_servers::{ReplicaSet, proxy::Mode, wait};
use madang_store::{
    ClusterOptions, Store, StoreError,
    accounts::ProfileKeys,
    cache::{Caches, Readers},
    conformance::fixtures::{
        make_group, message, new_direct, new_session, new_user, room, token_hash, user,
    },
    log::Stopped,
    open_cluster,
    rooms::RoomChange,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// The name of the one to whom the set is silent.
const NAME: &str = "unheard";
/// Calls that fail before no more are asked.
const FAILURES: usize = 5;
/// How long one of them may take here.
const READ_TIMEOUT: Duration = Duration::from_millis(300);
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);
/// What is refused without being asked takes less; so many of a hundred may not, on a busy machine.
const AT_ONCE: Duration = Duration::from_millis(50);
const LATE_PERCENT_MAX: usize = 3;
/// Users who ask again and again, and how long.
const CALLERS: usize = 20;
const WATCHED: Duration = Duration::from_secs(3);
/// One call a second tries.
const PROBES_MAX: usize = 4;
/// Between two calls of one of them.
const PACE: Duration = Duration::from_millis(5);

/// A store to which the set is silent from now on.
struct Stage {
    set: ReplicaSet,
    store: Store,
}

impl Stage {
    async fn set() -> Self {
        let set = ReplicaSet::behind_proxies().await;
        let options = ClusterOptions {
            read_timeout: READ_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            ..ClusterOptions::at(format!("{}&appName={NAME}", set.uri()), "chat")
        };
        let store = open_cluster(options).await.expect("a store");
        make_group(&store, 1).await;
        read(&store, "user1").await.expect("an answer");
        set.set_for(NAME, Mode::Blackhole);
        Self { set, store }
    }

    /// How often it was asked for this.
    fn asked(&self, what: &str) -> usize {
        self.set.swallowed(what.as_bytes())
    }

    /// A thousand who want the same are one.
    async fn a_thousand_ask_once(&self) {
        let readers = Readers::new(Caches::nothing());
        let ask = || {
            let accounts = self.store.accounts.clone();
            let named = ProfileKeys::Usernames(vec!["thousand".into()]);
            readers.profiles(vec![user(1)], move |_| async move { accounts.profiles(named).await })
        };
        let answers = join_all((0..1_000).map(|_| ask())).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!(self.asked("thousand"), 1);
    }

    /// Nobody waits but those that try, and these are few.
    async fn nobody_waits_to_read(&self) {
        let until = Instant::now() + WATCHED;
        let caller = async |store: Store| {
            let mut took = Vec::new();
            while Instant::now() < until {
                took.push(refused(read(&store, "crowd")).await);
                tokio::time::sleep(PACE).await; // its pace
            }
            took
        };
        let took = join_all((0..CALLERS).map(|_| caller(self.store.clone()))).await.concat();
        let late = took.iter().filter(|took| **took > AT_ONCE).count();
        let asked = self.asked("crowd");
        println!("{} calls, {late} waited, {asked} reached it", took.len());
        assert!(asked <= PROBES_MAX, "{asked} calls reached it");
        assert!(late * 100 <= took.len() * LATE_PERCENT_MAX, "{late} of {} waited", took.len());
    }

    /// The same of what a user wants changed, rooms' messages excepted.
    async fn nobody_waits_to_write(&self) {
        let (accounts, rooms) = (&self.store.accounts, &self.store.rooms);
        let writes: [BoxFuture<'_, Result<(), StoreError>>; 6] = [
            Box::pin(async { accounts.create_users(vec![new_user(77)]).await.map(drop) }),
            Box::pin(async { accounts.start_session(new_session(77, 1, 9), 1).await.map(drop) }),
            Box::pin(accounts.end_session(token_hash(1))),
            Box::pin(async { accounts.set_display_name(user(1), "A".into()).await.map(drop) }),
            Box::pin(async { rooms.create(new_direct(77, 1, 2)).await.map(drop) }),
            Box::pin(async { rooms.change(room(1), user(9), RoomChange::Join, 9).await.map(drop) }),
        ];
        let took = join_all(writes.map(refused)).await;
        let late = took.iter().filter(|took| **took > AT_ONCE).count();
        assert!(late <= 1, "but for the one that tries: {took:?}");
    }

    /// What was sent to a room is tried all the same: it is in doubt, and its senders wait.
    async fn sends_are_tried(&self) {
        let began = Instant::now();
        let message = madang_protocol::Entry::Message(Arc::new(message(1, 1, 1)));
        let answer = self.store.log.append(vec![message]).await;
        assert!(matches!(answer.stopped, Some(Stopped::Unknown(_))), "{answer:?}");
        assert!(began.elapsed() >= WRITE_TIMEOUT, "{:?}", began.elapsed());
    }
}

async fn read(store: &Store, name: &str) -> Result<(), StoreError> {
    store.accounts.credentials(name.into()).await.map(drop)
}

/// How long it took to be told that the store is not there.
async fn refused(call: impl Future<Output = Result<(), StoreError>>) -> Duration {
    let began = Instant::now();
    let answer = call.await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_set_that_is_silent() {
    let stage = Stage::set().await;
    stage.a_thousand_ask_once().await;
    for _ in 1..FAILURES {
        refused(read(&stage.store, "first")).await;
    }
    stage.nobody_waits_to_write().await;
    stage.nobody_waits_to_read().await;
    stage.sends_are_tried().await;
    stage.set.set_for(NAME, Mode::Forward);
    let again = async || read(&stage.store, "user1").await.ok();
    wait::until("it is asked again", wait::SOON, again).await;
}
