//! The bus of a single node.

use crate::bus::{Bus, Deliver, Subscription};
use dashmap::DashMap;
use madang_protocol::{Publication, RoomId};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Calls the subscribers on the publisher's thread.
#[derive(Clone, Default)]
pub struct InProcess {
    subscribers: Arc<DashMap<RoomId, Vec<(u64, Deliver)>>>,
    next: Arc<AtomicU64>,
}

impl InProcess {
    /// A bus without subscribers.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Bus for InProcess {
    fn publish(&self, publication: &Publication) {
        if let Some(subscribers) = self.subscribers.get(&publication.room()) {
            for (_, deliver) in subscribers.iter() {
                deliver(publication);
            }
        }
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.subscribers.entry(room).or_default().push((number, deliver));
        let subscribers = self.subscribers.clone();
        Subscription::new(move || {
            if let Some(mut of_room) = subscribers.get_mut(&room) {
                of_room.retain(|(other, _)| *other != number);
            }
            subscribers.remove_if(&room, |_, of_room| of_room.is_empty());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn conforms() {
        conformance::reaches_subscribers_until_they_end(&InProcess::new());
        conformance::ephemerals_go_the_same_way(&InProcess::new());
        conformance::nothing_is_kept_for_later_subscribers(&InProcess::new());
        conformance::one_that_ends_leaves_the_others(&InProcess::new());
    }

    #[test]
    fn nothing_is_kept_of_rooms_without_subscribers() {
        let bus = InProcess::new();
        drop(bus.subscribe(RoomId([1; 15]), Box::new(|_| {})));
        assert!(bus.subscribers.is_empty());
    }
}
