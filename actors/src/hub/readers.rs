//! The readers of one room on one hub.

use super::SlotId;
use crate::{audience::AudienceMessage, kernel::Address};
use madang_protocol::Place;

/// A connection that reads the room.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader {
    pub(super) slot: SlotId,
    /// Attached: gets everything, not only what has no number.
    pub(super) is_live: bool,
}

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
    list: Vec<Reader>,
    gone: usize,
}

impl Readers {
    pub(super) fn new(audience: Address<AudienceMessage>, epoch: u64, delivered: Place) -> Self {
        Self { audience, epoch, delivered, list: Vec::new(), gone: 0 }
    }

    pub(super) fn add(&mut self, reader: Reader) {
        self.list.push(reader);
    }

    /// One that is there gets everything, or nothing that has a number.
    pub(super) fn set_live(&mut self, slot: SlotId, is_live: bool) {
        if let Some(reader) = self.list.iter_mut().find(|reader| reader.slot == slot) {
            reader.is_live = is_live;
        }
    }

    /// The one at that place gets nothing that has a number any more.
    pub(super) fn turn_back(&mut self, place: usize) {
        self.list[place].is_live = false;
    }

    /// The readers that are there.
    pub(super) fn count(&self) -> usize {
        self.list.len() - self.gone
    }

    /// Places, gaps included.
    pub(super) fn places(&self) -> &[Reader] {
        &self.list
    }

    /// True if it was there.
    pub(super) fn remove(&mut self, slot: SlotId) -> bool {
        let Some(reader) = self.list.iter_mut().find(|reader| reader.slot == slot) else {
            return false;
        };
        reader.slot = GONE;
        self.gone += 1;
        true
    }

    /// Closes the gaps. Not while a delivery is half done.
    pub(super) fn tidy(&mut self) {
        if self.gone > 0 {
            self.list.retain(|reader| reader.slot != GONE);
            self.gone = 0;
        }
    }
}
