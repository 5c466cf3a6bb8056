//! What jobs can do to one another: nothing.

use super::super::{
    engine::Engine,
    tables::Logins,
    transaction::{Read, Tables},
};
use super::*;
use crate::{
    Options,
    conformance::fixtures::user,
    metrics::Call,
    open::{Medium, StorageFactory},
};
use ::redb::{StorageBackend, backends::InMemoryBackend};
use futures_util::{FutureExt, future::join_all};
use std::sync::{Mutex, mpsc};

fn engine() -> Engine {
    engine_with_queue(8)
}

fn engine_with_queue(queue_jobs_max: usize) -> Engine {
    let factory: StorageFactory =
        Arc::new(|_| Ok(Box::new(InMemoryBackend::new()) as Box<dyn StorageBackend>));
    let options = Options { queue_jobs_max, ..Options::on(Medium::Storage(factory)) };
    Engine::open(&options).unwrap()
}

/// What is written here: nothing about the file itself.
const WRITE: Call = Call::TouchSessions;

/// Any record will do: a number under a number.
fn put(tables: &mut Tables<'_>, key: u64, number: u64) -> Result<(), StoreError> {
    tables.put::<Logins>(&(user(key), [0; 16]), &number)
}

fn get(engine: &Engine, key: u64) -> Option<u64> {
    engine.read(Call::Probe, |snapshot| snapshot.get::<Logins>(&(user(key), [0; 16]))).unwrap()
}

/// A job that keeps the writer busy until the sender is used or dropped. Returns once it runs.
fn block(engine: &Engine) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    let (start, started) = mpsc::channel();
    let released = Mutex::new(released);
    engine.write_later(Call::Probe, move |_| {
        let _ = start.send(());
        let _ = released.lock().unwrap().recv();
        Ok(())
    });
    started.recv().unwrap();
    release
}

#[tokio::test]
async fn a_job_that_fails_or_panics_spoils_no_other() {
    let engine = engine();
    let before = engine.commits();
    let blocked = block(&engine);
    let failure = || StoreError::Damaged { table: "logins", detail: "pretended".into() };
    type Body = Box<dyn FnMut(&mut Tables<'_>) -> Result<(), StoreError> + Send>;
    let bodies: Vec<Body> = vec![
        Box::new(|tables| put(tables, 1, 10)),
        Box::new(move |_| Err(failure())),
        Box::new(move |tables| put(tables, 1, 11).and(put(tables, 2, 20)).and(Err(failure()))),
        Box::new(|tables| {
            put(tables, 3, 30)?;
            panic!("pretended")
        }),
        Box::new(|tables| put(tables, 4, 40)),
    ];
    let answers = bodies.into_iter().map(|body| engine.write(WRITE, body));
    let mut answers = Box::pin(join_all(answers));
    assert!(answers.as_mut().now_or_never().is_none(), "they wait for the writer");
    drop(blocked);
    let answers = answers.await;
    assert_eq!((&answers[0], &answers[4]), (&Ok(()), &Ok(())));
    assert_eq!((&answers[1], &answers[2]), (&Err(failure()), &Err(failure())));
    assert!(matches!(answers[3], Err(StoreError::Unavailable(_))), "{answers:?}");
    let found: Vec<_> = (1..=4).map(|key| get(&engine, key)).collect();
    assert_eq!(found, [Some(10), None, None, Some(40)]);
    assert_eq!(engine.commits() - before, 2, "the blocking job, and the others together");
    assert_eq!(engine.write(WRITE, |tables| put(tables, 5, 50)).await, Ok(()));
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_reads_go_on() {
    let engine = engine();
    engine.write(WRITE, |tables| put(tables, 1, 10)).await.unwrap();
    let blocked = block(&engine);
    let queued = (0..8).map(|key| engine.write(WRITE, move |tables| put(tables, key, 1)));
    let mut queued = Box::pin(join_all(queued));
    assert!(queued.as_mut().now_or_never().is_none(), "they wait for the writer");
    let refused = engine.write(Call::Probe, |_| Ok(())).now_or_never();
    assert_eq!(refused, Some(Err(StoreError::Overloaded)));
    assert_eq!(get(&engine, 1), Some(10));
    drop(blocked);
    assert!(queued.await.iter().all(Result::is_ok));
    assert_eq!(get(&engine, 7), Some(1));
}

#[tokio::test]
async fn a_transaction_takes_so_many_jobs() {
    let engine = engine_with_queue(2 * BATCH_JOBS_MAX);
    let before = engine.commits();
    let blocked = block(&engine);
    let jobs = (0..=BATCH_JOBS_MAX as u64)
        .map(|key| engine.write(WRITE, move |tables| put(tables, key, 1)));
    let mut jobs = Box::pin(join_all(jobs));
    assert!(jobs.as_mut().now_or_never().is_none(), "they wait for the writer");
    drop(blocked);
    assert!(jobs.await.iter().all(Result::is_ok));
    assert_eq!(engine.commits() - before, 3, "the blocking job, so many, and the one beyond them");
}

#[tokio::test]
async fn one_whose_thread_may_wait_commits_in_its_own_turn() {
    let engine = engine();
    for number in 1..=3 {
        let write = engine.gather_here(WRITE, move |tables| put(tables, 1, number));
        assert_eq!(write.now_or_never(), Some(Ok(())));
        assert_eq!(get(&engine, 1), Some(number));
    }
    assert_eq!(engine.write(WRITE, |tables| put(tables, 1, 4)).await, Ok(()));
    assert_eq!(engine.commits(), 4, "the thread has let go of the writer");
    let failed = engine.gather_here(WRITE, |tables| put(tables, 1, 5).and(Err(resting())));
    assert_eq!(failed.now_or_never(), Some(Err::<(), _>(resting())));
    assert_eq!(get(&engine, 1), Some(4));
}

#[tokio::test]
async fn it_does_not_pass_by_who_came_before() {
    let engine = engine();
    let blocked = block(&engine);
    let mut first = Box::pin(engine.write(WRITE, |tables| put(tables, 1, 1)));
    assert!(first.as_mut().now_or_never().is_none());
    let second = |tables: &mut Tables<'_>| {
        let first = tables.get::<Logins>(&(user(1), [0; 16]))?;
        put(tables, 2, first.unwrap_or(0) + 1)
    };
    let mut second = Box::pin(engine.gather_here(WRITE, second));
    assert!(second.as_mut().now_or_never().is_none(), "the writer is at work");
    drop(blocked);
    assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    assert_eq!(get(&engine, 2), Some(2));
}

#[tokio::test]
async fn closing_finishes_what_is_queued() {
    let engine = engine();
    let blocked = block(&engine);
    let mut queued = Box::pin(engine.write(Call::Probe, |_| Ok(7)));
    assert!(queued.as_mut().now_or_never().is_none());
    let mut close = Box::pin(engine.close());
    assert!(close.as_mut().now_or_never().is_none());
    let late = || {
        let late = engine.write(Call::Probe, |_| Ok(())).now_or_never();
        [late, engine.gather_here(Call::Probe, |_| Ok(())).now_or_never()]
    };
    let is_refused = |late: &Option<Result<(), StoreError>>| {
        matches!(late, Some(Err(StoreError::Unavailable(_))))
    };
    assert!(late().iter().all(is_refused));
    drop(blocked);
    assert_eq!(queued.await, Ok(7));
    close.await;
    assert!(late().iter().all(is_refused));
}
