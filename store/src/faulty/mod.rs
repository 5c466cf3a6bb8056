//! A store around a store, whose calls come to grief as a [`Script`] says: late, refused, stalled,
//! answered with "unknown" after they took effect, or in part, or later.
//!
//! It never breaks the contract of the traits: what it does is what a slow disk, a lost answer or
//! a fail-over may do. For tests. What takes effect after its answer does so in a task beside the
//! caller's, so it wants a `LocalSet`; a node whose tasks are dropped writes nothing any more.

mod dirty;
mod log;
pub mod replica_set;
mod rooms;

use crate::{
    Store, StoreError,
    log::Appended,
    open::StoreControl,
    receipts,
    rooms::{NewRoom, RoomChanged},
};
use async_trait::async_trait;
use dirty::Tail;
use futures_util::future::BoxFuture;
use madang_protocol::{Entry, RoomId};
use madang_resilience::{Part, State};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

/// The calls that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Entries of the log.
    Append,
    /// Who is in a room.
    Change,
    /// Read positions in bulk.
    PutReads,
    /// Anything that is read.
    Read,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    /// Until it takes effect.
    pub before: Duration,
    /// What becomes of it.
    pub outcome: Outcome,
    /// From then until its answer.
    pub after: Duration,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It takes effect, and the answer says so.
    Done,
    /// It is refused; of an ordered command, from some place on.
    Refused {
        /// How much of the command takes effect.
        done: Share,
    },
    /// Nobody is told what became of it.
    Unknown {
        /// How much takes effect; what is in one piece does from [`Share::HALF`] on.
        done: Share,
        /// How much of that the answer to an ordered command tells.
        told: Share,
        /// When the rest of an ordered command takes effect, counted from then; `None`: never.
        rest: Option<Duration>,
    },
    /// The caller panics with it.
    Panic,
}

/// A part of an ordered command, in 255ths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u8);

impl Share {
    /// From here on what is in one piece counts as done.
    pub const HALF: Self = Self(128);

    /// So many of `count`.
    fn of(self, count: usize) -> usize {
        count * usize::from(self.0) / 255
    }
}

/// What took effect, just now.
#[derive(Debug)]
pub enum Effect<'a> {
    /// These were handed to the log, which did that much of them; true: after the answer.
    Appended(&'a [Entry], &'a Appended, bool),
    /// These reached a log that tells by itself what it committed; true: whoever handed them over
    /// does not wait any more.
    Arrived(&'a [Entry], bool),
    /// A room or its members changed.
    Changed(RoomId, &'a RoomChanged),
    /// A room was made, or found.
    Created(&'a NewRoom),
    /// Read positions were written.
    Read(&'a [receipts::Read]),
}

/// Decides what happens to calls, and is told what did.
pub trait Script: Send + Sync + 'static {
    /// A call begins.
    fn fate(&self, call: Call) -> Fate;

    /// True, against the contract: reads show what is in doubt and may be taken back.
    fn shows_uncommitted(&self) -> bool {
        false
    }

    /// Something took effect.
    fn took_effect(&self, effect: Effect<'_>);
}

/// `inner` as `script` lets it be. Closing closes this side only, so another life of a node may
/// take the same `inner` up again. Accounts are left alone.
pub fn around(inner: Store, script: Arc<dyn Script>) -> Store {
    faces(inner, script, None)
}

/// As [`around`], but commands of the log live by themselves: they are carried out by `elsewhere`,
/// and arrive although whoever handed them over was killed, or gave up after [`ANSWER_WITHIN`].
/// `inner` tells what it committed.
pub fn at_a_distance(inner: Store, script: Arc<dyn Script>, elsewhere: Elsewhere) -> Store {
    faces(inner, script, Some(elsewhere))
}

/// Carries something out, whoever asked for it.
pub type Elsewhere = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// A command without an answer for so long is in doubt.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

fn faces(inner: Store, script: Arc<dyn Script>, elsewhere: Option<Elsewhere>) -> Store {
    let accounts = inner.accounts.clone();
    let (tail, is_closed) = (Tail::default(), AtomicBool::new(false));
    let faulty = Arc::new(Faulty { inner, script, elsewhere, tail, is_closed });
    Store {
        log: faulty.clone(),
        rooms: faulty.clone(),
        receipts: faulty.clone(),
        accounts,
        control: faulty,
    }
}

/// See the module.
struct Faulty {
    inner: Store,
    script: Arc<dyn Script>,
    elsewhere: Option<Elsewhere>,
    /// Empty unless the script shows it.
    tail: Tail,
    is_closed: AtomicBool,
}

impl Faulty {
    /// Waits as the script says; what is left of its word.
    async fn begin(&self, call: Call) -> (Outcome, Duration) {
        let Fate { before, outcome, after } = self.script.fate(call);
        wait(before).await;
        if self.is_closed.load(Relaxed) {
            return (Outcome::Refused { done: Share(0) }, Duration::ZERO);
        }
        assert!(outcome != Outcome::Panic, "{INJECTED}");
        (outcome, after)
    }

    /// A call that reads.
    async fn read<T>(
        &self,
        read: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let (outcome, after) = self.begin(Call::Read).await;
        let answer = match outcome {
            Outcome::Done => read.await,
            _ => Err(refusal()),
        };
        wait(after).await;
        answer
    }

    /// A write in one piece. What is in doubt has happened or never will.
    async fn write<T>(
        &self,
        call: Call,
        write: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let (outcome, after) = self.begin(call).await;
        let answer = match outcome {
            Outcome::Done => write.await,
            Outcome::Unknown { done, .. } => {
                if done >= Share::HALF {
                    write.await?;
                }
                Err(unknown())
            }
            Outcome::Refused { .. } | Outcome::Panic => Err(refusal()),
        };
        wait(after).await;
        answer
    }
}

/// The words of a panic that was asked for.
pub const INJECTED: &str = "an injected fault";

async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn refusal() -> StoreError {
    StoreError::Unavailable("refused by the script".into())
}

fn unknown() -> StoreError {
    StoreError::Unknown("lost by the script".into())
}

#[async_trait]
impl StoreControl for Faulty {
    fn health(&self) -> Part {
        let state = if self.is_closed.load(Relaxed) { State::Down } else { State::Ok };
        Part { state, since: 0 }
    }

    async fn close(&self) {
        self.is_closed.store(true, Relaxed);
    }
}
