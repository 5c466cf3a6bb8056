//! What this node is subscribed to at NATS, brought in line with who listens here.

use super::{Shared, reading};
use async_nats::Subscriber;
use madang_protocol::RoomId;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

/// A room that nobody reads any more is left this much later. A server that is told of an end and of a
/// new beginning at once may keep the end alone (nats-io/nats-server#8233), and readers come back.
const LEAVE_AFTER: Duration = Duration::from_secs(2);
/// How long the client library may take one subscription; then it is tried again.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(1);

/// What may be subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Wanted {
    /// What happens in a room.
    Room(RoomId),
    /// What is asked of this node.
    Questions,
}

/// What has to be looked at: each once, so at most as many as there are.
#[derive(Default)]
pub(super) struct Interest {
    dirty: Mutex<HashSet<Wanted>>,
    changed: Notify,
}

impl Interest {
    /// Somebody came, or the last one went.
    pub(super) fn look_at(&self, wanted: Wanted) {
        self.dirty().insert(wanted);
        self.changed.notify_one();
    }

    /// Waits until there is something to look at.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn take(&self) -> HashSet<Wanted> {
        let mut dirty = self.dirty();
        if dirty.is_empty() { HashSet::new() } else { mem::take(&mut *dirty) }
    }

    fn dirty(&self) -> MutexGuard<'_, HashSet<Wanted>> {
        self.dirty.lock().expect("nothing panics holding it")
    }
}

/// The subscriptions, and those about to end.
pub(super) struct Subscriptions {
    shared: Arc<Shared>,
    active: HashMap<Wanted, Active>,
    /// In the order in which they are due. Each active one is here once at most.
    leaving: VecDeque<(Instant, Wanted)>,
}

struct Active {
    /// Its task owns the subscription, and ends it when it ends.
    reading: AbortHandle,
    is_leaving: bool,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Subscriptions {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, active: HashMap::new(), leaving: VecDeque::new() }
    }

    /// Subscribes to what somebody wants by now, and marks what nobody wants. While no server is
    /// reached it waits for one.
    pub(super) async fn apply(&mut self) {
        if !self.shared.is_connected() {
            return;
        }
        for wanted in self.shared.interest.take() {
            match (self.is_wanted(wanted), self.active.get_mut(&wanted)) {
                (true, None) => self.subscribe(wanted).await,
                (false, Some(_)) if wanted == Wanted::Questions => {
                    drop(self.active.remove(&wanted))
                }
                (false, Some(active)) if !active.is_leaving => {
                    active.is_leaving = true;
                    self.leaving.push_back((Instant::now() + LEAVE_AFTER, wanted));
                }
                _ => {}
            }
        }
    }

    /// Until something is to be left.
    pub(super) async fn until_due(&self) {
        match self.leaving.front() {
            Some((due, _)) => sleep_until(*due).await,
            None => std::future::pending().await,
        }
    }

    /// Leaves what nobody wants even now.
    pub(super) async fn leave_due(&mut self) {
        let now = Instant::now();
        while let Some((due, wanted)) = self.leaving.front().copied() {
            if due > now {
                return;
            }
            self.leaving.pop_front();
            if !self.is_wanted(wanted) {
                self.active.remove(&wanted);
            } else if let Some(active) = self.active.get_mut(&wanted) {
                active.is_leaving = false;
            }
        }
    }

    fn is_wanted(&self, wanted: Wanted) -> bool {
        match wanted {
            Wanted::Room(room) => self.shared.listeners.has_room(room),
            Wanted::Questions => self.shared.serving.get().is_some(),
        }
    }

    async fn subscribe(&mut self, wanted: Wanted) {
        let (shared, subjects) = (self.shared.clone(), &self.shared.subjects);
        let subject = match wanted {
            Wanted::Room(room) => subjects.room(room),
            Wanted::Questions => subjects.node(&shared.me.name),
        };
        let subscribed = timeout(HAND_OVER_WITHIN, self.shared.client.subscribe(subject)).await;
        let Ok(Ok(subscriber)) = subscribed else {
            self.shared.interest.look_at(wanted);
            return;
        };
        let reading = tokio::spawn(read(shared, wanted, subscriber)).abort_handle();
        self.active.insert(wanted, Active { reading, is_leaving: false });
    }
}

async fn read(shared: Arc<Shared>, wanted: Wanted, subscriber: Subscriber) {
    match wanted {
        Wanted::Room(room) => reading::room(&shared, room, subscriber).await,
        Wanted::Questions => reading::questions(&shared, subscriber).await,
    }
}
