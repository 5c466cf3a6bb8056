//! What the nodes of a world stand on: the store, the network between them, and their trouble.

use super::{
    bus::Network,
    observation::Recorder,
    outside::Outside,
    settings::Settings,
    trouble::{Side, Trouble},
};
use madang_store::{
    Options, PresenceStore, Store, faulty,
    faulty::replica_set::{Reads, ReplicaSet},
    in_process,
    presence::InProcess,
};
use std::sync::Arc;

/// Outlives every node.
pub(super) struct Ground {
    pub(super) settings: Settings,
    pub(super) trouble: Arc<Trouble>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) network: Network,
    outside: Outside,
    /// As it is, without trouble.
    pub(super) store: Store,
    /// What it is made of, where several nodes share it.
    pub(super) set: Option<ReplicaSet>,
    leases: Arc<dyn PresenceStore>,
}

impl Ground {
    /// An empty store. Call it where no node is.
    pub(super) fn new(
        settings: Settings,
        trouble: Arc<Trouble>,
        recorder: Arc<Recorder>,
        reads: Reads,
    ) -> Self {
        let options = Options::in_directory("");
        let is_together = trouble.together().is_some();
        let set = is_together.then(|| ReplicaSet::open(&options, reads, trouble.clone()));
        let store = set.as_ref().map_or_else(|| in_process::open(&options), ReplicaSet::store);
        let outside = Outside::start();
        let network = Network::new(trouble.clone(), outside.clone());
        let leases = Arc::new(InProcess::new());
        Self { settings, trouble, recorder, network, outside, store, set, leases }
    }

    /// The store as a life of this node sees it.
    pub(super) fn store_of(&self, node: usize) -> Store {
        let side = Arc::new(Side { trouble: self.trouble.clone(), node });
        if self.set.is_none() {
            return faulty::around(self.store.clone(), side);
        }
        let outside = self.outside.clone();
        faulty::at_a_distance(self.store.clone(), side, Arc::new(move |task| outside.run(task)))
    }

    /// Who is online: with one node, as far as this life of it knows.
    pub(super) fn leases(&self) -> Arc<dyn PresenceStore> {
        if self.set.is_none() { Arc::new(InProcess::new()) } else { self.leases.clone() }
    }
}
