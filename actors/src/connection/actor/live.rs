//! Operations that are told to those who listen, or asked about them.

use super::{Answer, ConnectionActor, ConnectionMessage};
use crate::{
    batcher::Moved,
    connection::logic::{Effect, Live},
    kernel::Context,
    metrics::{Bound, Cache, Coalesced},
};
use madang_protocol::{RoomId, operation::Target};

impl ConnectionActor {
    pub(super) fn live(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        let delivered = self.hub.delivered(self.slot, live.room());
        self.logic.live(id, live, delivered, effects);
    }

    pub(super) fn ask_live(
        &self,
        id: Option<u64>,
        live: Live,
        context: &mut Context<ConnectionMessage>,
    ) {
        let (access, identity) = (self.access(live.room()), self.logic.identity());
        let positions = self.services.reader.positions();
        let awaiting = identity
            .filter(|_| matches!(live, Live::Read(_)))
            .map(|identity| positions.awaiting(live.room(), identity.user));
        context.spawn(access, move |access| {
            ConnectionMessage::Answer(Answer::Live(id, live, access, awaiting))
        });
    }

    pub(super) fn advance(
        &mut self,
        id: Option<u64>,
        target: Target,
        stored: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(identity) = self.logic.identity() else {
            return;
        };
        let (positions, Target { room, seq }) = (self.services.reader.positions(), target);
        let moved: Moved = match stored {
            None => positions.advance(room, identity.user, seq),
            Some(stored) => positions.advance_from(room, identity.user, stored, seq),
        };
        let metrics = &self.services.metrics;
        match (moved, stored) {
            (Moved::Full, _) => metrics.overloaded(Bound::ReadPositions),
            (Moved::Unknown, _) => metrics.looked_up(Cache::ReadPositions, false),
            (Moved::To(_), Some(_)) => metrics.gathered(Coalesced::Receipts, 1),
            (Moved::To(_), None) => {
                metrics.looked_up(Cache::ReadPositions, true);
                metrics.gathered(Coalesced::Receipts, 1);
            }
        }
        self.logic.advanced(id, target, moved, effects);
    }

    pub(super) fn ask_online(
        &self,
        id: Option<u64>,
        room: RoomId,
        context: &mut Context<ConnectionMessage>,
    ) {
        let (reader, members_max) =
            (self.services.reader.clone(), self.services.limits.presence_members_max);
        let found = async move { reader.online_in(room, members_max).await };
        context.spawn(found, move |found| ConnectionMessage::Answer(Answer::Online(id, found)));
    }
}
