//! The router's part in a cluster: changes for homes elsewhere, views that change, rooms that are
//! given up.

use super::{Forwarding, Outcome, USERS_ASKED_MAX, actor::serve, ask};
use crate::{
    homes::Home,
    kernel::Reply,
    lane::LaneMessage,
    room::{RoomMessage, standing::Change},
    route::{Registry, Router},
};
use futures_util::future::join_all;
use madang_cluster::{Peer, Subscription};
use madang_protocol::{Heads, Refusal, Role, RoomId, UserId};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often it is looked whether rooms are given up.
const HAND_OVER_POLL: Duration = Duration::from_millis(20);
/// How often a home is told what its predecessor committed late, and the time between.
const TOLD_TIMES: usize = 3;
const TOLD_AGAIN: Duration = Duration::from_millis(500);
/// A change that no home took is asked for again after so long, or when the view changes.
const CHANGE_AGAIN: Duration = Duration::from_millis(100);

impl Router {
    /// Asks the home `to` of these rooms where they stand, each at least where it is said to be. At most
    /// [`remote::ROOMS_ASKED_MAX`]; those that are not in the answer are to be asked again.
    pub async fn ask_heads(&self, to: Peer, rooms: Vec<(RoomId, Heads)>) -> Vec<(RoomId, Heads)> {
        ask::heads(self.0.services.bus.clone(), to, rooms).await
    }

    /// Takes out those of `users` who are online by another node, for one that cannot read of it. A node
    /// that does not answer is not asked on.
    pub(crate) async fn retain_elsewhere_offline(&self, users: &mut Vec<UserId>) {
        let services = &self.0.services;
        let view = services.homes.view();
        let others = view.nodes().iter().filter(|peer| *peer != services.homes.me());
        let asked = others.map(|peer| self.held_by(peer.clone(), users));
        let held: HashSet<UserId> = join_all(asked).await.into_iter().flatten().collect();
        users.retain(|user| !held.contains(user));
    }

    async fn held_by(&self, peer: Peer, users: &[UserId]) -> Vec<UserId> {
        let mut held = Vec::new();
        for asked in users.chunks(USERS_ASKED_MAX) {
            let bus = self.0.services.bus.clone();
            match ask::holds(bus, peer.clone(), asked.to_vec()).await {
                Some(users) => held.extend(users),
                None => break,
            }
        }
        held
    }

    /// Serves what other nodes ask, and moves rooms and lanes when the view changes, until it is
    /// dropped. A node that is alone needs none of it.
    pub fn serve(&self) -> Subscription {
        let Registry { arbiters, supervisor, services, send_wait, .. } = &*self.0;
        let registry = Arc::downgrade(&self.0);
        let mut changes = services.homes.changes();
        arbiters[0].spawn(move || async move {
            while changes.changed().await.is_ok() {
                match registry.upgrade().map(Router) {
                    Some(router) => router.view_changed(),
                    None => return,
                }
            }
        });
        serve(self, arbiters, supervisor, services, *send_wait)
    }

    /// Gives up every room, for a node that is about to leave and that others do not ask any more
    /// ([`crate::homes::Homes::drain`]). True: all are given up, at the latest at `deadline`.
    pub async fn hand_over_all(&self, deadline: Instant) -> bool {
        while !self.0.places.rooms().is_empty() {
            if self.0.services.homes.is_alone() || Instant::now() >= deadline {
                return false;
            }
            self.view_changed();
            tokio::time::sleep(HAND_OVER_POLL).await;
        }
        true
    }

    /// Tells the home of `room`, if it is another node, how far the room is at least. Three times, since
    /// the bus may lose it; a home that does not know it reads it.
    pub(crate) fn tell_home(&self, room: RoomId, heads: Heads) {
        let router = self.clone();
        self.arbiter_of(room).spawn(move || async move {
            for _ in 0..TOLD_TIMES {
                if let Home::There(peer) = router.0.services.homes.home(room)
                    && !router.ask_heads(peer, vec![(room, heads)]).await.is_empty()
                {
                    return;
                }
                tokio::time::sleep(TOLD_AGAIN).await;
            }
        });
    }

    pub(crate) async fn change_where_it_belongs(
        &self,
        room: RoomId,
        change: Change,
        deadline: Instant,
    ) -> Result<Option<Role>, Refusal> {
        let mut forwarding: Option<Forwarding> = None;
        loop {
            let next_view = self.0.services.homes.next_change();
            let outcome = match self.0.services.homes.home(room) {
                Home::Here => self.change_here(room, change.clone()).await,
                Home::There(peer) => {
                    let new = || Forwarding { room, lane: fastrand::u64(..), attempt: 0 };
                    let forwarding = forwarding.get_or_insert_with(new);
                    forwarding.attempt += 1;
                    let wait = deadline.saturating_duration_since(Instant::now());
                    let bus = self.0.services.bus.clone();
                    let answer = forwarding.ask_change(bus, peer, &change, wait).await;
                    answer.unwrap_or(Outcome::Moved)
                }
                Home::Nobody => Outcome::Moved,
            };
            match outcome {
                Outcome::Role(answer) => return answer,
                Outcome::Done(Err(refusal)) => return Err(refusal),
                Outcome::Done(Ok(_)) | Outcome::Moved => {}
            }
            // Another view is what helps; or the home was asked too early.
            let _ = tokio::time::timeout(CHANGE_AGAIN, next_view).await;
        }
    }

    async fn change_here(&self, room: RoomId, change: Change) -> Outcome {
        let (reply, answer) = Reply::channel();
        if self.tell(room, RoomMessage::Change(change, reply)).is_err() {
            return Outcome::Role(Err(Refusal::overloaded("the room is busy")));
        }
        answer.await.ok().and_then(Result::ok).unwrap_or_else(|| {
            let refusal = Refusal::unavailable("the room was restarted, the outcome is unknown");
            Outcome::Role(Err(refusal))
        })
    }

    /// Rooms that are at home elsewhere now go, lanes look for their home again.
    fn view_changed(&self) {
        for (room, address) in self.0.places.rooms() {
            if !self.is_home(room) {
                address.urge(RoomMessage::ViewChanged);
            }
        }
        for (_, address) in self.0.places.lanes() {
            address.urge(LaneMessage::ViewChanged);
        }
    }
}
