//! Ends of buses over real servers.

use madang_cluster::{
    Bus, Nats, NodeName, Peer,
    bus::{Heard, Subscription, Topic},
    metrics::Metrics,
    nats::{self, Credentials, OpenError, Options},
    subjects::ClusterName,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Options of a node on a cluster that no other test is on.
pub(crate) fn options(urls: Vec<String>, name: &str) -> Options {
    Options {
        urls,
        cluster: ClusterName::new("test").unwrap(),
        me: Peer { name: NodeName::new(name).unwrap(), incarnation: 1 },
        credentials: Credentials::None,
        certificate_authority: None,
        patience: Duration::from_secs(20),
    }
}

/// A cluster's name that no other test has.
pub(crate) fn fresh_cluster() -> ClusterName {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    ClusterName::new(&format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// Comes onto the bus.
pub(crate) async fn open(options: Options) -> Result<Nats, OpenError> {
    nats::open(options, Metrics::new(), |_| {}).await
}

/// Counts what an end hears.
pub(crate) struct Ears {
    /// Gaps.
    pub(crate) gaps: Arc<AtomicU64>,
    /// Heartbeats.
    pub(crate) heartbeats: Arc<AtomicU64>,
    _hearing: Subscription,
}

impl Ears {
    pub(crate) fn of(end: &Nats) -> Self {
        let (gaps, heartbeats) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let (gap, heartbeat) = (gaps.clone(), heartbeats.clone());
        let hearing = end.hear(Box::new(move |heard| {
            match heard {
                Heard::Gap => gap.fetch_add(1, Ordering::SeqCst),
                Heard::Said { topic: Topic::Heartbeat, .. } => {
                    heartbeat.fetch_add(1, Ordering::SeqCst)
                }
                Heard::Said { .. } => 0,
            };
        }));
        Self { gaps, heartbeats, _hearing: hearing }
    }
}
