//! Every metric of the bus, resolved once: two nodes may live in one process, so nothing here looks at
//! the process-wide recorder later. `docs/metrics.md` lists them; a test compares.

use crate::envelope::Kind;
use metrics::{Counter, Gauge, counter, describe_counter, describe_gauge, gauge};

/// Messages handed to the bus, by `kind`.
const SENT: &str = "madang_bus_sent_total";
/// Messages of other nodes, by `kind`.
const HEARD: &str = "madang_bus_heard_total";
/// Messages that were not sent, by `reason`.
const DROPPED: &str = "madang_bus_dropped_total";
/// Messages that were not understood, by `reason`.
const UNREADABLE: &str = "madang_bus_unreadable_total";
/// Times that anything may have been missed.
const GAPS: &str = "madang_bus_gaps_total";
/// 1 = a server of the bus is reached.
const CONNECTED: &str = "madang_bus_connected";

/// The kinds that are counted, by number.
const KINDS: [Kind; 6] =
    [Kind::Batch, Kind::Ephemeral, Kind::Heartbeat, Kind::Notice, Kind::Question, Kind::Answer];

/// Why a message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    /// Too many waited.
    Full,
    /// No server is reached.
    Unreachable,
    /// It waited too long.
    Late,
    /// It is larger than a server carries.
    TooLarge,
}

const DROPS: [&str; 4] = ["full", "unreachable", "late", "too_large"];
const UNREAD: [&str; 2] = ["newer", "junk"];

/// The handles.
pub struct Metrics {
    sent: [Counter; KINDS.len()],
    heard: [Counter; KINDS.len()],
    dropped: [Counter; DROPS.len()],
    unreadable: [Counter; UNREAD.len()],
    gaps: Counter,
    connected: Gauge,
}

impl Metrics {
    /// Resolves the handles, from the recorder that is current.
    pub fn new() -> Self {
        describe();
        Self {
            sent: KINDS.map(|kind| counter!(SENT, "kind" => kind.name())),
            heard: KINDS.map(|kind| counter!(HEARD, "kind" => kind.name())),
            dropped: DROPS.map(|reason| counter!(DROPPED, "reason" => reason)),
            unreadable: UNREAD.map(|reason| counter!(UNREADABLE, "reason" => reason)),
            gaps: counter!(GAPS),
            connected: gauge!(CONNECTED),
        }
    }

    pub(crate) fn sent(&self, kind: Kind) {
        count(&self.sent, kind);
    }

    pub(crate) fn heard(&self, kind: Kind) {
        count(&self.heard, kind);
    }

    pub(crate) fn dropped(&self, reason: Dropped) {
        self.dropped[reason as usize].increment(1);
    }

    pub(crate) fn unreadable(&self, is_newer: bool) {
        self.unreadable[usize::from(!is_newer)].increment(1);
    }

    pub(crate) fn gap(&self) {
        self.gaps.increment(1);
    }

    pub(crate) fn connected(&self, is_connected: bool) {
        self.connected.set(if is_connected { 1 } else { 0 });
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn count(counters: &[Counter], kind: Kind) {
    if let Some(counter) = KINDS.iter().position(|known| *known == kind) {
        counters[counter].increment(1);
    }
}

fn describe() {
    describe_counter!(SENT, "Messages handed to the bus, by kind");
    describe_counter!(HEARD, "Messages heard from other nodes, by kind");
    describe_counter!(DROPPED, "Messages the bus did not take, by reason");
    describe_counter!(UNREADABLE, "Messages of the bus that were not understood, by reason");
    describe_counter!(GAPS, "Times that something may have been missed on the bus");
    describe_gauge!(CONNECTED, "1 while a server of the bus is reached");
}
