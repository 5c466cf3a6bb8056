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
    last_bulk: Option<Duration>,
    /// The node ends, and writes as soon as it can.
    is_draining: bool,
    /// What the store has.
    stored: BTreeMap<(RoomId, UserId), u64>,
    /// What was answered in this life of the node.
    told: BTreeMap<(RoomId, UserId), u64>,
    /// Memberships that are over: nothing is kept of them.
    ended: HashSet<(RoomId, UserId)>,
    users: HashMap<LinkId, UserId>,
    /// Requests, with what was told when they were made.
    asked: HashMap<(LinkId, u64), (RoomId, u64)>,
}

impl Coalesced {
    fn bulk(&mut self, at: Duration) -> Result<(), String> {
        let since = self.last_bulk.replace(at).map(|last| at - last);
        match since.filter(|since| *since < FLUSH_MIN && !self.is_draining) {
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
                    self.told.remove(&key);
                    self.ended.remove(&key);
                }
                change if change.ends() => {
                    self.stored.remove(&key);
                    self.told.remove(&key);
                    self.ended.insert(key);
                }
                _ => {}
            }
        }
    }

    fn asks(&mut self, link: LinkId, id: u64, room: RoomId) {
        let told = self.told.get(&(room, self.users[&link])).copied().unwrap_or_default();
        self.asked.insert((link, id), (room, told));
    }

    fn answered(&mut self, link: LinkId, id: u64, read_seq: u64) -> Result<(), String> {
        let Some((room, before)) = self.asked.remove(&(link, id)) else { return Ok(()) };
        let user = self.users[&link];
        if self.ended.contains(&(room, user)) {
            return Ok(());
        }
        // A membership that ended meanwhile took what was told with it.
        let is_same = before == 0 || self.told.contains_key(&(room, user));
        if is_same && read_seq < before {
            return Err(format!("{user} has read {room} up to {before}, and then to {read_seq}"));
        }
        let told = self.told.entry((room, user)).or_default();
        *told = read_seq.max(*told);
        Ok(())
    }

    /// Everything that was told has to be stored.
    fn drained(&mut self) -> Result<(), String> {
        for (key, told) in std::mem::take(&mut self.told) {
            let stored = self.stored.get(&key).copied().unwrap_or_default();
            if stored < told {
                return Err(format!("{key:?} was told {told}, and {stored} is stored"));
            }
        }
        Ok(())
    }
}

impl Invariant for Coalesced {
    fn name(&self) -> &'static str {
        "coalesced"
    }

    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::BulkBegun => return self.bulk(at),
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
            Observation::Changed { room, changed } => self.changed(*room, changed),
            Observation::Opened(link, user) => {
                self.users.insert(*link, *user);
            }
            Observation::Asked(link, id, Ask::Read(room, _) | Ask::Subscribe(room)) => {
                self.asks(*link, *id, *room);
            }
            Observation::Answered(link, id, Answer::Ok { read_seq: Some(read_seq), .. }) => {
                return self.answered(*link, *id, *read_seq);
            }
            Observation::Draining => self.is_draining = true,
            Observation::Drained => return self.drained(),
            Observation::Started => (self.is_draining, self.last_bulk) = (false, None),
            Observation::Killed => {
                self.told.clear();
                self.asked.clear();
            }
            _ => {}
        }
        Ok(())
    }
}
