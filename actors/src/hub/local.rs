//! A hub as seen from the connections beside it, on the same thread.

use super::{HubLimits, Identity, Received, SlotId, Socket, core::Core};
use crate::{
    batcher::Connected,
    connection::ConnectionMessage,
    kernel::Address,
    metrics::{Metrics, Sent},
};
use bytes::Bytes;
use madang_protocol::{CloseCode, Place, RoomId, codec::Codec};
use std::{
    cell::{RefCell, RefMut},
    rc::Rc,
    sync::Arc,
};
use tokio::time::Instant;

/// Shared by a hub and its connections; never leaves their thread. No call holds on to it, so
/// none can meet another.
#[derive(Clone)]
pub struct LocalHub {
    core: Rc<RefCell<Core>>,
}

impl LocalHub {
    pub(super) fn new(
        index: usize,
        limits: HubLimits,
        metrics: Arc<Metrics>,
        connected: Connected,
    ) -> Self {
        Self { core: Rc::new(RefCell::new(Core::new(index, limits, metrics, connected))) }
    }

    /// Its place among the node's hubs.
    pub fn index(&self) -> usize {
        self.core().index
    }

    /// Takes a new connection.
    pub fn open(
        &self,
        socket: Rc<dyn Socket>,
        connection: Address<ConnectionMessage>,
        codec: Codec,
    ) -> SlotId {
        self.core().open(socket, connection, codec, Instant::now())
    }

    /// Forgets a connection and drops its socket.
    pub fn remove(&self, slot: SlotId) {
        self.core().remove(slot);
    }

    /// The connection said `hello`: from now on it waits for us.
    pub fn hello_was_said(&self, slot: SlotId) {
        if let Some(slot) = self.core().get(slot) {
            slot.awaits_hello = false;
        }
    }

    /// The connection has to say `hello` again, in time.
    pub fn awaits_hello(&self, slot: SlotId) {
        self.core().awaits_hello(slot, Instant::now());
    }

    /// Says who a connection speaks for, and whether it wants every room its user joins. One whose
    /// session ended meanwhile is closed.
    pub fn identify(&self, slot: SlotId, identity: Identity, wants_all: bool) {
        let mut core = self.core();
        if core.identify(slot, identity, wants_all, Instant::now()) {
            core.ready.wake_hub();
        }
    }

    /// The connection gave a sign of life.
    pub fn touch(&self, slot: SlotId) {
        if let Some(slot) = self.core().get(slot) {
            slot.silent = 0;
        }
    }

    /// A frame of so many bytes was read. Told in the hub's next turn.
    pub fn received(&self, what: Received, bytes: usize) {
        self.core().traffic.received(what, bytes);
    }

    /// Puts a frame into a connection's out-queue; it is written at the end of the hub's turn.
    pub fn push(&self, slot: SlotId, what: Sent, frame: Bytes) {
        let mut core = self.core();
        if core.push(slot, what, frame) {
            core.ready.wake_hub();
        }
    }

    /// Closes a connection after what waits in its out-queue.
    pub fn close(&self, slot: SlotId, code: CloseCode) {
        let mut core = self.core();
        if core.close(slot, code) {
            core.ready.wake_hub();
        }
    }

    /// Answers the peer's goodbye.
    pub fn farewell(&self, slot: SlotId) {
        let mut core = self.core();
        if core.farewell(slot) {
            core.ready.wake_hub();
        }
    }

    /// Up to which `seq` a connection was served in a room, which is committed; `None`: it is not
    /// attached to the room. Who is attached is a member of it.
    pub fn delivered(&self, slot: SlotId, room: RoomId) -> Option<u64> {
        self.core().delivered(slot, room)
    }

    /// A connection wants a room, from a place on where it is not attached yet.
    pub fn want(&self, slot: SlotId, room: RoomId) {
        self.core().want(slot, room);
    }

    /// The audience of a room that is wanted is asked to attach its connection. One attachment is
    /// made for it, unless the room is wanted anew, or no more, before.
    pub fn ask(&self, slot: SlotId, room: RoomId) {
        self.core().ask(slot, room);
    }

    /// A connection wants no more of a room, and gets nothing of it from now on.
    pub fn detach(&self, slot: SlotId, room: RoomId) {
        self.core().detach(slot, room);
    }

    /// The rooms that a connection was turned back in since the last call, and where it stands.
    pub fn take_behind(&self, slot: SlotId) -> Vec<(RoomId, Place)> {
        self.core().behind.take(slot)
    }

    /// True when the out-queue is less than half full; otherwise the connection gets
    /// [`ConnectionMessage::Low`] once it is, if `tell_me`.
    pub fn is_low(&self, slot: SlotId, tell_me: bool) -> bool {
        self.core().is_low(slot, tell_me)
    }

    pub(super) fn core(&self) -> RefMut<'_, Core> {
        self.core.borrow_mut()
    }
}
