//! Time limits of connections: `hello`, heartbeats, goodbyes.

use super::{
    SlotId,
    core::{Core, Slot},
    wheel::Wheel,
};
use crate::metrics::Sent;
use madang_protocol::{CloseCode, frame::NodeFrame, websocket};
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// How long a peer may take to answer a close frame that was written.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);
/// How long one may take that has much to read before its close frame can be written.
pub(super) const LINGER: Duration = Duration::from_secs(30);
/// A reader that was turned back is too slow when its socket took nothing for this long.
pub(super) const STUCK: Duration = Duration::from_secs(2);
/// What may wait for company is written without it at the first tick after this time.
pub(super) const PATIENCE: Duration = Duration::from_millis(250);
/// Heartbeats without a sign of life after which a connection is closed.
const SILENT_HEARTBEATS: u8 = 2;

/// Who has to do what until when. Each list is in order of time, because its delay is constant.
///
/// A peer is judged by the tick before ([`Liveness::judged_until`]): what it did in time has been
/// read by then, even if the node stood still until after the deadline.
pub(super) struct Liveness {
    wheel: Wheel,
    /// When the hub ticked before.
    ticked: Instant,
    /// Bounded by the connections and the frames that one may send.
    hellos: VecDeque<(Instant, SlotId)>,
    goodbyes: VecDeque<(Instant, SlotId)>,
    lingers: VecDeque<(Instant, SlotId)>,
    /// Readers that were turned back, each once.
    watched: VecDeque<(Instant, SlotId)>,
    /// Those for whom only such things wait as may wait, each once.
    patient: VecDeque<(Instant, SlotId)>,
    /// Sorted when it is filled, once in a node's life.
    goaways: VecDeque<(Instant, SlotId)>,
}

impl Liveness {
    pub(super) fn new(heartbeat: Duration, now: Instant) -> Self {
        Self {
            wheel: Wheel::new(heartbeat),
            ticked: now,
            hellos: VecDeque::new(),
            goodbyes: VecDeque::new(),
            lingers: VecDeque::new(),
            watched: VecDeque::new(),
            patient: VecDeque::new(),
            goaways: VecDeque::new(),
        }
    }

    pub(super) fn tick(&self) -> Duration {
        self.wheel.tick()
    }

    /// Deadlines until then count as missed.
    pub(super) fn judged_until(&self) -> Instant {
        self.ticked
    }

    pub(super) fn opened(&mut self, slot: SlotId, random: u64) {
        self.wheel.add(slot, random);
    }

    pub(super) fn awaits_hello(&mut self, slot: SlotId, by: Instant) {
        self.hellos.push_back((by, slot));
    }

    pub(super) fn turned_back(&mut self, slot: SlotId, now: Instant) {
        self.watched.push_back((now + STUCK, slot));
    }

    pub(super) fn may_wait(&mut self, slot: SlotId, now: Instant) {
        self.patient.push_back((now + PATIENCE, slot));
    }

    pub(super) fn closing(&mut self, slot: SlotId, now: Instant) {
        self.goodbyes.push_back((now + GOODBYE, slot));
        self.lingers.push_back((now + LINGER, slot));
    }
}

impl Core {
    /// One turn of the wheel, and every deadline that had passed at the tick before.
    pub(super) fn tick(&mut self, now: Instant) {
        self.heartbeat();
        let judged = self.liveness.judged_until();
        for slot in due(&mut self.liveness.hellos, judged) {
            if self.get(slot).is_some_and(|slot| slot.is_late_with_hello()) {
                self.close(slot, CloseCode::Unauthenticated);
            }
        }
        for slot in due(&mut self.liveness.goaways, now) {
            self.close(slot, CloseCode::Restart);
        }
        for slot in due(&mut self.liveness.goodbyes, judged) {
            if let Some(slot) = self.get(slot)
                && slot.outbox.is_empty()
            {
                slot.connection.stop();
            }
        }
        for slot in due(&mut self.liveness.lingers, judged) {
            if let Some(slot) = self.get(slot) {
                slot.connection.stop();
            }
        }
        for slot in due(&mut self.liveness.watched, judged) {
            self.look_after(slot, now);
        }
        self.end_patience(now);
        self.jobs.report_left(self.index);
        self.liveness.ticked = now;
    }

    /// What waited for company, and had none, is written without.
    pub(super) fn end_patience(&mut self, now: Instant) {
        for slot in due(&mut self.liveness.patient, now) {
            self.has_waited(slot);
        }
    }

    /// Tells everybody to come back elsewhere, each at its own time within `within`.
    pub(super) fn goaway(&mut self, within: Duration, now: Instant) {
        let mut goaways = Vec::new();
        for id in self.select(|_| true) {
            let after = within.mul_f64(fastrand::f64());
            let reconnect_after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            if let Some(slot) = self.get(id) {
                let frame = NodeFrame::Goaway { reason: "the node restarts", reconnect_after_ms };
                let frame = slot.codec.encode(&frame);
                self.push(id, Sent::Goaway, frame);
                goaways.push((now + after, id));
            }
        }
        goaways.sort_by_key(|(at, _)| *at);
        self.liveness.goaways.extend(goaways);
    }

    fn heartbeat(&mut self) {
        let mut visited = Vec::new();
        let mut wheel = std::mem::replace(&mut self.liveness.wheel, Wheel::new(Duration::ZERO));
        wheel.turn(|id| match self.get(id) {
            None => false,
            Some(slot) => {
                slot.silent = if slot.socket.has_answered() { 1 } else { slot.silent + 1 };
                visited.push((id, slot.silent > SILENT_HEARTBEATS));
                true
            }
        });
        self.liveness.wheel = wheel;
        for (id, is_silent) in visited {
            if is_silent {
                self.close(id, CloseCode::Silent);
            } else {
                self.push(id, Sent::Ping, websocket::ping());
            }
        }
    }
}

impl Slot {
    /// One of its times is over.
    fn is_late_with_hello(&mut self) -> bool {
        self.hellos_due = self.hellos_due.saturating_sub(1);
        self.awaits_hello && self.hellos_due == 0
    }
}

fn due(list: &mut VecDeque<(Instant, SlotId)>, until: Instant) -> Vec<SlotId> {
    let mut due = Vec::new();
    while list.front().is_some_and(|(at, _)| *at <= until) {
        due.extend(list.pop_front().map(|(_, slot)| slot));
    }
    due
}
