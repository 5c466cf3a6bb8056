//! The readers of one room on one hub.

use super::SlotId;
use crate::{audience::AudienceMessage, kernel::Address};
use madang_protocol::Place;

/// Stands where a reader was, until the list is tidied.
const GONE: SlotId = SlotId { index: u32::MAX, generation: u32::MAX };

/// One room's readers. While a delivery is half done places do not move, so those who leave
/// leave a gap.
pub(super) struct Readers {
    pub(super) audience: Address<AudienceMessage>,
    /// Which life of the audience counts them.
    pub(super) epoch: u64,
    /// Up to where they were served.
    pub(super) delivered: Place,
    slots: Vec<SlotId>,
    gone: usize,
}

impl Readers {
    pub(super) fn new(audience: Address<AudienceMessage>, epoch: u64, delivered: Place) -> Self {
        Self { audience, epoch, delivered, slots: Vec::new(), gone: 0 }
    }

    pub(super) fn add(&mut self, slot: SlotId) {
        self.slots.push(slot);
    }

    /// The readers that are there.
    pub(super) fn count(&self) -> usize {
        self.slots.len() - self.gone
    }

    /// Places, gaps included.
    pub(super) fn places(&self) -> &[SlotId] {
        &self.slots
    }

    /// True if it was there.
    pub(super) fn remove(&mut self, slot: SlotId) -> bool {
        let Some(place) = self.slots.iter().position(|other| *other == slot) else {
            return false;
        };
        self.slots[place] = GONE;
        self.gone += 1;
        true
    }

    /// Closes the gaps. Not while a delivery is half done.
    pub(super) fn tidy(&mut self) {
        if self.gone > 0 {
            self.slots.retain(|slot| *slot != GONE);
            self.gone = 0;
        }
    }
}
