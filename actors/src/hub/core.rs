//! The connections of a hub, their out-queues and their sockets.

use super::{
    Identity, Item, Joined, SlotId, Socket, behind::Behind, jobs::Jobs, liveness::Liveness,
    outbox::Outbox, ready::Ready, traffic::Traffic, wanted::Wanted,
};
use crate::{
    batcher::Connected,
    connection::ConnectionMessage,
    kernel::{Address, SendError},
    metrics::{Metrics, Sent, Shed},
};
use bytes::Bytes;
use madang_protocol::{CloseCode, SessionId, UserId, codec::Codec, websocket};
use slab::Slab;
use std::{collections::VecDeque, rc::Rc, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Sessions that ended and are remembered: a connection whose token was found just before its
/// session ended says so some milliseconds after, at most a store's deadline.
pub(super) const ENDED_REMEMBERED: usize = 1_024;

/// The bounds of a hub's connections.
#[derive(Debug, Clone, Copy)]
pub struct HubLimits {
    /// Bytes an out-queue holds; 0 = off. Beyond: ephemeral frames are shed, the oldest first;
    /// without any it is closed with 4008.
    pub outbox_bytes_max: usize,
    /// Frames an out-queue holds; 0 = off. Beyond: ephemeral ones are shed, then as above.
    pub outbox_frames_max: usize,
    /// Pings are sent this often; silent for two of them: closed with 4002.
    pub heartbeat: Duration,
    /// A connection says `hello` within this time, from its start or from when it was told to say it
    /// again, or is closed with 4001.
    pub hello_timeout: Duration,
}

/// A connection as its hub knows it.
pub(super) struct Slot {
    generation: u32,
    pub(super) socket: Rc<dyn Socket>,
    pub(super) outbox: Outbox,
    pub(super) connection: Address<ConnectionMessage>,
    pub(super) codec: Codec,
    /// `None` before its session was found.
    pub(super) identity: Option<Identity>,
    /// Wants every room its user joins.
    pub(super) wants_all: bool,
    /// Bounded by `subscriptions_max`.
    pub(super) rooms: Vec<Wanted>,
    /// Heartbeats without a sign of life.
    pub(super) silent: u8,
    /// It has to say `hello`.
    pub(super) awaits_hello: bool,
    /// Times by which it had to, of which only the last counts.
    pub(super) hellos_due: u16,
    /// The socket took nothing since then; `None`: it took all there was.
    pub(super) blocked_at: Option<Instant>,
    /// It was turned back, and whether it takes anything is looked at.
    pub(super) is_watched: bool,
    pub(super) is_dirty: bool,
    /// It is told to be written to when [`super::liveness::PATIENCE`] is over.
    pub(super) is_patient: bool,
    pub(super) is_blocked: bool,
    pub(super) is_closing: bool,
    pub(super) wants_low: bool,
}

/// Everything a hub knows. Lives as long as its arbiter; a restart empties it.
pub(super) struct Core {
    /// Which of the node's hubs it is.
    pub(super) index: usize,
    pub(super) limits: HubLimits,
    pub(super) metrics: Arc<Metrics>,
    /// The users behind the connections are counted here.
    connected: Connected,
    /// Boxed, so that the slab may grow without room for twice as many connections.
    pub(super) slots: Slab<Box<Slot>>,
    generation: u32,
    /// Have something to write, those first that have it longest.
    pub(super) dirty: VecDeque<SlotId>,
    /// When some of them were left for the next turn.
    pub(super) left_at: Option<Instant>,
    pub(super) ready: Ready,
    pub(super) jobs: Jobs,
    pub(super) behind: Behind,
    pub(super) liveness: Liveness,
    /// The sessions that ended last, and how their connections were closed.
    ended: VecDeque<(SessionId, CloseCode)>,
    pub(super) scratch: Vec<u8>,
    pub(super) traffic: Traffic,
}

impl Core {
    pub(super) fn new(
        index: usize,
        limits: HubLimits,
        metrics: Arc<Metrics>,
        connected: Connected,
    ) -> Self {
        Self {
            index,
            limits,
            metrics,
            connected,
            slots: Slab::new(),
            generation: 0,
            dirty: VecDeque::new(),
            left_at: None,
            ready: Ready::default(),
            jobs: Jobs::default(),
            behind: Behind::default(),
            liveness: Liveness::new(limits.heartbeat, Instant::now()),
            ended: VecDeque::new(),
            scratch: Vec::new(),
            traffic: Traffic::default(),
        }
    }

    pub(super) fn open(
        &mut self,
        socket: Rc<dyn Socket>,
        connection: Address<ConnectionMessage>,
        codec: Codec,
        now: Instant,
    ) -> SlotId {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.slots.insert(Box::new(Slot {
            generation,
            socket,
            outbox: Outbox::default(),
            connection,
            codec,
            identity: None,
            wants_all: false,
            rooms: Vec::new(),
            silent: 0,
            awaits_hello: false,
            hellos_due: 0,
            blocked_at: None,
            is_watched: false,
            is_dirty: false,
            is_patient: false,
            is_blocked: false,
            is_closing: false,
            wants_low: false,
        }));
        let slot = SlotId { index: u32::try_from(index).expect("fewer sockets"), generation };
        self.liveness.opened(slot, fastrand::u64(..));
        self.awaits_hello(slot, now);
        self.metrics.connections.increment(1);
        self.metrics.connections_opened.increment(1);
        slot
    }

    pub(super) fn awaits_hello(&mut self, id: SlotId, now: Instant) {
        let by = now + self.limits.hello_timeout;
        if let Some(slot) = self.get(id) {
            slot.awaits_hello = true;
            slot.hellos_due = slot.hellos_due.saturating_add(1);
            self.liveness.awaits_hello(id, by);
        }
    }

    /// Says who a connection speaks for. One that has to say `hello` again is counted once; one
    /// whose session ended meanwhile is closed. True: the hub has to be woken for it.
    pub(super) fn identify(
        &mut self,
        id: SlotId,
        identity: Identity,
        wants_all: bool,
        now: Instant,
    ) -> bool {
        let Some(slot) = self.get(id) else {
            return false;
        };
        slot.wants_all = wants_all;
        let before = slot.identity.replace(identity);
        self.connected.came(identity.user, now);
        if let Some(before) = before {
            self.connected.went(before, now);
        }
        let ended = self.ended.iter().find(|(session, _)| *session == identity.session);
        match ended.copied() {
            Some((_, code)) => self.close(id, code),
            None => false,
        }
    }

    /// Forgets a connection. Idempotent.
    pub(super) fn remove(&mut self, slot: SlotId) {
        if self.get(slot).is_none() {
            return;
        }
        let gone = self.slots.remove(slot.index as usize);
        self.behind.take(slot);
        self.metrics.connections.decrement(1);
        if let Some(identity) = gone.identity {
            self.connected.went(identity, Instant::now());
        }
        for wanted in gone.rooms.iter().filter(|wanted| wanted.stage.is_reader()) {
            self.jobs.reader_left(wanted.room, slot);
        }
    }

    pub(super) fn get(&mut self, slot: SlotId) -> Option<&mut Slot> {
        find(&mut self.slots, slot)
    }

    /// The connections of which `is_meant` is true.
    pub(super) fn select(&self, is_meant: impl Fn(&Slot) -> bool) -> Vec<SlotId> {
        let meant = self.slots.iter().filter(|(_, slot)| is_meant(slot));
        let ids = meant.map(|(index, slot)| SlotId {
            index: u32::try_from(index).expect("fewer sockets"),
            generation: slot.generation,
        });
        ids.collect()
    }

    /// All of them.
    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|(_, slot)| &**slot)
    }

    /// Who its connections speak for.
    pub(super) fn identities(&self) -> Vec<Identity> {
        self.slots.iter().filter_map(|(_, slot)| slot.identity).collect()
    }

    /// Adds a frame to an out-queue. Beyond its bound ephemeral frames are shed, the oldest first;
    /// a connection for which that is not enough is closed. True: the hub has to be woken for it.
    pub(super) fn push(&mut self, id: SlotId, what: Sent, frame: Bytes) -> bool {
        self.enqueue(id, false, |outbox| outbox.push(what, frame))
    }

    /// As [`Core::push`], for what comes from a room.
    pub(super) fn push_item(&mut self, id: SlotId, item: &Item, user: UserId, codec: Codec) {
        let frame = item.bytes_for(user, codec).clone();
        self.enqueue(id, item.is_patient, |outbox| match item.is_ephemeral {
            true => outbox.push_ephemeral(item.what, frame),
            false => outbox.push(item.what, frame),
        });
    }

    fn enqueue(&mut self, id: SlotId, may_wait: bool, add: impl FnOnce(&mut Outbox)) -> bool {
        let limits = self.limits;
        let Some(slot) = self.get(id) else {
            return false;
        };
        if slot.is_closing {
            return false;
        }
        add(&mut slot.outbox);
        if slot.outbox.is_over(limits) && !slot.is_blocked {
            self.flush_one(id); // it may be our turn that it waits for
        }
        let Some(slot) = self.get(id) else {
            return false;
        };
        let mut shed = 0;
        while slot.outbox.is_over(limits) {
            if !slot.outbox.shed_oldest() {
                self.metrics.shed(Shed::Outbox, shed);
                return self.close(id, CloseCode::TooSlow);
            }
            shed += 1;
        }
        if shed > 0 {
            self.metrics.shed(Shed::Outbox, shed);
        }
        if may_wait {
            self.wait_for_company(id);
            return false;
        }
        self.mark_dirty(id)
    }

    /// What waits for a connection is written with what comes next, or when it has waited long enough.
    fn wait_for_company(&mut self, id: SlotId) {
        let Some(slot) = self.get(id) else {
            return;
        };
        if !slot.is_dirty && !std::mem::replace(&mut slot.is_patient, true) {
            self.liveness.may_wait(id, Instant::now());
        }
    }

    /// Nothing came with which it could have been written.
    pub(super) fn has_waited(&mut self, id: SlotId) {
        let Some(slot) = self.get(id) else {
            return;
        };
        slot.is_patient = false;
        if !slot.outbox.is_empty() {
            self.mark_dirty(id);
        }
    }

    /// Puts a close frame behind what waits; a reader that is too slow for that loses what waits.
    /// Then the peer has [`super::liveness::GOODBYE`] to answer.
    pub(super) fn close(&mut self, id: SlotId, code: CloseCode) -> bool {
        let Some(slot) = self.get(id) else {
            return false;
        };
        if std::mem::replace(&mut slot.is_closing, true) {
            return false;
        }
        if code == CloseCode::TooSlow {
            slot.outbox.clear_whole_frames();
        }
        slot.outbox.push(Sent::Close, websocket::close(code));
        let connection = slot.connection.clone();
        self.tell(id, &connection, ConnectionMessage::Closing);
        self.metrics.close(code);
        self.liveness.closing(id, Instant::now());
        self.mark_dirty(id)
    }

    /// Tells a connection something it must not miss. One that takes nothing more is ended.
    pub(super) fn tell(
        &self,
        slot: SlotId,
        connection: &Address<ConnectionMessage>,
        message: ConnectionMessage,
    ) {
        if let Err(SendError::Full(_)) = connection.try_send(message) {
            tracing::warn!(?slot, "connection does not take its messages");
            connection.stop();
        }
    }

    /// Tells those who want all their rooms of a new one.
    pub(super) fn joined(&mut self, joined: &Joined) {
        for (user, role) in &joined.members {
            let is_meant = |slot: &Slot| {
                slot.wants_all && slot.identity.is_some_and(|identity| identity.user == *user)
            };
            for id in self.select(is_meant) {
                let Some(slot) = self.get(id) else {
                    continue;
                };
                let connection = slot.connection.clone();
                let message = ConnectionMessage::Joined(joined.room, joined.heads, *role);
                self.tell(id, &connection, message);
            }
        }
    }

    /// Closes the connections of sessions that ended.
    pub(super) fn end_sessions(&mut self, sessions: &[SessionId], code: CloseCode) {
        let is_meant =
            |slot: &Slot| slot.identity.is_some_and(|known| sessions.contains(&known.session));
        for id in self.select(is_meant) {
            self.close(id, code);
        }
        self.ended.extend(sessions.iter().map(|session| (*session, code)));
        let surplus = self.ended.len().saturating_sub(ENDED_REMEMBERED);
        self.ended.drain(..surplus);
    }

    /// Wants to be told once half of the out-queue is free.
    pub(super) fn is_low(&mut self, id: SlotId, tell_me: bool) -> bool {
        let limits = self.limits;
        let Some(slot) = self.get(id) else {
            return false;
        };
        let is_low = slot.outbox.is_low(limits);
        slot.wants_low = tell_me && !is_low;
        is_low
    }

    /// Answers a goodbye: a close frame, written now or never, because the peer waits for nothing
    /// else. True: the hub has to be woken, which is how the slot leaves those to be flushed; the
    /// next that is marked would not wake it while there is another.
    pub(super) fn farewell(&mut self, id: SlotId) -> bool {
        let wakes = self.close(id, CloseCode::Normal);
        self.flush_one(id);
        wakes
    }

    /// Sockets that were blocked and can be written again.
    pub(super) fn unblock(&mut self, slots: Vec<SlotId>) {
        for id in slots {
            if let Some(slot) = self.get(id) {
                slot.is_blocked = false;
                self.mark_dirty(id);
            }
        }
    }

    /// Ends everything with 1012, after a fault of the hub itself.
    pub(super) fn reset(&mut self) {
        for id in self.select(|_| true) {
            self.close(id, CloseCode::Restart);
        }
        while self.flush() {}
        for (_, slot) in &self.slots {
            slot.connection.stop();
        }
        self.jobs.abandon();
    }

    /// True if it is the only one.
    pub(super) fn mark_dirty(&mut self, id: SlotId) -> bool {
        let Some(slot) = self.get(id) else {
            return false;
        };
        if slot.is_blocked || std::mem::replace(&mut slot.is_dirty, true) {
            return false;
        }
        self.dirty.push_back(id);
        self.dirty.len() == 1
    }
}

/// The connection, unless its slot was given to another.
pub(super) fn find(slots: &mut Slab<Box<Slot>>, id: SlotId) -> Option<&mut Slot> {
    let found = slots.get_mut(id.index as usize)?;
    (found.generation == id.generation).then_some(found)
}

impl Outbox {
    fn is_over(&self, limits: HubLimits) -> bool {
        let over = |value: usize, bound: usize| bound > 0 && value > bound;
        over(self.bytes(), limits.outbox_bytes_max) || over(self.frames(), limits.outbox_frames_max)
    }

    /// What rooms send may fill it up to three quarters: the rest is for answers to its own requests.
    pub(super) fn has_place(&self, frames: usize, bytes: usize, limits: HubLimits) -> bool {
        let fits = |value: usize, bound: usize| bound == 0 || value <= bound - bound / 4;
        fits(self.bytes_kept() + bytes, limits.outbox_bytes_max)
            && fits(self.frames_kept() + frames, limits.outbox_frames_max)
    }

    pub(super) fn is_low(&self, limits: HubLimits) -> bool {
        let low = |value: usize, bound: usize| bound == 0 || value < bound / 2;
        low(self.bytes(), limits.outbox_bytes_max) && low(self.frames(), limits.outbox_frames_max)
    }
}
