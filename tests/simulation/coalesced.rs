//! G7: receipts cost one bulk write a flush; they only rise; a node that ends in order has written
//! them all, and one that is killed loses no more than a flush.

use madang_protocol::{Entry, Event, MemberChange, RoomId, UserId};
use madang_store::rooms::RoomChanged;
use madang_testkit::world::{Answer, Ask, Invariant, LinkId, Observation};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// Between two bulk writes: the setting, less what rounding takes.
const FLUSH_MIN: Duration = Duration::from_millis(990);

#[derive(Default)]
pub(crate) struct Coalesced {
    /// By node.
    last_bulk: HashMap<usize, Duration>,
    /// Nodes that end, and write as soon as they can.
    draining: HashSet<usize>,
    /// What the store has.
    stored: BTreeMap<(RoomId, UserId), u64>,
    /// What was answered in this life of a node. What one gathers no other knows of.
    told: BTreeMap<(usize, RoomId, UserId), u64>,
    /// Memberships that are over: nothing is kept of them.
    ended: HashSet<(RoomId, UserId)>,
    /// Who a link is of, and to which node.
    links: HashMap<LinkId, (UserId, usize)>,
    /// Requests, with what was told when they were made.
    asked: HashMap<(LinkId, u64), (RoomId, u64)>,
}

impl Coalesced {
    fn bulk(&mut self, at: Duration, node: usize) -> Result<(), String> {
        let since = self.last_bulk.insert(node, at).map(|last| at - last);
        match since.filter(|since| *since < FLUSH_MIN && !self.draining.contains(&node)) {
            Some(since) => Err(format!("two bulk writes within {since:?}")),
            None => Ok(()),
        }
    }

    fn stored(&mut self, room: RoomId, user: UserId, seq: u64) {
        let stored = self.stored.entry((room, user)).or_default();
        *stored = seq.max(*stored);
    }

    /// A new membership begins with everything read; nothing is left of an ended one.
    fn changed(&mut self, room: RoomId, changed: &RoomChanged) {
        let RoomChanged::Done { events, heads, .. } = changed else { return };
        for event in events {
            let Event::Member(event) = event else { continue };
            let key = (room, event.user);
            match event.change {
                MemberChange::Joined => {
                    self.stored.insert(key, heads.last_seq);
                    self.forget(key);
                    self.ended.remove(&key);
                }
                change if change.ends() => {
                    self.stored.remove(&key);
                    self.forget(key);
                    self.ended.insert(key);
                }
                _ => {}
            }
        }
    }

    fn forget(&mut self, (room, user): (RoomId, UserId)) {
        self.told.retain(|(_, of, who), _| (*of, *who) != (room, user));
    }

    fn asks(&mut self, link: LinkId, id: u64, room: RoomId) {
        let (user, node) = self.links[&link];
        let told = self.told.get(&(node, room, user)).copied().unwrap_or_default();
        self.asked.insert((link, id), (room, told));
    }

    fn answered(&mut self, link: LinkId, id: u64, read_seq: u64) -> Result<(), String> {
        let Some((room, before)) = self.asked.remove(&(link, id)) else { return Ok(()) };
        let (user, node) = self.links[&link];
        if self.ended.contains(&(room, user)) {
            return Ok(());
        }
        // A membership that ended meanwhile took what was told with it.
        let is_same = before == 0 || self.told.contains_key(&(node, room, user));
        if is_same && read_seq < before {
            return Err(format!("{user} has read {room} up to {before}, and then to {read_seq}"));
        }
        let told = self.told.entry((node, room, user)).or_default();
        *told = read_seq.max(*told);
        Ok(())
    }

    /// Everything that was told has to be stored.
    fn drained(&mut self, node: usize) -> Result<(), String> {
        for ((_, room, user), told) in self.told.iter().filter(|((of, ..), _)| *of == node) {
            let stored = self.stored.get(&(*room, *user)).copied().unwrap_or_default();
            if stored < *told {
                return Err(format!("{user} in {room} was told {told}, and {stored} is stored"));
            }
        }
        self.told.retain(|(of, ..), _| *of != node);
        Ok(())
    }
}

impl Invariant for Coalesced {
    fn name(&self) -> &'static str {
        "coalesced"
    }

    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::BulkBegun(node) => return self.bulk(at, *node),
            Observation::ReadsStored(reads) => {
                for read in reads {
                    self.stored(read.room, read.user, read.seq);
                }
            }
            Observation::Appended { entries, committed, .. } => {
                for entry in &entries[..*committed] {
                    if let Entry::Message(message) = entry {
                        self.stored(message.room, message.sender, message.seq);
                    }
                }
            }
            Observation::Changed { room, changed, .. } => self.changed(*room, changed),
            Observation::Opened(link, user, node) => {
                self.links.insert(*link, (*user, *node));
            }
            Observation::Asked(link, id, Ask::Read(room, _) | Ask::Subscribe(room)) => {
                self.asks(*link, *id, *room);
            }
            Observation::Answered(link, id, Answer::Ok { read_seq: Some(read_seq), .. }) => {
                return self.answered(*link, *id, *read_seq);
            }
            Observation::Draining(node) => drop(self.draining.insert(*node)),
            Observation::Drained(node) => return self.drained(*node),
            Observation::Started(node) => {
                self.draining.remove(node);
                self.last_bulk.remove(node);
            }
            Observation::Killed(node) => {
                self.told.retain(|(of, ..), _| of != node);
                let links = &self.links;
                self.asked.retain(|(link, _), _| links[link].1 != *node);
            }
            _ => {}
        }
        Ok(())
    }
}
