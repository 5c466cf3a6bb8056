//! The rooms that a connection wants, and how far it came with each.
//!
//! A room is wanted before its audience is asked for it, and no more from the moment its connection
//! says so: an attachment that was under way then is not made, so nothing of the room follows the
//! `ok` of an `unsubscribe`.

use super::{
    SlotId,
    core::{Core, Slot},
};
use madang_protocol::RoomId;

/// One room of one connection.
pub(super) struct Wanted {
    pub(super) room: RoomId,
    pub(super) stage: Stage,
}

/// How far a connection came with a room. One value, because it shares sixteen bytes with the
/// room, and there is one for every room of every connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Gets nothing yet.
    Wanted,
    /// Gets nothing yet; its audience was asked to attach it.
    Asked,
    /// Gets what has no number.
    Hears,
    /// Gets what has no number; its audience was asked to attach it.
    HearsAsked,
    /// Is attached: gets everything.
    Live,
}

impl Stage {
    /// It is among the room's readers.
    pub(super) fn is_reader(self) -> bool {
        matches!(self, Self::Hears | Self::HearsAsked | Self::Live)
    }

    fn asked(self) -> Self {
        match self {
            Self::Wanted | Self::Asked => Self::Asked,
            Self::Hears | Self::HearsAsked => Self::HearsAsked,
            Self::Live => Self::Live,
        }
    }

    /// It is to get what has no number. `None`: it does already.
    pub(super) fn heard(self) -> Option<Self> {
        match self {
            Self::Wanted => Some(Self::Hears),
            Self::Asked => Some(Self::HearsAsked),
            Self::Hears | Self::HearsAsked | Self::Live => None,
        }
    }

    /// It is to get everything. `None`: this was not asked for, or not since it is wanted.
    pub(super) fn attached(self) -> Option<Self> {
        matches!(self, Self::Asked | Self::HearsAsked).then_some(Self::Live)
    }

    /// It has no place for what has a number.
    pub(super) fn turned_back(self) -> Self {
        if self == Self::Live { Self::Hears } else { self }
    }

    /// It gets nothing any more.
    fn unheard(self) -> Self {
        match self {
            Self::HearsAsked | Self::Asked => Self::Asked,
            Self::Hears | Self::Wanted | Self::Live => Self::Wanted,
        }
    }
}

impl Slot {
    /// `None`: it does not want that room.
    pub(super) fn stage(&mut self, room: RoomId) -> Option<&mut Stage> {
        self.rooms.iter_mut().find(|wanted| wanted.room == room).map(|wanted| &mut wanted.stage)
    }
}

impl Core {
    /// A connection wants a room, or wants it from another place on: what has a number waits until
    /// it is attached there, the rest goes on if it came before.
    pub(super) fn want(&mut self, id: SlotId, room: RoomId) {
        self.behind.forget(id, room);
        let Some(slot) = self.get(id) else {
            return;
        };
        let Some(stage) = slot.stage(room) else {
            if slot.rooms.is_empty() {
                slot.rooms.reserve_exact(1); // many connections receive one room
            }
            return slot.rooms.push(Wanted { room, stage: Stage::Wanted });
        };
        let next = if stage.is_reader() { Stage::Hears } else { Stage::Wanted };
        if std::mem::replace(stage, next) == Stage::Live {
            self.jobs.set_live(room, id, false);
        }
    }

    /// Its audience is asked to attach it.
    pub(super) fn ask(&mut self, id: SlotId, room: RoomId) {
        if let Some(stage) = self.get(id).and_then(|slot| slot.stage(room)) {
            *stage = stage.asked();
        }
    }

    /// A connection wants no more of a room.
    pub(super) fn detach(&mut self, id: SlotId, room: RoomId) {
        self.behind.forget(id, room);
        let Some(slot) = self.get(id) else {
            return;
        };
        let Some(place) = slot.rooms.iter().position(|wanted| wanted.room == room) else {
            return;
        };
        if slot.rooms.swap_remove(place).stage.is_reader() {
            self.jobs.reader_left(room, id);
        }
    }

    /// One that is not attached gets nothing until it is: its membership may be over.
    pub(super) fn unhear(&mut self, id: SlotId, room: RoomId) {
        if let Some(stage) = self.get(id).and_then(|slot| slot.stage(room)) {
            *stage = stage.unheard();
            self.jobs.reader_left(room, id);
        }
    }

    /// Up to which `seq` an attached reader was served in a room; `None`: it is not attached.
    pub(super) fn delivered(&mut self, id: SlotId, room: RoomId) -> Option<u64> {
        let stage = *self.get(id)?.stage(room)?;
        (stage == Stage::Live).then(|| self.jobs.delivered(room)).flatten()
    }
}
