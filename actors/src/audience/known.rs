//! How far an audience is, for those who look whether it missed something.

use madang_protocol::Heads;
use std::sync::{Arc, Mutex, PoisonError};

/// The heads of one audience: written by it, read by whoever compares. Cloning shares them.
#[derive(Clone, Default)]
pub(crate) struct KnownHeads(Arc<Mutex<Heads>>);

impl KnownHeads {
    /// Its readers have this.
    pub(crate) fn set(&self, heads: Heads) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = heads;
    }

    /// What its readers have; nothing, before it knows.
    pub(crate) fn get(&self) -> Heads {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
