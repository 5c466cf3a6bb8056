//! The newest messages of a room, encoded, for readers that attach.

use super::{WINDOW_BYTES, WINDOW_MESSAGES};
use crate::hub::Item;
use std::collections::VecDeque;

/// Contiguous messages, ending at the audience's head.
#[derive(Default)]
pub(super) struct Window {
    /// At most `WINDOW_MESSAGES` and `WINDOW_BYTES`.
    items: VecDeque<Item>,
    bytes: usize,
}

impl Window {
    /// Adds the next event; only messages are kept.
    pub(super) fn push(&mut self, item: &Item) {
        if item.seq.is_none() {
            return;
        }
        self.bytes += weight(item);
        self.items.push_back(item.clone());
        while self.items.len() > WINDOW_MESSAGES || self.bytes > WINDOW_BYTES {
            let oldest = self.items.pop_front();
            self.bytes -= oldest.as_ref().map_or(0, weight);
        }
    }

    /// The messages above `after` up to `head`; `None` when some are not here any more.
    pub(super) fn between(&self, after: u64, head: u64) -> Option<Vec<Item>> {
        let missing = usize::try_from(head - after).ok()?;
        let first = self.items.len().checked_sub(missing)?;
        Some(self.items.range(first..).cloned().collect())
    }
}

fn weight(item: &Item) -> usize {
    item.frame.len() + item.own.as_ref().map_or(0, |(_, frame)| frame.len()) + size_of::<Item>()
}
