//! The embedded store: one redb file.
//!
//! | file | holds |
//! |---|---|
//! | [`tables`] | what is in the file |
//! | [`keys`], [`record`] | the bytes of keys and records |
//! | [`transaction`], [`base`] | reading and writing records |
//! | [`files`] | the data directory |
//! | [`mod@file`] | opening the database, and what is beside it |
//! | [`contents`] | what a database says about itself, and making it |
//! | [`held`] | writes nothing until the file is known to be ours |
//! | [`unsynced`] | makes up for a sync that failed |
//! | [`journal`], [`redo`] | small transactions are made durable beside the file, and done again after a crash |
//! | [`overlay`] | what the journal has and the file has not, until somebody reads |
//! | [`witness`] | tells damage after a crash from a commit that was cut short |
//! | [`engine`], [`job`], [`writer`] | reads on snapshots, writes gathered by one thread or done at once |
//! | [`log`], [`changes`], [`rooms`], [`creation`], [`membership`], [`receipts`], [`accounts`] | the traits |
//! | [`sessions`] | sessions and logins of a user |
//! | [`mod@check`] | does the file contradict itself? |
//! | [`mod@transfer`] | taking everything out of the file, and into a new one |
//! | `bare` | what benches compare all of this with |
//!
//! **Reads** run to their end in the poll of the future that asks for them, in one snapshot that has all
//! that was acknowledged, and never wait for a commit; pages that are not in memory are read from the disk meanwhile. So they
//! belong on an arbiter that may wait for a disk, not on one that serves connections.
//!
//! **Writes** are handed to the writer's thread through a bounded queue and awaited. Messages, which their
//! writer has gathered, are committed in the poll of the future too, unless others wait to be written.

mod accounts;
#[cfg(feature = "conformance")]
mod bare;
mod base;
mod changes;
mod check;
mod contents;
mod creation;
mod engine;
mod file;
mod files;
mod held;
mod job;
mod journal;
mod keys;
mod locks;
mod log;
mod membership;
mod overlay;
mod receipts;
mod record;
mod redo;
mod rooms;
mod sessions;
mod tables;
mod transaction;
mod transfer;
mod unsynced;
mod witness;
mod writer;

#[cfg(feature = "conformance")]
pub use bare::BareLog;
pub(crate) use check::check;
pub(crate) use transfer::Transfer;

use crate::open::{OpenError, Options, StoreControl};
use async_trait::async_trait;
use engine::Engine;
use madang_resilience::Part;

/// All traits of a store on one redb file.
pub(crate) struct Redb {
    engine: Engine,
    bounds: Bounds,
}

/// How much there may be.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Members of a room.
    members_max: u64,
    /// Rooms of a user.
    rooms_max: u64,
}

impl Redb {
    pub(crate) fn open(options: Options) -> Result<Self, OpenError> {
        let bounds = Bounds { members_max: options.members_max, rooms_max: options.rooms_max };
        Ok(Self { engine: Engine::open(&options)?, bounds })
    }
}

#[async_trait]
impl StoreControl for Redb {
    fn health(&self) -> Part {
        self.engine.health()
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}
