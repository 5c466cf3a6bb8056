//! The bus of a single node.

use crate::bus::{Bus, Deliver, Subscription};
use dashmap::DashMap;
use madang_protocol::{EventBatch, RoomId};
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
    fn publish(&self, batch: &Arc<EventBatch>) {
        if let Some(subscribers) = self.subscribers.get(&batch.room) {
            for (_, deliver) in subscribers.iter() {
                deliver(batch);
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
    use madang_protocol::Heads;
    use std::sync::Mutex;

    fn batch(room: RoomId, last_seq: u64) -> Arc<EventBatch> {
        let after = Heads { last_seq, ..Heads::default() };
        Arc::new(EventBatch { room, before: Heads::default(), after, events: Vec::new() })
    }

    #[test]
    fn reaches_the_subscribers_of_the_room_until_they_end() {
        let (one, other) = (RoomId([1; 15]), RoomId([2; 15]));
        let bus = InProcess::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = |who: &'static str| {
            let seen = seen.clone();
            Box::new(move |batch: &Arc<EventBatch>| {
                seen.lock().unwrap().push((who, batch.after.last_seq));
            })
        };
        let first = bus.subscribe(one, record("first"));
        let _second = bus.subscribe(one, record("second"));
        let _third = bus.subscribe(other, record("third"));
        bus.publish(&batch(one, 1));
        drop(first);
        bus.publish(&batch(one, 2));
        bus.publish(&batch(other, 3));
        bus.publish(&batch(RoomId([3; 15]), 4));
        let expected = [("first", 1), ("second", 1), ("second", 2), ("third", 3)];
        assert_eq!(*seen.lock().unwrap(), expected);
    }

    #[test]
    fn nothing_is_kept_for_rooms_without_subscribers() {
        let bus = InProcess::new();
        drop(bus.subscribe(RoomId([1; 15]), Box::new(|_| {})));
        assert!(bus.subscribers.is_empty());
    }
}
