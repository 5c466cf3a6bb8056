//! Tells which of many blocked sockets can be written again, without asking them all.

use super::SlotId;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// Slots whose sockets became writable. Bounded by the blocked sockets: each is in it at most
/// once, since it registers again only after it was taken out.
#[derive(Default)]
pub(super) struct Ready(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    slots: Vec<SlotId>,
    hub: Option<Waker>,
}

struct SlotWaker {
    slot: SlotId,
    ready: Arc<Mutex<State>>,
}

impl Ready {
    /// A waker that notes the slot and wakes the hub.
    pub(super) fn waker(&self, slot: SlotId) -> Waker {
        Waker::from(Arc::new(SlotWaker { slot, ready: self.0.clone() }))
    }

    /// The slots noted since the last call. The hub is woken by the next.
    pub(super) fn take(&self, hub: &Waker) -> Vec<SlotId> {
        let mut state = lock(&self.0);
        if !state.hub.as_ref().is_some_and(|known| known.will_wake(hub)) {
            state.hub = Some(hub.clone());
        }
        std::mem::take(&mut state.slots)
    }

    /// Wakes the hub: something waits for it that is not in its inbox.
    pub(super) fn wake_hub(&self) {
        if let Some(hub) = &lock(&self.0).hub {
            hub.wake_by_ref();
        }
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        let mut state = lock(&self.ready);
        state.slots.push(self.slot);
        if let Some(hub) = &state.hub {
            hub.wake_by_ref();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
