//! A commit of the embedded store: checks, indexes, the writer's thread, the answer. Beside it the same
//! records put under the same keys into a file of the same kind, by a loop that does nothing else.

use crate::{
    pairs::{Comparison, compare},
    targets::{batch_of, commit, make_store_rooms},
};
use madang_protocol::{Entry, RoomId};
use madang_store::{BareLog, Options};
use std::time::{Duration, Instant};

/// Rooms that the messages of a commit are spread over.
const ROOMS: usize = 8;
const BODY_BYTES: usize = 128;

/// What is appended, by each commit.
type Commits = Vec<Vec<Entry>>;

/// Time for one message, in commits of so many. Both wait for the disk beneath the directory for
/// temporary files. `operations` is rounded up to whole commits.
pub fn commits(batch: u32, pairs: usize, operations: u32) -> Comparison {
    let rounds = operations.div_ceil(batch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime without threads");
    let store = |_| runtime.block_on(through_the_store(batch, rounds));
    compare(pairs, rounds * batch, store, |_| through_a_loop(batch, rounds))
}

async fn through_the_store(batch: u32, rounds: u32) -> Duration {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let store = madang_store::open(Options::in_directory(directory.path()));
    let store = store.expect("an empty directory will do");
    let rooms = make_store_rooms(&store, ROOMS).await.expect("an empty store takes rooms");
    let commits = commits_of(rooms, batch, rounds);
    let begun = Instant::now();
    for entries in commits {
        commit(&store, entries).await.expect("it is committed");
    }
    let took = begun.elapsed();
    store.control.close().await;
    took
}

fn through_a_loop(batch: u32, rounds: u32) -> Duration {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let log = BareLog::create(&directory.path().join("bare")).expect("an empty directory will do");
    let room = |number: usize| (RoomId([number as u8; 15]), 0);
    let commits = commits_of((0..ROOMS).map(room).collect(), batch, rounds);
    let begun = Instant::now();
    for entries in &commits {
        log.commit(entries.iter()).expect("it is committed");
    }
    begun.elapsed()
}

fn commits_of(mut rooms: Vec<(RoomId, u64)>, batch: u32, rounds: u32) -> Commits {
    let (batch, rounds) = (u64::from(batch), u64::from(rounds));
    let of_round = |round| batch_of(&mut rooms, round * batch, batch, BODY_BYTES);
    (0..rounds).map(of_round).collect()
}
