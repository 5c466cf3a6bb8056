//! The bus: what happens in a room, to every node with readers.

use madang_protocol::{Publication, RoomId};

/// Carries publications to the subscribers of their room.
///
/// Those of one publisher and room that arrive, arrive in order; any may be missing.
pub trait Bus: Send + Sync + 'static {
    /// Hands it to whoever subscribes to its room now. Never waits.
    fn publish(&self, publication: &Publication);

    /// Calls `deliver` for every publication of `room` published from now on, until the subscription
    /// is dropped. `deliver` must not wait: it runs on the bus's own thread, or the publisher's.
    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription;
}

/// Takes one publication; what does not fit is dropped by whoever cannot take it.
pub type Deliver = Box<dyn Fn(&Publication) + Send + Sync>;

/// Ends when dropped.
pub struct Subscription(Option<Box<dyn FnOnce() + Send + Sync>>);

impl Subscription {
    /// Runs `end` when dropped.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self(Some(Box::new(end)))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}
