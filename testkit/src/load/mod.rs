//! Load with a memory: writers and readers that live through restarts of the node, or go to another
//! one of its cluster, and write down what happened to them, for [`crate::history`] to judge.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::{Writer, WriterPlan};

use crate::{client::Account, history::Journal};
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;

/// A node that was killed must be back by then, or the run has failed.
const BACK_WITHIN: Duration = Duration::from_secs(90);
/// Between two attempts to connect to a node that is not there.
const TRY_AGAIN: Duration = Duration::from_millis(30);

/// One conversation: writers and readers of one room.
#[derive(Debug)]
pub struct Load {
    /// Of every node. Whoever joins begins at the next one, and goes on to the one after it whenever
    /// a connection ends.
    addresses: Arc<[SocketAddr]>,
    room: String,
    journal: Journal,
    stop: Arc<AtomicBool>,
    writers: Vec<JoinHandle<u64>>,
    readers: Vec<Reader>,
}

impl Load {
    /// Nobody talks yet, on one node.
    pub fn new(address: SocketAddr, room: &str) -> Self {
        Self::across(&[address], room)
    }

    /// Nobody talks yet, on the nodes of a cluster.
    pub fn across(addresses: &[SocketAddr], room: &str) -> Self {
        Self {
            addresses: addresses.into(),
            room: room.to_owned(),
            journal: Journal::default(),
            stop: Arc::default(),
            writers: Vec::new(),
            readers: Vec::new(),
        }
    }

    /// What happened so far.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Adds a writer that goes on until [`Load::finish`].
    pub fn write(&mut self, account: &Account, plan: WriterPlan) {
        let name = format!("w{}", self.writers.len());
        let writer = Writer::new(self.seat(account, name), plan, self.stop.clone());
        self.writers.push(tokio::spawn(writer.run()));
    }

    /// Adds a reader that has nothing yet.
    pub fn read(&mut self, account: &Account) {
        self.read_in_pieces(account, usize::MAX);
    }

    /// Adds a reader that breaks its connection off after so many messages and comes back.
    pub fn read_in_pieces(&mut self, account: &Account, messages: usize) {
        let name = format!("r{}", self.readers.len());
        self.readers.push(Reader::start(self.seat(account, name), messages));
    }

    /// Waits until so many messages were acknowledged since the beginning.
    pub async fn acknowledged(&self, count: usize) {
        let what = format!("{count} acknowledged messages");
        let reached = || async { (self.journal.acknowledged() >= count).then_some(()) };
        crate::wait::until(&what, BACK_WITHIN, reached).await;
    }

    /// Ends the writers once everything they sent is answered, then the readers once they have
    /// the last message; the journal of the whole run.
    pub async fn finish(self) -> Journal {
        self.stop.store(true, Ordering::Relaxed);
        let mut last = 0;
        for writer in self.writers {
            let ended = crate::wait::within("a writer has its answers", BACK_WITHIN, writer).await;
            last = last.max(ended.expect("a writer does not panic"));
        }
        for reader in self.readers {
            reader.finish(last).await;
        }
        self.journal
    }

    fn seat(&self, account: &Account, name: String) -> Seat {
        let seats = self.writers.len() + self.readers.len();
        Seat {
            addresses: self.addresses.clone(),
            next: Arc::new(AtomicUsize::new(seats)),
            account: account.clone(),
            room: self.room.clone(),
            name,
            journal: self.journal.clone(),
        }
    }
}

/// Who takes part, where, and where it is written down.
#[derive(Debug, Clone)]
struct Seat {
    addresses: Arc<[SocketAddr]>,
    /// Counts connections: the next one goes to another node.
    next: Arc<AtomicUsize>,
    account: Account,
    room: String,
    /// Unique in the run; the first part of every `client_id` of a writer.
    name: String,
    journal: Journal,
}

impl Seat {
    /// Where the next connection goes.
    fn next_address(&self) -> SocketAddr {
        self.addresses[self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len()]
    }
}

/// A number no other connection of this process has.
fn next_connection() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
