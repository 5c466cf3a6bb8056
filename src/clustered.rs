//! What a node has beyond one that is alone: it is heard, it hears, and it is asked.

use crate::{
    config::Settings,
    node::StartError,
    surroundings::{NATS, NodeBus},
};
use madang_actors::{
    Router,
    homes::Homes,
    kernel::{Arbiter, Clock, Supervisor},
    membership::{self, Membership, MembershipServices, Standing, Terms},
    metrics::Metrics,
    notices::{self, Local, Nobody, Notices, OverBus},
    noticing::{self, Noticing, NoticingServices},
};
use madang_cluster::{Peer, Subscription, envelope};
use madang_resilience::{Health, State};
use madang_store::Store;
use std::{sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::Instant};

/// How often it is looked how the node stands.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// What is said last may take so long to reach a server.
const FLUSH_WITHIN: Duration = Duration::from_millis(500);

/// The node's part in its cluster, for as long as this is held.
pub(crate) struct Clustered {
    membership: Arc<Membership>,
    router: Router,
    bus: NodeBus,
    _noticing: Noticing,
    _subscriptions: [Subscription; 2],
}

/// With what it is started.
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) bus: &'a NodeBus,
    pub(crate) homes: &'a Homes,
    pub(crate) store: &'a Store,
    pub(crate) router: &'a Router,
    pub(crate) root: &'a Supervisor,
    pub(crate) metrics: &'a Arc<Metrics>,
    pub(crate) give_up: mpsc::Sender<String>,
    pub(crate) bus_arbiter: Arbiter,
    pub(crate) store_arbiter: Arbiter,
}

/// Where rooms are at home, as this node begins.
pub(crate) fn homes(bus: &NodeBus, me: &Peer) -> Homes {
    match bus {
        NodeBus::Alone(_) => Homes::alone(me.clone()),
        NodeBus::Nats(_) => Homes::joining(me.clone()),
    }
}

/// What is told to the others at once.
pub(crate) fn notices(bus: &NodeBus) -> Arc<dyn Notices> {
    match bus {
        NodeBus::Alone(_) => Nobody::shared(),
        NodeBus::Nats(bus) => Arc::new(OverBus::new(Arc::new(bus.clone()))),
    }
}

impl Clustered {
    /// Joins, and returns when the node is a member; `None`: it is alone.
    pub(crate) async fn start(parts: Parts<'_>) -> Result<Option<Self>, StartError> {
        let NodeBus::Nats(nats) = parts.bus else {
            return Ok(None);
        };
        let local = Local::new(parts.router.clone());
        let heeding = notices::heed(&parts.bus.shared(), parts.metrics.clone(), local);
        let subscriptions = [parts.router.serve(), heeding];
        let noticing = NoticingServices {
            homes: parts.homes.clone(),
            readers: Arc::new(parts.router.clone()),
            log: parts.store.log.clone(),
            metrics: parts.metrics.clone(),
        };
        let noticing = noticing::start(&parts.store_arbiter, parts.root, nats, noticing);
        let give_up = parts.give_up;
        let services = MembershipServices {
            bus: parts.bus.shared(),
            homes: parts.homes.clone(),
            terms: terms(parts.settings, parts.store),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            began: Instant::now(),
            metrics: parts.metrics.clone(),
            give_up: Box::new(move |cause| {
                let _ = give_up.try_send(cause.to_owned()); // one reason is enough
            }),
        };
        let membership = membership::start(&parts.bus_arbiter, parts.root, services);
        membership.joined(parts.settings.start_wait()).await.map_err(StartError::Join)?;
        Ok(Some(Self {
            membership: Arc::new(membership),
            router: parts.router.clone(),
            bus: parts.bus.clone(),
            _noticing: noticing,
            _subscriptions: subscriptions,
        }))
    }

    /// Keeps the part of NATS up to date; inside a group of local tasks.
    pub(crate) fn watch(&self, health: &Health, clock: Clock) {
        let (membership, health) = (self.membership.clone(), health.clone());
        tokio::task::spawn_local(async move {
            loop {
                // A node that hears nobody is nobody's home, but history and resume go on.
                let is_member = membership.standing() == Standing::Member;
                let state = if is_member { State::Ok } else { State::Degraded };
                health.set(NATS, state, clock.now());
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
    }

    /// Hands the rooms over to the others, at the latest at `deadline`.
    pub(crate) async fn hand_over(&self, deadline: Instant) {
        self.membership.drain();
        if !self.router.hand_over_all(deadline).await {
            tracing::warn!("some rooms were not given up in time; others take them over later");
        }
    }

    /// Tells the others that the node goes.
    pub(crate) async fn leave(&self) {
        self.membership.leave().await;
        if let NodeBus::Nats(bus) = &self.bus
            && !bus.flush(FLUSH_WITHIN).await
        {
            tracing::warn!("NATS did not take the last announcements in time");
        }
    }
}

/// On what the nodes of a cluster must agree: what clients see, and what nodes expect of each other.
fn terms(settings: &Settings, store: &Store) -> Terms {
    let numbers = [
        ("protocol", u64::from(envelope::VERSION)),
        ("heartbeat_ms", settings.heartbeat_ms),
        ("hello_timeout_ms", settings.hello_timeout_ms),
        ("in_flight_sends", settings.in_flight_sends as u64),
        ("body_bytes_max", settings.body_bytes_max as u64),
        ("frame_bytes_max", settings.frame_bytes_max as u64),
        ("subscriptions_max", settings.subscriptions_max as u64),
        ("replay_limit", settings.replay_limit),
        ("send_wait_ms", settings.send_wait_ms),
        ("read_wait_ms", settings.read_wait_ms),
        ("presence_members_max", settings.presence_members_max as u64),
        ("session_days", settings.session_days),
        ("single_session", u64::from(settings.single_session)),
    ];
    let numbers = numbers.map(|(name, value)| (name.to_owned(), value.to_string()));
    let texts = [
        ("cluster_name".to_owned(), settings.cluster_name.clone()),
        ("store".to_owned(), store.control.identity().unwrap_or_default()),
    ];
    Terms::new(numbers.into_iter().chain(texts))
}
