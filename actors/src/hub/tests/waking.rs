//! Whoever puts something into an out-queue wakes the hub, which writes it.

use super::*;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    task::{Wake, Waker},
};

/// How often the hub was woken.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

#[test]
fn a_goodbye_does_not_keep_the_next_frame_from_waking_the_hub() {
    let (hub, wakes) = (Hub::new(), Arc::new(Wakes::default()));
    hub.local.core().ready.take(&Waker::from(wakes.clone()));
    let (ann, ben) = (hub.reader(2), hub.reader(3));
    hub.local.farewell(ann.slot);
    hub.local.remove(ann.slot);
    assert!(ann.takes().contains('\u{3}'), "the goodbye is written at once");
    assert_eq!(wakes.take(), 1);
    hub.turns();
    hub.local.push(ben.slot, Sent::Ok, Bytes::from_static(b"first"));
    hub.local.push(ben.slot, Sent::Ok, Bytes::from_static(b"second"));
    assert_eq!(wakes.take(), 1, "one turn writes both");
    hub.turns();
    assert_eq!(ben.takes(), "firstsecond");
}
