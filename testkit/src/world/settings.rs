//! The settings of a node that is simulated, and the shape of its world.

use fastrand::Rng;
use madang_actors::{connection::ConnectionLimits, hub::HubLimits};
use std::time::Duration;

/// What a node works by.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Longest wait of a send.
    pub send_wait: Duration,
    /// Longest wait of a read.
    pub read_wait: Duration,
    /// Between two bulk writes of receipts.
    pub receipt_flush: Duration,
    /// Of a connection.
    pub connection: ConnectionLimits,
    /// Of a hub.
    pub hub: HubLimits,
    /// How long an end in order may take.
    pub drain: Duration,
}

impl Settings {
    /// The node's own defaults but for what makes rare things frequent: small out-queues, short
    /// replays.
    pub fn drawn(rng: &mut Rng) -> Self {
        let outbox_bytes_max = [64 * 1024, 1024 * 1024][rng.usize(0..2)];
        let heartbeat = Duration::from_secs(25);
        Self {
            send_wait: Duration::from_secs([3, 15][rng.usize(0..2)]),
            read_wait: Duration::from_secs(5),
            receipt_flush: Duration::from_secs(1),
            connection: ConnectionLimits {
                frames_per_second: 0,
                frames_burst: 0,
                in_flight_sends: 32,
                body_bytes_max: 16 * 1024,
                subscriptions_max: 1_000,
                replay_limit: [10, 1_000][rng.usize(0..2)],
                page_bytes_max: outbox_bytes_max / 4,
                presence_members_max: 1_000,
                heartbeat_ms: 25_000,
                frame_bytes_max: 128 * 1024,
            },
            hub: HubLimits {
                outbox_bytes_max,
                outbox_frames_max: 4_096,
                heartbeat,
                hello_timeout: Duration::from_secs(10),
            },
            drain: Duration::from_secs(10),
        }
    }
}
