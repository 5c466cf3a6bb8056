//! Read positions that are being read from the store.
//!
//! Two reads of one position may be answered in another order than the store made them, and a message
//! of the user may be committed in between. What is told first must not be taken back by the other.

use dashmap::DashMap;
use madang_protocol::{RoomId, UserId};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Those that are being read. Bounded by the requests that have no answer yet. Cloning shares it.
#[derive(Clone, Default)]
pub(super) struct Awaited(Arc<Inner>);

#[derive(Default)]
struct Inner {
    pairs: DashMap<(RoomId, UserId), Heard>,
    /// Reads under way: mostly none, and then nothing is looked up.
    reads: AtomicUsize,
}

#[derive(Default)]
struct Heard {
    /// Reads of this one.
    reads: usize,
    /// The store has this at least.
    stored: u64,
}

/// A read under way, until it is dropped.
pub struct Awaiting {
    awaited: Awaited,
    of: (RoomId, UserId),
}

impl Awaited {
    pub(super) fn begin(&self, room: RoomId, user: UserId) -> Awaiting {
        self.0.reads.fetch_add(1, Ordering::AcqRel);
        self.0.pairs.entry((room, user)).or_default().reads += 1;
        Awaiting { awaited: self.clone(), of: (room, user) }
    }

    /// The store has this.
    pub(super) fn heard(&self, room: RoomId, user: UserId, stored: u64) {
        if self.0.reads.load(Ordering::Acquire) > 0
            && let Some(mut heard) = self.0.pairs.get_mut(&(room, user))
        {
            heard.stored = heard.stored.max(stored);
        }
    }
}

impl Awaiting {
    /// What the store has, of which `read` was read.
    pub fn latest(&self, read: u64) -> u64 {
        self.awaited.0.pairs.get(&self.of).map_or(read, |heard| heard.stored.max(read))
    }
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        let Inner { pairs, reads } = &*self.awaited.0;
        if let Some(mut heard) = pairs.get_mut(&self.of) {
            heard.reads -= 1;
        }
        pairs.remove_if(&self.of, |_, heard| heard.reads == 0);
        reads.fetch_sub(1, Ordering::AcqRel);
    }
}
