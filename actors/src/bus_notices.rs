//! [`Notices`] over the bus: MessagePack, maps by name, unknown fields passed over.

use crate::{hub::Joined, notices::Notices, route::Router};
use bytes::Bytes;
use madang_cluster::{
    Bus, Subscription,
    bus::{Heard, Topic},
};
use madang_protocol::{CloseCode, Heads, Role, RoomId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Says it to every node.
pub struct OverBus(pub Arc<dyn Bus>);

/// One of the fields is there; a later version's notice may have none that is known.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Notice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined: Option<WireJoined>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<WireEnded>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WireJoined {
    room: RoomId,
    seq: u64,
    rev: u64,
    member_rev: u64,
    members: Vec<(UserId, Role)>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct WireEnded {
    sessions: Vec<SessionId>,
    code: u16,
}

impl OverBus {
    fn say(&self, notice: &Notice) {
        let body = rmp_serde::to_vec_named(notice).expect("plain data is always encoded");
        self.0.announce(Topic::Notice, Bytes::from(body));
    }
}

impl Notices for OverBus {
    fn joined(&self, joined: &Joined) {
        let Heads { last_seq: seq, last_rev: rev, member_rev } = joined.heads;
        let (room, members) = (joined.room, joined.members.clone());
        let joined = Some(WireJoined { room, seq, rev, member_rev, members });
        self.say(&Notice { joined, ..Notice::default() });
    }

    fn sessions_ended(&self, sessions: &[SessionId], code: CloseCode) {
        let ended = Some(WireEnded { sessions: sessions.to_vec(), code: code.number() });
        self.say(&Notice { ended, ..Notice::default() });
    }
}

/// Tells this node's hubs what other nodes say, until it is dropped.
pub fn hear(bus: &dyn Bus, router: Router) -> Subscription {
    let me = bus.me().clone();
    bus.hear(Box::new(move |heard| {
        let Heard::Said { from, topic: Topic::Notice, body } = heard else {
            return;
        };
        if from != me {
            tell(&router, &body);
        }
    }))
}

fn tell(router: &Router, body: &[u8]) {
    let Ok(Notice { joined, ended }) = rmp_serde::from_slice(body) else {
        tracing::warn!("a notice that is not understood");
        return;
    };
    if let Some(WireJoined { room, seq, rev, member_rev, members }) = joined {
        let heads = Heads { last_seq: seq, last_rev: rev, member_rev };
        router.tell_joined(Joined { room, heads, members });
    }
    if let Some(WireEnded { sessions, code }) = ended {
        let known = CloseCode::ALL.into_iter().find(|known| known.number() == code);
        router.close_sessions(sessions, known.unwrap_or(CloseCode::Unauthenticated));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_cluster::InProcess;
    use std::sync::Mutex;

    #[test]
    fn what_is_said_reads_as_the_same() {
        let bus = InProcess::alone();
        let said = Arc::new(Mutex::new(Vec::new()));
        let record = said.clone();
        let _hearing = bus.hear(Box::new(move |heard| {
            if let Heard::Said { topic: Topic::Notice, body, .. } = heard {
                let notice: Notice = rmp_serde::from_slice(&body).unwrap();
                record.lock().unwrap().push(notice);
            }
        }));
        let over = OverBus(Arc::new(bus));
        let (room, members) = (RoomId([1; 15]), vec![(UserId([2; 15]), Role::Admin)]);
        let heads = Heads { last_seq: 1, last_rev: 2, member_rev: 3 };
        over.joined(&Joined { room, heads, members: members.clone() });
        over.sessions_ended(&[SessionId([4; 15])], CloseCode::Replaced);
        let joined = WireJoined { room, seq: 1, rev: 2, member_rev: 3, members };
        let ended = WireEnded { sessions: vec![SessionId([4; 15])], code: 4009 };
        let expected = [
            Notice { joined: Some(joined), ended: None },
            Notice { joined: None, ended: Some(ended) },
        ];
        assert_eq!(*said.lock().unwrap(), expected);
    }
}
