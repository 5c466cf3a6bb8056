//! What a hub works off in order: deliveries, readers that come, audiences that begin.

use super::{
    Adopt, Adopted, Attach, Delivery, HubMessage, Identity, Item, SLICE_FRAMES, SlotId,
    core::Core,
    readers::{Reader, Readers},
};
use crate::{
    audience::AudienceMessage,
    connection::{Attached, ConnectionMessage},
    kernel::{Address, SendError},
};
use madang_protocol::{Place, RoomId, UserId, codec::Codec};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

/// The readers of every room, and what is still to be done for them.
#[derive(Default)]
pub(super) struct Jobs {
    rooms: HashMap<RoomId, Readers>,
    /// Bounded by `JOBS_MAX`: the inbox waits meanwhile.
    queue: VecDeque<Job>,
    /// Readers that left since the last report, by room: a thousand that die together make one
    /// message per room.
    left: BTreeMap<RoomId, Left>,
}

enum Job {
    /// Worked off up to that place of the readers.
    Deliver(Arc<Delivery>, usize),
    Attach(Box<Attach>),
    Adopt(Adopt),
    Recheck(RoomId),
}

struct Left {
    audience: Address<AudienceMessage>,
    epoch: u64,
    count: usize,
}

impl Jobs {
    /// Takes what has to be done in order; gives back what has not.
    pub(super) fn add(&mut self, message: HubMessage) -> Option<HubMessage> {
        self.queue.push_back(match message {
            HubMessage::Deliver(delivery) => Job::Deliver(delivery, 0),
            HubMessage::Attach(attach) => Job::Attach(Box::new(attach)),
            HubMessage::Adopt(adopt) => Job::Adopt(adopt),
            HubMessage::Recheck(room) => Job::Recheck(room),
            other => return Some(other),
        });
        None
    }

    /// Not worked off yet.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// A connection is gone, or wants no more of a room.
    pub(super) fn reader_left(&mut self, room: RoomId, slot: SlotId) {
        let Some(readers) = self.rooms.get_mut(&room) else {
            return;
        };
        if readers.remove(slot) {
            let (audience, epoch) = (readers.audience.clone(), readers.epoch);
            if readers.count() == 0 {
                self.rooms.remove(&room);
            }
            self.count_left(room, audience, epoch);
        }
    }

    /// A reader gets everything from now on, or nothing that has a number.
    pub(super) fn set_live(&mut self, room: RoomId, slot: SlotId, is_live: bool) {
        if let Some(readers) = self.rooms.get_mut(&room) {
            readers.set_live(slot, is_live);
        }
    }

    /// The reader at that place of a room's gets nothing that has a number any more.
    pub(super) fn turn_back(&mut self, room: RoomId, place: usize) {
        if let Some(readers) = self.rooms.get_mut(&room) {
            readers.turn_back(place);
        }
    }

    /// Up to which `seq` the readers of a room were served.
    pub(super) fn delivered(&self, room: RoomId) -> Option<u64> {
        self.rooms.get(&room).map(|readers| readers.delivered.seq)
    }

    /// Tells the audiences who left hub number `hub`. What a full one does not take is told again
    /// later.
    pub(super) fn report_left(&mut self, hub: usize) {
        self.left.retain(|_, left| {
            let message = AudienceMessage::Left { hub, epoch: left.epoch, readers: left.count };
            matches!(left.audience.try_send(message), Err(SendError::Full(_)))
        });
    }

    /// Drops what is still to be done; readers that were to come count as gone.
    pub(super) fn abandon(&mut self) {
        for job in std::mem::take(&mut self.queue) {
            if let Job::Attach(attach) = job {
                self.count_left(attach.room, attach.audience, attach.epoch);
            }
        }
    }

    fn count_left(&mut self, room: RoomId, audience: Address<AudienceMessage>, epoch: u64) {
        let left = self.left.entry(room).or_insert_with(|| Left {
            audience: audience.clone(),
            epoch,
            count: 0,
        });
        if left.epoch != epoch || !left.audience.is_same(&audience) {
            *left = Left { audience, epoch, count: 0 }; // an earlier life counts nobody any more
        }
        left.count += 1;
    }
}

impl Core {
    /// Works off jobs, up to about [`SLICE_FRAMES`]. True: there is more to do.
    pub(super) fn work(&mut self) -> bool {
        let mut budget = SLICE_FRAMES;
        while budget > 0 {
            match self.jobs.queue.pop_front() {
                None => return false,
                Some(Job::Deliver(delivery, from)) => self.deliver(delivery, from, &mut budget),
                Some(Job::Attach(attach)) => self.attach(*attach),
                Some(Job::Adopt(adopt)) => self.adopt(adopt),
                Some(Job::Recheck(room)) => self.recheck(room),
            }
            budget = budget.saturating_sub(1);
        }
        !self.jobs.queue.is_empty()
    }

    fn deliver(&mut self, delivery: Arc<Delivery>, from: usize, budget: &mut usize) {
        let Some(readers) = self.jobs.rooms.get_mut(&delivery.room) else {
            return; // the last one left meanwhile; its audience was told
        };
        if from == 0 {
            readers.tidy();
        }
        let delivered = readers.delivered;
        let frames_each = delivery.items.len().max(1);
        let to = (from + (*budget / frames_each).max(1)).min(readers.places().len());
        let is_last = to == readers.places().len();
        if is_last {
            let items = delivery.items.iter();
            readers.delivered = items.fold(delivered, |place, item| item.leads_to(place));
        }
        let mut slice = readers.places()[from..to].to_vec();
        *budget = budget.saturating_sub(slice.len() * frames_each);
        self.turn_back(&mut slice, from, &delivery, delivered);
        let mut count = 0;
        // Who is put out by an item gets nothing behind it.
        for run in delivery.items.split_inclusive(|item| item.ends.is_some()) {
            count += self.deliver_run(&slice, run, delivered);
            let last = run.last().filter(|item| item.is_news_at(delivered));
            if let Some(user) = last.and_then(|item| item.ends) {
                self.end_memberships(&mut slice, delivery.room, user);
            }
        }
        self.metrics.deliveries.increment(count);
        if !is_last {
            self.jobs.queue.push_front(Job::Deliver(delivery, to));
        }
    }

    /// Reader by reader: a queue is looked for in memory once, however many items there are. Says how
    /// many frames they are.
    fn deliver_run(&mut self, slice: &[Reader], run: &[Arc<Item>], delivered: Place) -> u64 {
        let mut count = 0;
        for reader in slice {
            let Some(slot) = self.get(reader.slot) else {
                continue;
            };
            let (Some(Identity { user, .. }), codec) = (slot.identity, slot.codec) else {
                continue;
            };
            let gets = |item: &&Arc<Item>| reader.is_live || item.is_ephemeral;
            for item in run.iter().filter(|item| item.is_news_at(delivered)).filter(gets) {
                self.push_item(reader.slot, item, user, codec);
                count += 1;
            }
        }
        count
    }

    /// The connections of `user` get nothing more of the room, beginning with the next item. One
    /// that is not attached was not told so: it is when it asks for more.
    fn end_memberships(&mut self, slice: &mut Vec<Reader>, room: RoomId, user: UserId) {
        slice.retain(|Reader { slot: id, is_live }| {
            let Some(slot) = self.get(*id) else {
                return false;
            };
            let is_over = slot.identity.is_some_and(|identity| identity.user == user);
            if is_over && *is_live {
                let connection = slot.connection.clone();
                self.detach(*id, room);
                self.tell(*id, &connection, ConnectionMessage::Detached(room));
            } else if is_over {
                self.unhear(*id, room);
            }
            !is_over
        });
    }

    fn attach(&mut self, attach: Attach) {
        let Attach { room, slot: id, audience, epoch, head, catch_up, mut reply } = attach;
        let is_live = reply.is_some();
        if let Some(reply) = reply.take_if(|_| !self.fits(id, &catch_up)) {
            reply.send(Attached::Behind(head)); // it reads pages, which do fit
            return self.jobs.count_left(room, audience, epoch);
        }
        let Some((user, codec, is_counted)) = self.advance(id, room, is_live) else {
            return self.jobs.count_left(room, audience, epoch);
        };
        if is_counted {
            self.jobs.set_live(room, id, is_live);
            self.jobs.count_left(room, audience, epoch);
        } else {
            let new = || Readers::new(audience, epoch, head);
            let readers = self.jobs.rooms.entry(room).or_insert_with(new);
            readers.add(Reader { slot: id, is_live });
        }
        // What has no number it has heard, if it is counted.
        for item in catch_up.iter().filter(|item| !(is_counted && item.is_ephemeral)) {
            self.push_item(id, item, user, codec);
        }
        if let Some(reply) = reply {
            reply.send(Attached::Live);
        }
    }

    /// What a reader missed goes into half of its out-queue, so that it is not closed for it. What has
    /// no number was not missed, cannot be read in pages, and is shed where it has no place.
    fn fits(&mut self, id: SlotId, items: &[Arc<Item>]) -> bool {
        let bytes_max = self.limits.outbox_bytes_max;
        let Some((user, codec)) =
            self.get(id).and_then(|slot| Some((slot.identity?.user, slot.codec)))
        else {
            return true; // it is gone
        };
        let missed = items.iter().filter(|item| !item.is_ephemeral);
        let bytes: usize = missed.map(|item| item.bytes_for(user, codec).len()).sum();
        bytes_max == 0 || bytes <= bytes_max / 2
    }

    /// Brings a connection on in a room; says whose it is, and whether it is among its readers
    /// already. `None`: it is gone, or does not want this any more.
    fn advance(
        &mut self,
        id: SlotId,
        room: RoomId,
        to_live: bool,
    ) -> Option<(UserId, Codec, bool)> {
        let slot = self.get(id)?;
        let (user, codec) = (slot.identity?.user, slot.codec);
        let stage = slot.stage(room)?;
        let next = if to_live { stage.attached() } else { stage.heard() };
        let before = std::mem::replace(stage, next?);
        Some((user, codec, before.is_reader()))
    }

    fn adopt(&mut self, adopt: Adopt) {
        let readers = self.jobs.rooms.get_mut(&adopt.room);
        adopt.reply.send(match readers {
            None => Adopted { readers: 0, delivered: None },
            Some(readers) => {
                readers.audience = adopt.audience;
                readers.epoch = adopt.epoch;
                Adopted { readers: readers.count(), delivered: Some(readers.delivered) }
            }
        });
    }

    fn recheck(&mut self, room: RoomId) {
        let Some(readers) = self.jobs.rooms.get(&room) else {
            return;
        };
        for Reader { slot: id, is_live } in readers.places().to_vec() {
            let Some(slot) = self.get(id) else {
                continue;
            };
            if is_live {
                let connection = slot.connection.clone();
                self.tell(id, &connection, ConnectionMessage::Recheck(room));
            } else {
                self.unhear(id, room); // it is looked at before it is attached
            }
        }
    }
}
