//! Opening a store.

use crate::{
    AccountStore, MessageLog, ReceiptStore, RoomStore, StoreError, presence::NodeLife, redb,
};
use ::redb::StorageBackend;
use async_trait::async_trait;
use madang_protocol::limits;
use madang_resilience::Part;
use std::{fmt, io, path::PathBuf, sync::Arc, time::Duration};

/// Everything a node keeps, behind its traits. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    /// Messages.
    pub log: Arc<dyn MessageLog>,
    /// Rooms and members.
    pub rooms: Arc<dyn RoomStore>,
    /// Read positions.
    pub receipts: Arc<dyn ReceiptStore>,
    /// Users and sessions.
    pub accounts: Arc<dyn AccountStore>,
    /// How the store is, and its end.
    pub control: Arc<dyn StoreControl>,
}

/// The store as a part of the node that runs and ends.
#[async_trait]
pub trait StoreControl: Send + Sync + 'static {
    /// Could a send be acknowledged now? [`Ok`](madang_resilience::State::Ok): as far as is known;
    /// `Degraded`: writes are refused for the time being, reads are answered; `Down`: neither.
    ///
    /// Costs a lock, so a readiness probe may ask as often as it likes. The store tries by itself
    /// whether it works again; it needs no calls to notice.
    fn health(&self) -> Part;

    /// The name that the data got when it was made, at random: two nodes that see the same one
    /// share their store. `None`: nobody can share it.
    fn identity(&self) -> Option<String> {
        None
    }

    /// Says that this life of a node uses the data for the next [`NEIGHBOUR_LEASE`]; answers those
    /// that did so before it came and whose lease has not ended, in the order of their coming.
    /// Where nobody can share the data, nobody is answered.
    async fn register(&self, _life: &NodeLife) -> Result<Vec<Neighbour>, StoreError> {
        Ok(Vec::new())
    }

    /// Takes that back.
    async fn unregister(&self, _life: &NodeLife) -> Result<(), StoreError> {
        Ok(())
    }

    /// Makes durable what was handed in before, refuses what comes after, and lets go of the data.
    /// Returns when that is done; calling it again only waits for the same.
    async fn close(&self);
}

/// How long a node is counted as using the data after it said so.
pub const NEIGHBOUR_LEASE: Duration = Duration::from_secs(10);

/// Another node that uses the same data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Which life of which.
    pub life: NodeLife,
    /// When its lease ends, in ms by the store's clock. It moves while that life goes on.
    pub until: i64,
}

/// Where the data is, and the bounds of the store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is.
    pub medium: Medium,
    /// Writes waiting for the next transaction. Beyond: `Overloaded`, at once.
    pub queue_jobs_max: usize,
    /// Memory for pages of the file, bytes.
    pub cache_bytes: usize,
    /// How long writes wait to learn whether a commit that failed took effect, while the database
    /// is opened again. Beyond: `Unknown`.
    pub doubt_wait: Duration,
    /// Members of a room at most. Beyond: `Full`.
    pub members_max: u64,
    /// Rooms of a user at most. Beyond: `Full`, or `TooManyRooms`.
    pub rooms_max: u64,
}

/// Where the data is.
#[derive(Clone)]
#[non_exhaustive]
pub enum Medium {
    /// A directory of this machine; made if it is not there.
    Directory(PathBuf),
    /// Storages of the caller's, for tests of faults. Called once for each opening, also when the
    /// store opens them again after a failed commit: it must then find what was written before.
    Storage(StorageFactory),
}

/// Opens a storage.
pub type StorageFactory =
    Arc<dyn Fn(StorageKind) -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// What is in a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// The database.
    Data,
    /// What is not in it yet.
    Journal,
}

impl Options {
    /// The defaults, for data in `directory`.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self::on(Medium::Directory(directory.into()))
    }

    /// The defaults, for data on `medium`.
    pub fn on(medium: Medium) -> Self {
        Self {
            medium,
            queue_jobs_max: 1_024,
            cache_bytes: 128 * 1024 * 1024,
            doubt_wait: Duration::from_secs(5),
            members_max: limits::MEMBERS_MAX,
            rooms_max: limits::ROOMS_MAX,
        }
    }
}

/// Why a store could not be opened. The data is byte for byte as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody has it open.
    #[error("{} is in use by another process", path.display())]
    InUse {
        /// What is in use.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} was not made by madang: {detail}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        detail: String,
    },
    /// A later version wrote it.
    #[error("{} has format {found}, this version knows formats up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest this version knows.
        known: u64,
    },
    /// Its contents contradict themselves.
    #[error("{} is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// The operating system refused.
    #[error("cannot open {}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Opens the store, making an empty one where there is none.
///
/// Metrics go to the recorder that is current during this call. The data stays in use until
/// [`StoreControl::close`], or until the last clone of the store is dropped.
pub fn open(options: Options) -> Result<Store, OpenError> {
    let redb = Arc::new(redb::Redb::open(options)?);
    Ok(Store {
        log: redb.clone(),
        rooms: redb.clone(),
        receipts: redb.clone(),
        accounts: redb.clone(),
        control: redb,
    })
}

impl fmt::Debug for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Storage(_) => f.debug_tuple("Storage").finish_non_exhaustive(),
        }
    }
}
