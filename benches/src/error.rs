//! What can go wrong, by what whoever runs a bench can do about it.

use std::{io, path::PathBuf};

/// Why a bench could not be run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The options contradict each other or ask for what nobody can do: give others.
    #[error("{0}")]
    Options(String),
    /// Something that has to be there first.
    #[error("{what} is missing: {how}")]
    Missing {
        /// What.
        what: String,
        /// How to get it.
        how: String,
    },
    /// The operating system allows less than was asked for.
    #[error("{what}: {needed} needed, {allowed} allowed; {how}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// So much was asked for.
        needed: u64,
        /// So much there is.
        allowed: u64,
        /// How to get more, or need less.
        how: String,
    },
    /// What is measured ended, refused, or did not answer in time. What was measured before holds.
    #[error("{target}: {what}")]
    Target {
        /// Its name.
        target: String,
        /// What it did.
        what: String,
    },
    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: String,
        /// What it said.
        source: io::Error,
    },
    /// A file is not one of the results this version writes.
    #[error("{}: not a result of madang-bench: {why}", path.display())]
    NotAResult {
        /// The file.
        path: PathBuf,
        /// How that was seen.
        why: String,
    },
}

/// What a bench gives back.
pub type Done<T> = Result<T, BenchError>;

impl BenchError {
    /// A target that is at fault.
    pub fn target(target: &str, what: impl Into<String>) -> Self {
        Self::Target { target: target.to_owned(), what: what.into() }
    }
}

/// Says what was tried when the operating system refuses.
pub trait Doing<T> {
    /// `doing`: "reading /proc/1/stat".
    fn doing(self, doing: impl FnOnce() -> String) -> Done<T>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: impl FnOnce() -> String) -> Done<T> {
        self.map_err(|error| BenchError::Io { doing: doing(), source: error.into() })
    }
}
