//! Rooms that their readers did not hear of.

use super::core::Core;
use crate::connection::ConnectionMessage;
use madang_protocol::{RoomId, UserId};

/// Rooms that one connection is told of at a time: well below what its inbox takes. The rest has its
/// turn the next time.
pub(super) const FOUND_MAX: usize = 64;

impl Core {
    /// The users who want all their rooms.
    pub(super) fn who_want_all(&self) -> Vec<UserId> {
        let wanting = self.slots().filter(|slot| slot.wants_all);
        wanting.filter_map(|slot| slot.identity).map(|identity| identity.user).collect()
    }

    /// Tells those who want all their rooms of some that they do not receive.
    pub(super) fn found(&mut self, rooms_of: &[(UserId, Vec<RoomId>)]) {
        for id in self.select(|slot| slot.wants_all && slot.identity.is_some()) {
            let Some(slot) = self.get(id) else {
                continue;
            };
            let user = slot.identity.map(|identity| identity.user);
            let place = rooms_of.binary_search_by_key(&user, |(user, _)| Some(*user));
            let rooms = place.map_or(&[][..], |place| &rooms_of[place].1);
            let has = |room: &RoomId| slot.rooms.iter().any(|wanted| wanted.room == *room);
            let missing = rooms.iter().filter(|room| !has(room)).take(FOUND_MAX);
            let (missing, connection): (Vec<RoomId>, _) =
                (missing.copied().collect(), slot.connection.clone());
            for room in missing {
                self.tell(id, &connection, ConnectionMessage::Found(room));
            }
        }
    }
}
