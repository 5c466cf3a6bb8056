//! Taking everything out of a store, and into an empty one: the backup, and the way from one kind
//! of store to another.
//!
//! | file | holds |
//! |---|---|
//! | [`line`] | what is taken along, and in which order |
//! | [`jsonl`] | lines as text, with a first and a last one that show a file that is cut short |
//! | [`order`] | whether lines may follow each other; sequences without holes, counts that hold |
//!
//! Indexes and counters are not taken along, the store that is filled makes its own.

pub mod jsonl;
pub mod line;
mod order;

pub use line::Line;

use crate::{
    StoreError,
    cluster::{ClusterError, ClusterOptions},
    mongodb,
    open::{Medium, OpenError},
    redb,
};
use std::{io, path::PathBuf};

/// A store whose data can be taken out whole, or filled. It must not be in use.
pub trait Transfer {
    /// Hands everything to `sink`, in the order of [`line`], from one snapshot and in constant
    /// memory. Changes nothing. Ends with the first error, also of `sink`.
    fn export(&self, sink: &mut Sink<'_>) -> Result<(), TransferError>;

    /// Fills the store with `lines`, in constant memory. All or none: after any error, also one
    /// that `lines` yields, the store is empty as before.
    ///
    /// That the order of [`line`] holds may be relied on; that ids and names are unique and lead
    /// somewhere is checked here.
    fn import(&self, lines: &mut Lines<'_>) -> Result<(), TransferError>;
}

/// Takes one line after the other.
pub type Sink<'a> = dyn FnMut(Line) -> Result<(), TransferError> + 'a;

/// Yields one line after the other; after an error nothing useful.
pub type Lines<'a> = dyn Iterator<Item = Result<Numbered, TransferError>> + 'a;

/// A line, and where it stands in its file.
pub struct Numbered {
    /// From 1.
    pub number: u64,
    /// The line.
    pub line: Line,
}

impl Numbered {
    /// The error that refuses this line.
    pub fn refused(&self, reason: impl Into<String>) -> TransferError {
        TransferError::Line { number: self.number, reason: reason.into() }
    }
}

/// Why data was not taken along.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The store could not be opened, or made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database could not be opened, or made.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was to be filled and holds something.
    #[error("{} is not empty, and only an empty store can be filled", path.display())]
    NotEmpty {
        /// What holds something.
        path: PathBuf,
    },
    /// It was to be taken out and contradicts itself: what is written could not be read back.
    #[error("the data contradicts itself ({0}): see `madang check`")]
    Contradiction(String),
    /// A line cannot be used. The reason quotes nothing that may be secret.
    #[error("line {number}: {reason}")]
    Line {
        /// Which, from 1.
        number: u64,
        /// Why.
        reason: String,
    },
    /// The lines could not be read or written.
    #[error("the export could not be read or written")]
    Io(#[from] io::Error),
}

/// The data on `medium`, to be taken out or filled.
pub fn transfer(medium: Medium) -> Box<dyn Transfer> {
    Box::new(redb::Transfer::new(medium))
}

/// The data of the database of `options`, to be taken out or filled. No node may use it meanwhile:
/// while it is filled one that starts is refused, and so is one that starts after an import that
/// was killed.
pub fn transfer_cluster(options: ClusterOptions) -> Box<dyn Transfer> {
    Box::new(mongodb::Transfer::new(options))
}
