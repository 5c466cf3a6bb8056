//! Faults that can be put back, one at a time, to prove that the tests would find them.
//!
//! Compiled in with the feature `mutations` only, and even then all are off until a test asks for
//! one on its own thread: nothing outside the process can.

use std::cell::Cell;

/// What the name says, in place of what is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// A sender is answered when its message is handed to the store writer.
    AckBeforeCommit,
    /// So are the readers told.
    PublishBeforeCommit,
    /// A retry is answered from memory as soon as the first try was taken in.
    DedupeFilledOnAccept,
    /// A write in doubt counts as failed, and its numbers as used.
    BurntSeq,
    /// Half of a command is written beside the other half.
    TwoWritesInFlight,
    /// An audience goes on behind a hole.
    NoHoleRepair,
    /// The end of a membership is told to nobody.
    LostMemberChange,
    /// What was in doubt is tried again behind what came later.
    LateRetryOvertakes,
    /// A read position takes the last word for the highest.
    ReceiptGoesDown,
    /// A node that ends does not write what it has gathered.
    DrainDropsBatch,
    /// A place that another home took is thought to be one's own.
    NoFence,
    /// What stands behind a message that the store knew already keeps its number. Nothing is known of
    /// what was sent before, so that there are such messages.
    TailKeepsNumbers,
    /// A write in doubt counts as done where there is a message at its place, whosever.
    ReadBackBySeq,
    /// A lane sends what came later while what came before has no answer.
    LaneDoesNotWait,
    /// Whatever is known is told, however long the node did not hear itself.
    NeverStale,
    /// Nobody asks homes, or looks into the store, for what readers missed.
    NoNoticing,
    /// A room does not look again for what may have been written late.
    NoRecheck,
    /// How far the changes of a room are is looked at after they were read.
    HeadsReadLast,
    /// A change counts by its own number, though messages before it did not come yet.
    ChangedCountedEarly,
}

thread_local! {
    static ON: Cell<Option<Mutation>> = const { Cell::new(None) };
}

/// Puts a fault back on this thread; `None`: all is right again.
pub fn put_back(mutation: Option<Mutation>) {
    ON.set(mutation);
}

/// It was put back.
pub(crate) fn is_on(mutation: Mutation) -> bool {
    ON.get() == Some(mutation)
}
