//! Full and slow: what those who ask are told.

use super::*;
use crate::{
    batcher::{Connected, LastSeen, Online, ReadPositions},
    kernel::{Address, Reply, arbiter::run_system, start_unsupervised},
    metrics::Metrics,
};
use futures_util::{FutureExt, future::join_all};
use madang_protocol::ErrorCode;
use madang_store::{Options, cache::Caches, presence::InProcess};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

fn room(number: usize) -> RoomId {
    RoomId([u8::try_from(number).expect("few"); 15])
}

/// Asks an inbox that nobody works off.
fn unanswered(bound: usize) -> (Address<Ask>, Reader) {
    let actor = Address::detached(bound);
    let online = Online::new(Connected::new(LastSeen::off()), Arc::new(InProcess::new()));
    let (positions, wait) = (ReadPositions::new(), Duration::from_secs(5));
    let reader = Reader::new(actor.clone(), wait, positions, online, LastSeen::off());
    (actor, reader)
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_is_overloaded_at_once_and_a_slow_one_unavailable_in_time() {
    let (_actor, reader) = unanswered(2);
    let asked = (0..3).map(|number| reader.view(room(number), UserId([1; 15])));
    let codes: Vec<_> =
        join_all(asked).await.into_iter().map(|found| found.map_err(|why| why.code)).collect();
    let [Err(ErrorCode::Unavailable), Err(ErrorCode::Unavailable), Err(ErrorCode::Overloaded)] =
        codes[..]
    else {
        panic!("{codes:?}");
    };
}

#[tokio::test(start_paused = true)]
async fn rooms_that_begin_together_leave_place_for_other_reads() {
    let (actor, reader) = unanswered(100);
    let begin = (0..50).map(|number| reader.activate(room(number), 1));
    let mut begin = Box::pin(join_all(begin));
    assert!(begin.as_mut().now_or_never().is_none());
    assert_eq!(actor.depth(), ACTIVATIONS_MAX);
    // None is answered: all give up in time, those that had no turn as well.
    let given_up = begin.await;
    assert!(given_up.iter().all(Result::is_err));
}

#[tokio::test(start_paused = true)]
async fn identical_reads_beside_a_cache_are_one_however_many_and_the_cache_has_none() {
    let (actor, reader) = unanswered(INBOX_BOUND);
    let reader = reader.beside(Caches::nothing(), Arc::new(Metrics::new()));
    let asked = (0..1_000).map(|_| reader.session([7; 32], 1));
    let mut asked = Box::pin(join_all(asked));
    assert!(asked.as_mut().now_or_never().is_none());
    tokio::task::yield_now().await;
    assert_eq!(actor.depth(), 1);
    let codes = asked.await.into_iter().map(|found| found.unwrap_err().code);
    assert!(codes.into_iter().all(|code| code == ErrorCode::Unavailable));

    // Without a cache all are asked, and it is the actor who merges those that wait.
    let (actor, reader) = unanswered(INBOX_BOUND);
    let asked = (0..1_000).map(|_| reader.session([7; 32], 1));
    assert!(join_all(asked).now_or_never().is_none());
    assert_eq!(actor.depth(), 1_000);
}

/// Reads that wait for `may_end` and count themselves.
#[test]
fn so_many_reads_are_under_way() {
    let directory = std::env::temp_dir().join(format!("madang-reads-{}", std::process::id()));
    let store = madang_store::open(Options::in_directory(&directory)).expect("an empty store");
    let (under_way, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    run_system(async {
        let build = |_: &_| StoreReader::new(store.clone(), Arc::new(Metrics::new()));
        let actor = start_unsupervised(INBOX_BOUND, build);
        let answers: Vec<_> = (0..CONCURRENT_MAX + 10)
            .map(|number| {
                let (reply, answer) = Reply::channel();
                let (under_way, may_end) = (under_way.clone(), may_end.clone());
                let call = Box::new(move |_| {
                    let read = async move {
                        under_way.fetch_add(1, Ordering::Relaxed);
                        may_end.acquire().await.expect("not closed").forget();
                        Ok(Arc::new(()) as Arc<dyn std::any::Any + Send + Sync>)
                    };
                    Box::pin(read) as std::pin::Pin<Box<dyn Future<Output = ErasedAnswer>>>
                });
                let ask = Ask::Query(
                    Query::Activate(room(number)),
                    call,
                    reply,
                    std::time::Instant::now(),
                );
                assert!(actor.try_send(ask).is_ok());
                answer
            })
            .collect();
        while under_way.load(Ordering::Relaxed) < CONCURRENT_MAX {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(under_way.load(Ordering::Relaxed), CONCURRENT_MAX);
        may_end.add_permits(CONCURRENT_MAX + 10);
        join_all(answers).await;
    });
    assert_eq!(under_way.load(Ordering::Relaxed), CONCURRENT_MAX + 10);
    drop(store);
    std::fs::remove_dir_all(directory).expect("it was made");
}
