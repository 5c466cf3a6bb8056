//! [`crate::Transfer`] on MongoDB.
//!
//! The trait waits where it is called, the driver wants a runtime: so each transfer has a thread
//! with a runtime of its own, and lines go between the two through a short queue.
//!
//! | file | holds |
//! |---|---|
//! | [`export`] | one snapshot as lines |
//! | [`import`] | lines as documents: the mark meanwhile, and taking back what was begun |
//! | [`batch`] | documents that are written together; [`checks`]: what they must agree with |
//! | [`document`] | messages and changes as documents |

mod batch;
mod checks;
mod document;
mod export;
mod import;

use super::Mongo;
use crate::{
    StoreError,
    cluster::{ClusterError, ClusterOptions},
    metrics::Metrics,
    transfer::{Line, Lines, Numbered, Sink, TransferError},
};
use std::{
    future::Future,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

/// Lines that go through the queue together.
const LINES_TOGETHER: usize = 500;
/// Such groups in the queue at most; whoever is faster waits.
const GROUPS_MAX: usize = 2;

/// The data of a database.
pub(crate) struct Transfer(ClusterOptions);

/// What the importing thread is told.
enum Fed {
    Lines(Vec<Numbered>),
    /// There are no more. Without this word the import is taken back.
    End,
}

impl Transfer {
    pub(crate) fn new(options: ClusterOptions) -> Self {
        Self(options)
    }
}

impl crate::Transfer for Transfer {
    fn export(&self, sink: &mut Sink<'_>) -> Result<(), TransferError> {
        let (sender, receiver) = sync_channel(GROUPS_MAX);
        thread::scope(|scope| {
            let worker = scope.spawn(move || wait_for(export_to(&self.0, sender)));
            let sunk = receiver.into_iter().flatten().try_for_each(sink);
            sunk.and(worker.join().unwrap_or_else(|_| Err(broken())))
        })
    }

    fn import(&self, lines: &mut Lines<'_>) -> Result<(), TransferError> {
        let (sender, receiver) = sync_channel(GROUPS_MAX);
        thread::scope(|scope| {
            let worker = scope.spawn(move || wait_for(import_from(&self.0, receiver)));
            let fed = feed(lines, &sender);
            drop(sender);
            let imported = worker.join().unwrap_or_else(|_| Err(broken()));
            match (fed, imported) {
                // A line before the one that could not be read.
                (Err(_), Err(refused @ TransferError::Line { .. })) => Err(refused),
                (fed, imported) => fed.and(imported),
            }
        })
    }
}

/// Hands lines on until there are none, one is unusable, or nobody takes them any more; whoever
/// took them says why.
fn feed(lines: &mut Lines<'_>, sender: &SyncSender<Fed>) -> Result<(), TransferError> {
    loop {
        let mut group = Vec::with_capacity(LINES_TOGETHER);
        let read = fill(lines, &mut group);
        let is_last = group.len() < LINES_TOGETHER;
        if sender.send(Fed::Lines(group)).is_err() {
            return Ok(());
        }
        read?;
        if is_last {
            let _ = sender.send(Fed::End);
            return Ok(());
        }
    }
}

/// The next lines, fewer than [`LINES_TOGETHER`] if there are no more; those before one that is
/// unusable stay.
fn fill(lines: &mut Lines<'_>, group: &mut Vec<Numbered>) -> Result<(), TransferError> {
    for line in lines.take(LINES_TOGETHER) {
        group.push(line?);
    }
    Ok(())
}

async fn export_to(
    options: &ClusterOptions,
    sender: SyncSender<Vec<Line>>,
) -> Result<(), TransferError> {
    let store = open(options).await?;
    let exported = export::export(&store, sender).await;
    close(store).await;
    exported
}

async fn import_from(
    options: &ClusterOptions,
    receiver: Receiver<Fed>,
) -> Result<(), TransferError> {
    let store = open(options).await?;
    let imported = import::import(&store, receiver).await;
    close(store).await;
    imported
}

/// The store, with the one connection that a transfer needs.
async fn open(options: &ClusterOptions) -> Result<Mongo, ClusterError> {
    let options = ClusterOptions { connections_warm: 1, ..options.clone() };
    Mongo::open(options, Metrics::new()).await
}

async fn close(store: Mongo) {
    store.database.client().clone().shutdown().immediate(true).await;
}

fn wait_for<T>(body: impl Future<Output = Result<T, TransferError>>) -> Result<T, TransferError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(body)
}

fn broken() -> TransferError {
    StoreError::Unavailable("the thread of the transfer panicked".into()).into()
}
