//! Leases as they are due, and who went without a word.
//!
//! Whether somebody came or went is the answer of the store that all nodes share, so a user with
//! connections on two nodes goes with the last of them. A node that was killed ends no leases: they run
//! out, and of each the store tells one of the nodes that ask, which tells the rooms.

use super::{LEASE, PRESENCE_TOLD_MAX, presence::Due};
use madang_store::{
    PresenceStore, StoreError,
    presence::{Edges, Flush, NodeLife},
};

/// Does what is due, as `life`, in one call. `is_shared`: other nodes hold leases too.
pub(super) async fn settle(
    leases: &dyn PresenceStore,
    life: &NodeLife,
    due: &Due,
    is_shared: bool,
) -> Result<Edges, StoreError> {
    let flush = Flush {
        renew: due.renew.clone(),
        ttl_ms: u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX),
        end: due.end.clone(),
        run_out_max: if is_shared { PRESENCE_TOLD_MAX } else { 0 },
    };
    leases.flush(life, flush).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batcher::{GRACE, PRESENCE_EVERY, connected::Change, presence::Presence};
    use madang_protocol::{RoomId, UserId};
    use madang_store::presence::InProcess;
    use std::{sync::Arc, time::Duration};
    use tokio::time::{Instant, advance};

    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);
    const ROOM: RoomId = RoomId([9; 15]);

    /// Who came, and who went.
    type Told = (Vec<UserId>, Vec<UserId>);

    /// A node's presence, looked at once in its time like the batcher does.
    struct Node {
        presence: Presence,
        leases: Arc<InProcess>,
        life: NodeLife,
    }

    impl Node {
        fn new(name: &str, leases: &Arc<InProcess>) -> Self {
            let life = NodeLife { node: name.to_owned(), incarnation: 1 };
            Self { presence: Presence::default(), leases: leases.clone(), life }
        }

        fn changed(&mut self, user: UserId, is_connected: bool) {
            self.presence.changed(user, Change { is_connected, at: Instant::now() });
        }

        /// Whom the rooms are told of: online, offline.
        async fn look(&mut self) -> Told {
            let due = self.presence.due(Instant::now());
            let settled = settle(&*self.leases, &self.life, &due, true).await;
            let Edges { came, went, .. } = settled.expect("no faults");
            self.presence.leased(&due, came, went);
            let users = self.presence.untold(100);
            let rooms = users.into_iter().map(|user| (user, vec![ROOM])).collect();
            let told = self.presence.told(rooms).remove(&ROOM).unwrap_or_default();
            (told.online, told.offline)
        }
    }

    const NOTHING: Told = (Vec::new(), Vec::new());

    async fn pass(nodes: &mut [&mut Node], time: Duration) -> Told {
        let (mut all, until) = (NOTHING, Instant::now() + time);
        while Instant::now() < until {
            advance(PRESENCE_EVERY).await;
            for node in nodes.iter_mut() {
                let (online, offline) = node.look().await;
                all.0.extend(online);
                all.1.extend(offline);
            }
        }
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_user_goes_with_the_last_connection_of_all_nodes() {
        let leases = Arc::new(InProcess::new());
        let (mut a, mut b) = (Node::new("a", &leases), Node::new("b", &leases));
        a.changed(ANN, true);
        b.changed(ANN, true);
        assert_eq!(a.look().await, (vec![ANN], vec![]));
        assert_eq!(b.look().await, NOTHING, "came before");
        a.changed(ANN, false);
        assert_eq!(pass(&mut [&mut a, &mut b], LEASE * 2).await, NOTHING);
        b.changed(ANN, false);
        let gone = pass(&mut [&mut a, &mut b], GRACE + PRESENCE_EVERY).await;
        assert_eq!(gone, (vec![], vec![ANN]));
        assert_eq!(pass(&mut [&mut a, &mut b], LEASE * 2).await, NOTHING, "and once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_that_is_loaded_again_on_another_node_does_not_flicker() {
        let leases = Arc::new(InProcess::new());
        let (mut a, mut b) = (Node::new("a", &leases), Node::new("b", &leases));
        a.changed(ANN, true);
        a.look().await;
        a.changed(ANN, false);
        assert_eq!(pass(&mut [&mut a, &mut b], GRACE - PRESENCE_EVERY).await, NOTHING);
        b.changed(ANN, true);
        assert_eq!(pass(&mut [&mut b, &mut a], LEASE * 3).await, NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn users_of_a_node_that_was_killed_are_offline_a_second_after_their_leases() {
        let leases = Arc::new(InProcess::new());
        let [mut dead, mut b, mut c] = ["a", "b", "c"].map(|name| Node::new(name, &leases));
        dead.changed(ANN, true);
        dead.changed(BEN, true);
        b.changed(BEN, true);
        dead.look().await;
        assert_eq!(pass(&mut [&mut b, &mut c], LEASE - PRESENCE_EVERY).await, NOTHING);
        let gone = pass(&mut [&mut b, &mut c], PRESENCE_EVERY * 2).await;
        assert_eq!(gone, (vec![], vec![ANN]), "told by one of them; Ben is there still");
        assert_eq!(pass(&mut [&mut b, &mut c], LEASE * 2).await, NOTHING);
        c.changed(ANN, true);
        assert_eq!(c.look().await, (vec![ANN], vec![]), "and may come again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_again_before_the_lease_of_a_killed_node_ends_does_not_flicker() {
        let leases = Arc::new(InProcess::new());
        let (mut dead, mut b) = (Node::new("a", &leases), Node::new("b", &leases));
        dead.changed(ANN, true);
        dead.look().await;
        assert_eq!(pass(&mut [&mut b], LEASE / 2).await, NOTHING);
        b.changed(ANN, true);
        assert_eq!(pass(&mut [&mut b], LEASE * 2).await, NOTHING);
    }
}
