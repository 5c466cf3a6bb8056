//! A bus that loses, repeats, delays and so reorders.

use super::trouble::Trouble;
use madang_cluster::{Bus, InProcess, Subscription, bus::Deliver};
use madang_protocol::{Publication, RoomId};
use std::{sync::Arc, time::Duration};

/// A bus within one node, in trouble.
pub(super) struct FaultyBus {
    inner: InProcess,
    trouble: Arc<Trouble>,
}

/// What becomes of a publication.
#[derive(Debug, Clone, Copy)]
pub(super) enum Passage {
    /// It arrives at once.
    Through,
    /// It does not.
    Lost,
    /// It arrives later, so that others overtake it.
    Late(Duration),
    /// It arrives, and again later.
    Twice(Duration),
}

impl FaultyBus {
    pub(super) fn new(trouble: Arc<Trouble>) -> Self {
        Self { inner: InProcess::new(), trouble }
    }

    fn later(&self, after: Duration, publication: &Publication) {
        let (inner, publication) = (self.inner.clone(), publication.clone());
        tokio::task::spawn_local(async move {
            tokio::time::sleep(after).await;
            inner.publish(&publication);
        });
    }
}

impl Bus for FaultyBus {
    fn publish(&self, publication: &Publication) {
        match self.trouble.passage() {
            Passage::Through => self.inner.publish(publication),
            Passage::Lost => {}
            Passage::Late(after) => self.later(after, publication),
            Passage::Twice(after) => {
                self.inner.publish(publication);
                self.later(after, publication);
            }
        }
    }

    fn subscribe(&self, room: RoomId, deliver: Deliver) -> Subscription {
        self.inner.subscribe(room, deliver)
    }
}
