//! Which users have a connection here.

use super::LastSeen;
use crate::hub::Identity;
use madang_protocol::UserId;
use madang_store::{PresenceStore, StoreError};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// How many connections each user has on this node. Hubs count, the batcher and whoever asks look.
/// Bounded by the connections there are. Cloning shares it.
#[derive(Clone)]
pub struct Connected {
    state: Arc<Mutex<State>>,
    last_seen: LastSeen,
}

#[derive(Default)]
struct State {
    counts: HashMap<UserId, u32>,
    /// Users whose first connection came or whose last one ended since the last look.
    changed: HashMap<UserId, Change>,
    /// Users who are online by this node: also those whose last connection ended just now.
    held: HashSet<UserId>,
}

/// How a user stands since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// It has a connection.
    pub is_connected: bool,
    /// Since then.
    pub at: Instant,
}

impl Connected {
    /// Nobody is. The sessions of those who went are noted in `last_seen`.
    pub fn new(last_seen: LastSeen) -> Self {
        Self { state: Arc::default(), last_seen }
    }

    /// A connection of `user` said hello.
    pub fn came(&self, user: UserId, at: Instant) {
        let mut state = self.state();
        let count = state.counts.entry(user).or_default();
        *count += 1;
        if *count == 1 {
            state.changed.insert(user, Change { is_connected: true, at });
        }
    }

    /// One of them ended.
    pub fn went(&self, identity: Identity, at: Instant) {
        self.last_seen.note(identity);
        let user = identity.user;
        let mut state = self.state();
        let Some(count) = state.counts.get_mut(&user) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            state.counts.remove(&user);
            state.changed.insert(user, Change { is_connected: false, at });
        }
    }

    /// What changed since the last call.
    pub fn take_changed(&self) -> HashMap<UserId, Change> {
        std::mem::take(&mut self.state().changed)
    }

    /// From now on these are online by this node, and nobody else.
    pub(super) fn hold_only(&self, users: &[UserId]) {
        self.state().held = users.iter().copied().collect();
    }

    /// This one is too.
    pub(super) fn hold(&self, user: UserId) {
        self.state().held.insert(user);
    }

    /// These are not any more.
    pub(super) fn let_go(&self, users: &[UserId]) {
        let mut state = self.state();
        users.iter().for_each(|user| _ = state.held.remove(user));
    }

    /// How many users have a connection.
    pub fn count(&self) -> usize {
        self.state().counts.len()
    }

    /// Everybody who has a connection, for one who has lost count.
    pub fn users(&self) -> Vec<UserId> {
        self.state().counts.keys().copied().collect()
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is online: has a connection here, or a lease of any node. Cloning shares it.
#[derive(Clone)]
pub struct Online {
    connected: Connected,
    leases: Arc<dyn PresenceStore>,
}

impl Online {
    /// By these.
    pub fn new(connected: Connected, leases: Arc<dyn PresenceStore>) -> Self {
        Self { connected, leases }
    }

    /// Keeps those of `users` who are online by a connection to this node, or were until just now.
    pub fn retain_held(&self, users: &mut Vec<UserId>) {
        let state = self.connected.state();
        users.retain(|user| state.counts.contains_key(user) || state.held.contains(user));
    }

    /// Whether each of `users` is online, in the order asked.
    pub async fn of(&self, users: &[UserId]) -> Result<Vec<bool>, StoreError> {
        let mut online = self.leases.online(users).await?;
        let state = self.connected.state();
        for (user, is_online) in users.iter().zip(&mut online) {
            *is_online |= state.counts.contains_key(user);
        }
        Ok(online)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_protocol::SessionId;
    use madang_store::presence::{InProcess, NodeLife};

    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);

    fn of(user: UserId) -> Identity {
        Identity { user, session: SessionId([9; 15]) }
    }

    #[test]
    fn only_the_first_and_the_last_connection_count() {
        let (connected, at) = (Connected::new(LastSeen::off()), Instant::now());
        connected.came(ANN, at);
        connected.came(ANN, at);
        connected.came(BEN, at);
        let came = Change { is_connected: true, at };
        assert_eq!(connected.take_changed(), HashMap::from([(ANN, came), (BEN, came)]));
        connected.went(of(ANN), at);
        assert!(connected.take_changed().is_empty());
        connected.went(of(ANN), at);
        connected.went(of(BEN), at);
        connected.came(BEN, at);
        let went = Change { is_connected: false, at };
        assert_eq!(connected.take_changed(), HashMap::from([(ANN, went), (BEN, came)]));
        assert_eq!(connected.users(), [BEN]);
    }

    #[tokio::test]
    async fn a_connection_counts_before_its_lease_and_a_lease_after_its_connection() {
        let (connected, leases) = (Connected::new(LastSeen::off()), Arc::new(InProcess::new()));
        connected.came(ANN, Instant::now());
        let holder = NodeLife { node: "n".into(), incarnation: 1 };
        leases.renew(&holder, vec![BEN], 60_000).await.unwrap();
        let online = Online::new(connected, leases);
        assert_eq!(online.of(&[UserId([3; 15]), BEN, ANN]).await, Ok(vec![false, true, true]));
    }
}
