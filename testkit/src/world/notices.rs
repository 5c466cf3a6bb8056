//! What every node has to know at once, over the bus of a world.

use super::bus::NodeBus;
use madang_actors::{Router, hub::Joined, notices::Notices};
use madang_cluster::{
    Bus, Subscription,
    bus::{Heard, Topic},
};
use madang_protocol::{CloseCode, Heads, Role, RoomId, SessionId, UserId};
use serde_json::Value;
use std::sync::Arc;

/// Says it to the others.
pub(super) struct Spoken(pub(super) NodeBus);

/// Who joined what, and how far that is.
type Words = (RoomId, (u64, u64, u64), Vec<(UserId, Role)>);

impl Notices for Spoken {
    fn joined(&self, joined: &Joined) {
        let Heads { last_seq, last_rev, member_rev } = joined.heads;
        let heads = (last_seq, last_rev, member_rev);
        let words: Words = (joined.room, heads, joined.members.clone());
        let body = serde_json::to_vec(&words).expect("plain data");
        self.0.announce(Topic::Notice, body.into());
    }

    /// Sessions do not end in a world.
    fn sessions_ended(&self, _sessions: &[SessionId], _code: CloseCode) {}
}

/// Tells the hubs of this node what others say.
pub(super) fn hear(bus: &Arc<dyn Bus>, router: Router) -> Subscription {
    let me = bus.me().clone();
    bus.hear(Box::new(move |heard| {
        let Heard::Said { from, topic: Topic::Notice, body } = heard else { return };
        if from == me {
            return; // its own hubs were told
        }
        let words: Words = serde_json::from_slice::<Value>(&body)
            .and_then(serde_json::from_value)
            .expect("as it was said");
        let (room, (last_seq, last_rev, member_rev), members) = words;
        let heads = Heads { last_seq, last_rev, member_rev };
        router.tell_joined(Joined { room, heads, members });
    }))
}
