//! What a node gathers before it is written: the places where it is noted, and the actor behind them.

use crate::config::Settings;
use madang_actors::{
    Router,
    batcher::{
        self, Batcher, BatcherMessage, BatcherServices, Connected, LastSeen, Online, ReadPositions,
    },
    kernel::{Address, Arbiter, Clock, Exhausted, Supervisor, start_supervised},
};
use madang_store::{PresenceStore, Store, presence::NodeLife};
use std::{sync::Arc, time::Duration};

/// Where it is noted. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Gathered {
    /// How far users have read.
    pub(crate) positions: ReadPositions,
    /// Who has a connection here.
    pub(crate) connected: Connected,
    /// When sessions were used.
    pub(crate) last_seen: LastSeen,
    leases: Arc<dyn PresenceStore>,
}

impl Gathered {
    /// Nothing yet. Who is online is told by `leases`.
    pub(crate) fn new(settings: &Settings, clock: &Clock, leases: Arc<dyn PresenceStore>) -> Self {
        let last_seen = match settings.last_seen_flush() {
            Some(_) => LastSeen::new(clock.clone()),
            None => LastSeen::off(),
        };
        Self {
            positions: ReadPositions::new(),
            connected: Connected::new(last_seen.clone()),
            last_seen,
            leases,
        }
    }

    /// Who is online.
    pub(crate) fn online(&self) -> Online {
        Online::new(self.connected.clone(), self.leases.clone())
    }

    /// Starts what writes it, on a thread that may wait for the store.
    pub(crate) fn start_batcher(
        &self,
        arbiter: &Arbiter,
        supervisor: &Supervisor,
        store: &Store,
        router: &Router,
        life: NodeLife,
        settings: &Settings,
    ) -> Address<BatcherMessage> {
        let services = Arc::new(BatcherServices {
            positions: self.positions.clone(),
            connected: self.connected.clone(),
            last_seen: self.last_seen.clone(),
            receipts: store.receipts.clone(),
            accounts: store.accounts.clone(),
            rooms: store.rooms.clone(),
            leases: self.leases.clone(),
            life,
            router: router.clone(),
            receipt_flush: Duration::from_millis(settings.receipt_flush_ms),
            last_seen_flush: settings.last_seen_flush(),
            session_lifetime_ms: settings.session_lifetime_ms(),
            presence_members_max: settings.presence_members_max as u64,
        });
        let build = move |_: &Address<BatcherMessage>| Batcher::new(services.clone());
        start_supervised(arbiter, batcher::INBOX_BOUND, supervisor, Exhausted::Escalate, build)
    }
}
