//! What a store call can fail with, named by what the caller can do about it.

/// A store call that gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written or read; trying again later may work: full disk, reopening, closing.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The store's queue is full; nothing was written. Refuse at once.
    #[error("store queue is full")]
    Overloaded,
    /// A write was under way and its answer was lost: it may or may not have happened.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// A record does not match its checksum, or cannot be decoded. Not served.
    #[error("damaged record in {table}: {detail}")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which record, without user content.
        detail: String,
    },
}

impl StoreError {
    /// Every label of [`StoreError::label`].
    pub const LABELS: [&'static str; 4] = ["unavailable", "overloaded", "unknown", "damaged"];

    /// The metric label.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Unknown(_) => "unknown",
            Self::Damaged { .. } => "damaged",
        }
    }
}
