//! Who listens on this node: to rooms, and to announcements.

use crate::{
    Subscription,
    bus::{Deliver, Hear, Heard},
};
use dashmap::DashMap;
use madang_protocol::{Publication, RoomId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

/// The listeners. As many as there are subscriptions.
#[derive(Default)]
pub(crate) struct Listeners {
    rooms: DashMap<RoomId, Vec<(u64, Deliver)>>,
    /// In the order they came, so that a simulated world repeats itself.
    hearing: Mutex<BTreeMap<u64, Arc<Hear>>>,
    next: AtomicU64,
}

/// A table of listeners that others hold as well.
pub(crate) trait HasListeners: Send + Sync + 'static {
    /// The table.
    fn listeners(&self) -> &Listeners;
    /// The first of a room came, or the last went.
    fn interest_changed(&self, _room: RoomId) {}
}

impl Listeners {
    /// Tells subscriptions apart.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls those of its room, on this thread.
    pub(crate) fn deliver(&self, publication: &Publication) {
        if let Some(of_room) = self.rooms.get(&publication.room()) {
            for (_, deliver) in of_room.iter() {
                deliver(publication);
            }
        }
    }

    /// Somebody listens to `room`.
    pub(crate) fn has_room(&self, room: RoomId) -> bool {
        self.rooms.contains_key(&room)
    }

    /// Calls all that hear announcements, on this thread.
    pub(crate) fn hear(&self, heard: &Heard) {
        let hearing: Vec<Arc<Hear>> = self.hearing().values().cloned().collect();
        for hear in hearing {
            hear(heard.clone());
        }
    }

    fn hearing(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Hear>>> {
        self.hearing.lock().expect("nothing panics holding it")
    }
}

/// Adds a listener of `room`, until the subscription is dropped.
pub(crate) fn subscribe(
    of: &Arc<impl HasListeners>,
    room: RoomId,
    deliver: Deliver,
) -> Subscription {
    let (of, number) = (of.clone(), of.listeners().number());
    let is_first = {
        let mut of_room = of.listeners().rooms.entry(room).or_default();
        of_room.push((number, deliver));
        of_room.len() == 1
    };
    if is_first {
        of.interest_changed(room);
    }
    Subscription::new(move || {
        let rooms = &of.listeners().rooms;
        if let Some(mut of_room) = rooms.get_mut(&room) {
            of_room.retain(|(other, _)| *other != number);
        }
        if rooms.remove_if(&room, |_, of_room| of_room.is_empty()).is_some() {
            of.interest_changed(room);
        }
    })
}

/// Adds one that hears announcements, until the subscription is dropped.
pub(crate) fn hear(of: &Arc<impl HasListeners>, hear: Hear) -> Subscription {
    let (of, number) = (of.clone(), of.listeners().number());
    of.listeners().hearing().insert(number, Arc::new(hear));
    Subscription::new(move || drop(of.listeners().hearing().remove(&number)))
}
