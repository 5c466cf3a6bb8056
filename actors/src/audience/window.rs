//! The newest messages of a room, for readers that attach.

use super::{WINDOW_BYTES, WINDOW_MESSAGES};
use crate::hub::{Item, Items};
use std::{collections::VecDeque, sync::Arc};

/// Contiguous messages, ending at the audience's head.
#[derive(Default)]
pub(super) struct Window {
    /// At most `WINDOW_MESSAGES` and `WINDOW_BYTES`, each with what it counts for.
    items: VecDeque<(usize, Arc<Item>)>,
    bytes: usize,
}

impl Window {
    /// Adds the next event; only messages are kept.
    pub(super) fn push(&mut self, item: &Arc<Item>) {
        if item.seq().is_none() {
            return;
        }
        let bytes = item.message_bytes_max();
        self.bytes += bytes;
        self.items.push_back((bytes, item.clone()));
        while self.items.len() > WINDOW_MESSAGES || self.bytes > WINDOW_BYTES {
            let oldest = self.items.pop_front();
            self.bytes -= oldest.map_or(0, |(bytes, _)| bytes);
        }
    }

    /// The messages above `after` up to `head`; `None` when some are not here any more.
    pub(super) fn between(&self, after: u64, head: u64) -> Option<Items> {
        let missing = usize::try_from(head - after).ok()?;
        let first = self.items.len().checked_sub(missing)?;
        Some(self.items.range(first..).map(|(_, item)| item.clone()).collect())
    }
}
