//! Who is told to be online or offline, and when: pure.

use super::{GRACE, RENEW_EVERY, connected::Change};
use madang_protocol::{RoomId, UserId};
use std::collections::{BTreeMap, HashMap, HashSet};
use tokio::time::Instant;

/// The users of this node between coming and going.
#[derive(Debug, Default)]
pub struct Presence {
    /// A lease is to be held for them.
    online: HashSet<UserId>,
    /// Those of them that have no lease yet, or need it renewed.
    renew: HashSet<UserId>,
    /// Those of them without a connection, since when.
    leaving: HashMap<UserId, Instant>,
    /// Their lease is to be ended.
    ended: HashSet<UserId>,
    /// Rooms are to be told that these came (true) or went.
    untold: HashMap<UserId, bool>,
    renewed_at: Option<Instant>,
}

/// What the leases need now.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Leases to be taken or prolonged.
    pub renew: Vec<UserId>,
    /// Leases to be ended.
    pub end: Vec<UserId>,
}

impl Due {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.renew.is_empty() && self.end.is_empty()
    }
}

/// One `presence` of a room.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Ordered.
    pub online: Vec<UserId>,
    /// Ordered.
    pub offline: Vec<UserId>,
}

impl Presence {
    /// A user has a connection again, or none any more.
    pub fn changed(&mut self, user: UserId, change: Change) {
        if !change.is_connected {
            // Who came and went between two looks was never online.
            if self.online.contains(&user) {
                self.leaving.insert(user, change.at);
            }
            return;
        }
        self.leaving.remove(&user);
        if self.online.insert(user) {
            self.renew.insert(user);
            self.ended.remove(&user);
        }
    }

    /// What is to be done for the leases. Say with `leased` that it was, or it is due again.
    pub fn due(&mut self, now: Instant) -> Due {
        for (user, _) in self.leaving.extract_if(|_, since| *since + GRACE <= now) {
            self.online.remove(&user);
            self.renew.remove(&user);
            self.ended.insert(user);
        }
        if self.renewed_at.is_none_or(|at| at + RENEW_EVERY <= now) {
            self.renew.extend(&self.online);
            self.renewed_at = Some(now);
        }
        Due { renew: ordered(&self.renew), end: ordered(&self.ended) }
    }

    /// The leases are as they were due; `came` were not online before, `went` are not any more.
    pub fn leased(&mut self, due: &Due, came: Vec<UserId>, went: Vec<UserId>) {
        self.renew.retain(|user| due.renew.binary_search(user).is_err());
        self.ended.retain(|user| due.end.binary_search(user).is_err());
        self.untold.extend(came.into_iter().map(|user| (user, true)));
        self.untold.extend(went.into_iter().map(|user| (user, false)));
    }

    /// At most `limit` users whose rooms are to be told. Say with `told` that they were.
    pub fn untold(&self, limit: usize) -> Vec<UserId> {
        let mut users: Vec<UserId> = self.untold.keys().copied().collect();
        users.sort_unstable();
        users.truncate(limit);
        users
    }

    /// These are the rooms of users to be told: what each room hears.
    pub fn told(&mut self, rooms_of: Vec<(UserId, Vec<RoomId>)>) -> BTreeMap<RoomId, Told> {
        let mut told: BTreeMap<RoomId, Told> = BTreeMap::new();
        for (user, rooms) in rooms_of {
            let Some(is_online) = self.untold.remove(&user) else {
                continue;
            };
            for room in rooms {
                let told = told.entry(room).or_default();
                if is_online { told.online.push(user) } else { told.offline.push(user) }
            }
        }
        told
    }
}

fn ordered(users: &HashSet<UserId>) -> Vec<UserId> {
    let mut users: Vec<UserId> = users.iter().copied().collect();
    users.sort_unstable();
    users
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);
    const ROOM: RoomId = RoomId([9; 15]);
    const OTHER: RoomId = RoomId([8; 15]);

    struct Node {
        presence: Presence,
        start: Instant,
    }

    impl Node {
        fn new() -> Self {
            Self { presence: Presence::default(), start: Instant::now() }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn changed(&mut self, user: UserId, is_connected: bool, ms: u64) {
            let at = self.at(ms);
            self.presence.changed(user, Change { is_connected, at });
        }

        fn due(&mut self, ms: u64) -> (Vec<UserId>, Vec<UserId>) {
            let now = self.at(ms);
            let Due { renew, end } = self.presence.due(now);
            (renew, end)
        }

        /// The leases do what is due, and nobody else holds any.
        fn flush(&mut self, ms: u64) -> (Vec<UserId>, Vec<UserId>) {
            let now = self.at(ms);
            let before: HashSet<UserId> =
                self.presence.online.difference(&self.presence.renew).copied().collect();
            let due = self.presence.due(now);
            let came = due.renew.iter().filter(|user| !before.contains(user)).copied().collect();
            self.presence.leased(&due, came, due.end.clone());
            (due.renew, due.end)
        }

        fn told(&mut self) -> Vec<(UserId, bool)> {
            let users = self.presence.untold(100);
            let rooms = users.into_iter().map(|user| (user, vec![ROOM])).collect();
            let told = self.presence.told(rooms);
            let Some(told) = told.get(&ROOM) else { return vec![] };
            let online = told.online.iter().map(|user| (*user, true));
            online.chain(told.offline.iter().map(|user| (*user, false))).collect()
        }
    }

    #[test]
    fn coming_is_told_at_once_going_after_the_grace() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        assert_eq!(node.flush(0), (vec![ANN], vec![]));
        assert_eq!(node.told(), [(ANN, true)]);
        node.changed(ANN, false, 1_000);
        assert_eq!(node.flush(2_000), (vec![], vec![]));
        assert_eq!(node.flush(5_900), (vec![ANN], vec![]), "renewed on the way");
        assert_eq!(node.told(), []);
        assert_eq!(node.flush(6_000), (vec![], vec![ANN]));
        assert_eq!(node.told(), [(ANN, false)]);
        assert_eq!(node.flush(9_000), (vec![], vec![]));
    }

    #[test]
    fn a_page_that_is_loaded_again_is_not_seen() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        node.flush(0);
        node.told();
        node.changed(ANN, false, 1_000);
        node.flush(1_000);
        node.changed(ANN, true, 5_000);
        assert_eq!(node.flush(20_000), (vec![ANN], vec![]));
        assert_eq!(node.told(), []);
    }

    #[test]
    fn who_came_and_went_between_two_looks_was_never_there() {
        let mut node = Node::new();
        node.changed(ANN, false, 0);
        assert_eq!(node.flush(10_000), (vec![], vec![]));
        assert_eq!(node.told(), []);
    }

    #[test]
    fn leases_are_renewed_together() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        node.flush(0);
        node.changed(BEN, true, 500);
        assert_eq!(node.flush(1_000), (vec![BEN], vec![]));
        assert_eq!(node.flush(2_000), (vec![], vec![]));
        assert_eq!(node.flush(3_000), (vec![ANN, BEN], vec![]));
    }

    #[test]
    fn what_failed_is_due_again() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        assert_eq!(node.due(0), (vec![ANN], vec![]));
        assert_eq!(node.due(1_000), (vec![ANN], vec![]));
        node.flush(2_000);
        node.changed(ANN, false, 2_000);
        assert_eq!(node.due(7_000).1, [ANN]);
        assert_eq!(node.due(8_000).1, [ANN]);
        node.changed(ANN, true, 8_500);
        assert_eq!(node.due(9_000), (vec![ANN], vec![]), "back before its lease was ended");
    }

    #[test]
    fn who_is_online_elsewhere_is_not_told() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        let due = node.presence.due(node.start);
        node.presence.leased(&due, vec![], vec![]);
        assert_eq!(node.told(), []);
    }

    #[test]
    fn one_frame_a_room_and_the_rest_waits() {
        let mut node = Node::new();
        node.changed(ANN, true, 0);
        node.changed(BEN, true, 0);
        node.flush(0);
        assert_eq!(node.presence.untold(1), [ANN]);
        let rooms =
            vec![(ANN, vec![ROOM, OTHER]), (BEN, vec![ROOM]), (UserId([3; 15]), vec![ROOM])];
        let told = node.presence.told(rooms);
        let expected = |online| Told { online, offline: vec![] };
        assert_eq!(
            told,
            BTreeMap::from([(OTHER, expected(vec![ANN])), (ROOM, expected(vec![ANN, BEN]))])
        );
        assert!(node.presence.untold(9).is_empty());
    }
}
