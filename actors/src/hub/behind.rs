//! Readers that are turned back, because their out-queues have no place for what a room sends.
//!
//! A room sends as fast as messages are committed, or as they are repaired after a cut: more at once
//! than an out-queue holds is not its reader's fault. So it is not attached any more and catches up
//! from where it stands, at its own pace, as after a resume. Only one that takes nothing at all is
//! closed.

use super::{
    Delivery, Item, SlotId,
    core::{Core, Slot},
    liveness::STUCK,
    readers::Reader,
};
use crate::connection::ConnectionMessage;
use madang_protocol::{CloseCode, Place, RoomId};
use std::collections::HashMap;
use tokio::time::Instant;

/// The rooms that connections were turned back in and were not told of yet. Bounded by the rooms they
/// receive.
#[derive(Default)]
pub(super) struct Behind(HashMap<SlotId, Vec<(RoomId, Place)>>);

impl Behind {
    /// True if it is the first of that connection.
    fn add(&mut self, id: SlotId, room: RoomId, at: Place) -> bool {
        let rooms = self.0.entry(id).or_default();
        rooms.push((room, at));
        rooms.len() == 1
    }

    /// Takes those of a connection.
    pub(super) fn take(&mut self, id: SlotId) -> Vec<(RoomId, Place)> {
        self.0.remove(&id).unwrap_or_default()
    }

    /// A connection wants the room from another place on, or no more.
    pub(super) fn forget(&mut self, id: SlotId, room: RoomId) {
        if let Some(rooms) = self.0.get_mut(&id) {
            rooms.retain(|(other, _)| *other != room);
        }
    }
}

impl Core {
    /// Turns those of `slice` back that have no place for the delivery; all of them stand at `at`.
    /// The slice begins at place `from` of the room's readers.
    pub(super) fn turn_back(
        &mut self,
        slice: &mut [Reader],
        from: usize,
        delivery: &Delivery,
        at: Place,
    ) {
        let items = delivery.items.iter().map(|item| &**item);
        let kept = items.filter(|item| !item.is_ephemeral && item.is_news_at(at));
        if kept.clone().next().is_none() {
            return;
        }
        for (place, reader) in slice.iter_mut().enumerate() {
            if reader.is_live && !self.has_place(reader.slot, kept.clone()) {
                reader.is_live = false;
                self.jobs.turn_back(delivery.room, from + place);
                self.falls_behind(reader.slot, delivery.room, at);
            }
        }
    }

    /// What waits is offered to the socket before anybody is thought to have no place. One that is
    /// gone, or going, needs none.
    fn has_place<'a>(&mut self, id: SlotId, items: impl Iterator<Item = &'a Item>) -> bool {
        let limits = self.limits;
        let Some((slot, identity)) =
            self.get(id).and_then(|slot| slot.identity.map(|identity| (slot, identity)))
        else {
            return true;
        };
        let weigh = |(frames, bytes), item: &Item| {
            (frames + 1, bytes + item.bytes_for(identity.user, slot.codec).len())
        };
        let (frames, bytes) = items.fold((0, 0), weigh);
        let has_place =
            |slot: &Slot| slot.is_closing || slot.outbox.has_place(frames, bytes, limits);
        if has_place(slot) || slot.is_blocked {
            return has_place(slot);
        }
        self.flush_one(id);
        self.get(id).is_none_or(|slot| has_place(slot))
    }

    fn falls_behind(&mut self, id: SlotId, room: RoomId, at: Place) {
        let judged = self.liveness.judged_until();
        let Some(slot) = self.get(id) else {
            return;
        };
        if let Some(stage) = slot.stage(room) {
            *stage = stage.turned_back();
        }
        let (connection, is_stuck) = (slot.connection.clone(), slot.is_stuck(judged));
        let is_watched = std::mem::replace(&mut slot.is_watched, true);
        if is_stuck {
            self.close(id, CloseCode::TooSlow);
            return;
        }
        if !is_watched {
            self.liveness.turned_back(id, Instant::now());
        }
        if self.behind.add(id, room, at) {
            self.tell(id, &connection, ConnectionMessage::Behind);
        }
    }

    /// One that was turned back some time ago is closed if its socket takes nothing, and looked
    /// after as long as it takes little.
    pub(super) fn look_after(&mut self, id: SlotId, now: Instant) {
        let (limits, judged) = (self.limits, self.liveness.judged_until());
        let Some(slot) = self.get(id) else {
            return;
        };
        slot.is_watched = slot.is_blocked && !slot.outbox.is_low(limits);
        if !slot.is_watched {
            return;
        }
        if slot.is_stuck(judged) {
            self.close(id, CloseCode::TooSlow);
        } else {
            self.liveness.turned_back(id, now);
        }
    }
}

impl Slot {
    fn is_stuck(&self, judged: Instant) -> bool {
        self.blocked_at.is_some_and(|since| judged >= since + STUCK)
    }
}
