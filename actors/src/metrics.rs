//! Every metric of the actors, resolved once: two nodes may live in one process, so nothing here
//! looks at the process-wide recorder later.

use madang_protocol::{CloseCode, ErrorCode, Operation};
use metrics::{Counter, Gauge, counter, gauge};

/// Handles to all of them. Make it inside `metrics::with_local_recorder`.
pub struct Metrics {
    /// Open WebSocket connections past the upgrade.
    pub connections: Gauge,
    /// Rooms with a home actor here.
    pub rooms: Gauge,
    /// Rooms with readers here.
    pub audiences: Gauge,
    /// Frames put into out-queues for readers of a room.
    pub deliveries: Counter,
    /// Ephemeral frames dropped from out-queues that were full.
    pub shed: Counter,
    /// Bytes written to sockets.
    pub bytes_out: Counter,
    /// Messages read from the log for readers that came back.
    pub replayed: Counter,
    /// Event batches a full audience did not take; it fetches them itself.
    pub bus_dropped: Counter,
    /// What has no number and a full audience did not take.
    pub ephemeral_dropped: Counter,
    /// Times an audience fetched what it missed.
    pub repairs: Counter,
    /// Reads answered by a read that was under way already.
    pub reads_merged: Counter,
    requests: Vec<(&'static str, Counter)>,
    refusals: Vec<(ErrorCode, Counter)>,
    closes: Vec<(CloseCode, Counter)>,
    panics: Vec<(&'static str, Counter)>,
    restarts: Vec<(&'static str, Counter)>,
}

/// The kinds of actors, as their metric label.
const KINDS: [&str; 9] = [
    "connection",
    "hub",
    "room",
    "audience",
    "store_writer",
    "store_reader",
    "supervisor",
    "batcher",
    "session_check",
];

impl Metrics {
    /// Resolves the handles from the recorder that is current now.
    pub fn new() -> Self {
        Self {
            connections: gauge!("madang_connections"),
            rooms: gauge!("madang_rooms"),
            audiences: gauge!("madang_audiences"),
            deliveries: counter!("madang_deliveries_total"),
            shed: counter!("madang_shed_frames_total"),
            bytes_out: counter!("madang_bytes_out_total"),
            replayed: counter!("madang_replayed_messages_total"),
            bus_dropped: counter!("madang_bus_dropped_total"),
            ephemeral_dropped: counter!("madang_ephemeral_dropped_total"),
            repairs: counter!("madang_repairs_total"),
            reads_merged: counter!("madang_reads_merged_total"),
            requests: labelled(
                Operation::NAMES,
                |op| counter!("madang_requests_total", "op" => op),
            ),
            refusals: labelled(
                ErrorCode::ALL,
                |code| counter!("madang_refusals_total", "code" => code.name()),
            ),
            closes: labelled(
                CloseCode::ALL,
                |code| counter!("madang_closes_total", "code" => code.number().to_string()),
            ),
            panics: labelled(KINDS, |kind| counter!("madang_actor_panics_total", "actor" => kind)),
            restarts: labelled(
                KINDS,
                |kind| counter!("madang_actor_restarts_total", "actor" => kind),
            ),
        }
    }

    /// A request was read.
    pub fn request(&self, operation: &Operation) {
        count(&self.requests, operation.name());
    }

    /// A client was refused something.
    pub fn refusal(&self, code: ErrorCode) {
        count(&self.refusals, code);
    }

    /// The node closed a connection.
    pub fn close(&self, code: CloseCode) {
        count(&self.closes, code);
    }

    /// An actor of this kind panicked.
    pub fn panic(&self, kind: &'static str) {
        count(&self.panics, kind);
    }

    /// An actor of this kind is built anew.
    pub fn restart(&self, kind: &'static str) {
        count(&self.restarts, kind);
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn labelled<L: Copy, const N: usize>(
    labels: [L; N],
    resolve: impl Fn(L) -> Counter,
) -> Vec<(L, Counter)> {
    labels.map(|label| (label, resolve(label))).into()
}

fn count<L: PartialEq>(counters: &[(L, Counter)], label: L) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == label) {
        counter.increment(1);
    }
}
