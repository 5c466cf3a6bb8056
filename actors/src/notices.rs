//! What every node has to know at once: said here, heard by the hubs of all.
//!
//! A notice may be lost. What it is about is in the store, where each node looks now and then: sessions
//! and new rooms with `session_check`, memberships with `noticing`, copies end by themselves.
//!
//! On the bus a notice is MessagePack, a map by name; unknown fields are passed over, unknown notices
//! counted, and so is junk. Types of their own, so that those inside a node can change. Long lists go
//! in several notices of [`LISTED_MAX`].

use crate::{hub::Joined, metrics::Metrics, route::Router};
use bytes::Bytes;
use madang_cluster::{
    Bus, Subscription,
    bus::{Heard, Topic},
};
use madang_protocol::{CloseCode, Heads, Role, RoomId, SessionId, UserId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Users or sessions of one notice; with the longest ids a tenth of what a bus carries.
pub const LISTED_MAX: usize = 1_000;

/// Says something to the other nodes. Never waits; the node's own hubs were told already.
pub trait Notices: Send + Sync + 'static {
    /// These users are in a room that they were not in.
    fn joined(&self, joined: &Joined);

    /// These sessions have ended; their sockets are closed with this code.
    fn sessions_ended(&self, sessions: &[SessionId], code: CloseCode);

    /// Copies of this are not true any more. What is in `copies` is between those who say it and
    /// those who hear it; it is small.
    fn forget(&self, copies: &[u8]);
}

/// There are no other nodes.
pub struct Nobody;

impl Notices for Nobody {
    fn joined(&self, _joined: &Joined) {}
    fn sessions_ended(&self, _sessions: &[SessionId], _code: CloseCode) {}
    fn forget(&self, _copies: &[u8]) {}
}

impl Nobody {
    /// As `Services` want it.
    pub fn shared() -> Arc<dyn Notices> {
        Arc::new(Self)
    }
}

/// One notice, as it goes over the bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Notice {
    Joined(WireJoined),
    SessionsEnded { sessions: Vec<SessionId>, code: u16 },
    Forget { copies: Vec<u8> },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct WireJoined {
    room: RoomId,
    seq: u64,
    rev: u64,
    member_rev: u64,
    members: Vec<(UserId, Role)>,
}

/// Says notices on a bus.
pub struct OverBus(Arc<dyn Bus>);

impl OverBus {
    /// On this.
    pub fn new(bus: Arc<dyn Bus>) -> Self {
        Self(bus)
    }

    fn say(&self, notice: &Notice) {
        let body = rmp_serde::to_vec_named(notice).expect("plain data is always encoded");
        self.0.announce(Topic::Notice, body.into());
    }
}

impl Notices for OverBus {
    fn joined(&self, joined: &Joined) {
        let Joined { room, heads: Heads { last_seq: seq, last_rev: rev, member_rev }, .. } =
            *joined;
        for members in joined.members.chunks(LISTED_MAX) {
            let members = members.to_vec();
            self.say(&Notice::Joined(WireJoined { room, seq, rev, member_rev, members }));
        }
    }

    fn sessions_ended(&self, sessions: &[SessionId], code: CloseCode) {
        for sessions in sessions.chunks(LISTED_MAX) {
            let (sessions, code) = (sessions.to_vec(), code.number());
            self.say(&Notice::SessionsEnded { sessions, code });
        }
    }

    fn forget(&self, copies: &[u8]) {
        self.say(&Notice::Forget { copies: copies.to_vec() });
    }
}

/// What is done about the notices of others. Called on the bus's thread: it must not wait.
pub trait Heed: Send + Sync + 'static {
    /// See [`Notices::joined`].
    fn joined(&self, joined: Joined);

    /// See [`Notices::sessions_ended`].
    fn sessions_ended(&self, sessions: Vec<SessionId>, code: CloseCode);

    /// See [`Notices::forget`].
    fn forget(&self, copies: Bytes);

    /// Any notice may have been missed.
    fn missed(&self);
}

/// Tells the hubs of this node, and whoever reads beside copies.
pub struct Local(Router);

impl Local {
    /// Those that `router` knows.
    pub fn new(router: Router) -> Self {
        Self(router)
    }
}

impl Heed for Local {
    fn joined(&self, joined: Joined) {
        self.0.tell_joined(joined);
    }

    fn sessions_ended(&self, sessions: Vec<SessionId>, code: CloseCode) {
        self.0.close_sessions(sessions, code);
    }

    fn forget(&self, copies: Bytes) {
        self.0.disbelieve_copies(&copies);
    }

    /// Sessions and memberships are looked for in the store now and then; copies are not.
    fn missed(&self) {
        self.0.disbelieve_all_copies();
    }
}

/// Heeds what other nodes say, until it is dropped. What this node said itself it has done already.
pub fn heed(bus: &Arc<dyn Bus>, metrics: Arc<Metrics>, heed: impl Heed) -> Subscription {
    let me = bus.me().clone();
    bus.hear(Box::new(move |heard| {
        let (from, body) = match heard {
            Heard::Said { from, topic: Topic::Notice, body } => (from, body),
            Heard::Said { .. } => return,
            Heard::Gap => return heed.missed(),
        };
        if from == me {
            return;
        }
        match rmp_serde::from_slice(&body) {
            Ok(notice) => do_as_told(&heed, notice),
            Err(_) => metrics.cluster.not_understood.increment(1),
        }
    }))
}

fn do_as_told(heed: &impl Heed, notice: Notice) {
    match notice {
        Notice::Joined(WireJoined { room, seq, rev, member_rev, members }) => {
            let heads = Heads { last_seq: seq, last_rev: rev, member_rev };
            heed.joined(Joined { room, heads, members });
        }
        Notice::SessionsEnded { sessions, code } => {
            let known = CloseCode::ALL.into_iter().find(|known| known.number() == code);
            heed.sessions_ended(sessions, known.unwrap_or(CloseCode::Unauthenticated));
        }
        Notice::Forget { copies } => heed.forget(copies.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_cluster::{InProcess, NodeName, Peer};
    use std::sync::Mutex;

    /// Writes down what it is told.
    #[derive(Clone, Default)]
    struct Journal(Arc<Mutex<Vec<String>>>);

    impl Heed for Journal {
        fn joined(&self, Joined { room, heads, members }: Joined) {
            let said = format!("{} {} {}", room.0[0], heads.member_rev, members.len());
            self.0.lock().unwrap().push(said);
        }

        fn sessions_ended(&self, sessions: Vec<SessionId>, code: CloseCode) {
            self.0.lock().unwrap().push(format!("{} {}", sessions.len(), code.number()));
        }

        fn forget(&self, copies: Bytes) {
            self.0.lock().unwrap().push(format!("{copies:?}"));
        }

        fn missed(&self) {
            self.0.lock().unwrap().push("missed".to_owned());
        }
    }

    fn node(name: &str) -> Peer {
        Peer { name: NodeName::new(name).unwrap(), incarnation: 1 }
    }

    /// What two nodes heard of what `say` does on the first.
    fn heard(say: impl FnOnce(&OverBus)) -> [Vec<String>; 2] {
        let here = InProcess::new(node("a"));
        let ends: [Arc<dyn Bus>; 2] = [Arc::new(here.clone()), Arc::new(here.join(node("b")))];
        let journals = [Journal::default(), Journal::default()];
        let _heeding = [0, 1]
            .map(|end: usize| heed(&ends[end], Arc::new(Metrics::new()), journals[end].clone()));
        say(&OverBus::new(ends[0].clone()));
        journals.map(|journal| journal.0.lock().unwrap().clone())
    }

    #[test]
    fn others_do_what_was_done_here() {
        let said = heard(|notices| {
            let heads = Heads { last_seq: 1, last_rev: 2, member_rev: 3 };
            let members = vec![(UserId([4; 15]), Role::Member), (UserId([5; 15]), Role::Admin)];
            notices.joined(&Joined { room: RoomId([9; 15]), heads, members });
            notices.sessions_ended(&[SessionId([1; 15])], CloseCode::Replaced);
            notices.forget(&[7, 200]);
        });
        let replaced = format!("1 {}", CloseCode::Replaced.number());
        let told = ["9 3 2", &replaced, "b\"\\x07\\xc8\""].map(str::to_owned).to_vec();
        assert_eq!(said, [Vec::new(), told]);
    }

    #[test]
    fn long_lists_are_said_in_parts() {
        let said = heard(|notices| {
            notices.sessions_ended(&[SessionId([1; 15]); LISTED_MAX + 1], CloseCode::Replaced);
        });
        let code = CloseCode::Replaced.number();
        assert_eq!(said[1], [format!("{LISTED_MAX} {code}"), format!("1 {code}")]);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        #[derive(Serialize)]
        #[serde(rename_all = "snake_case")]
        enum Later {
            Sing { loudly: bool },
            SessionsEnded { sessions: Vec<SessionId>, code: u16, why: &'static str },
        }
        let said = heard(|OverBus(bus)| {
            let later = [
                Later::Sing { loudly: true },
                Later::SessionsEnded { sessions: vec![], code: 9, why: "later" },
            ];
            for notice in later {
                let body = rmp_serde::to_vec_named(&notice).unwrap();
                for end in 0..body.len() {
                    bus.announce(Topic::Notice, Bytes::copy_from_slice(&body[..end]));
                }
                bus.announce(Topic::Notice, body.into());
            }
        });
        let code = CloseCode::Unauthenticated.number();
        assert_eq!(said[1], [format!("0 {code}")], "a code of a later version");
    }
}
