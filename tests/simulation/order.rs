//! G1: a room has one sequence without holes; every reader sees it in that order; the sends of one
//! connection to a room keep theirs.

use madang_protocol::{Entry, Place, RoomId};
use madang_testkit::world::{Answer, Ask, Invariant, LinkId, Observation};
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Order {
    /// What is committed.
    heads: HashMap<RoomId, Place>,
    /// How far each reader is.
    readers: HashMap<(LinkId, RoomId), Place>,
    /// First sends of each connection to each room, by the order they were made: their `seq`, once
    /// it is known.
    lanes: HashMap<(LinkId, RoomId), BTreeMap<u64, Option<u64>>>,
    asked: HashMap<(LinkId, u64), RoomId>,
}

impl Order {
    /// Nothing is handed to the log but what follows on what is there, or stands before it.
    fn chain(&mut self, entries: &[Entry], committed: usize) -> Result<(), String> {
        let mut heads = self.heads.clone();
        for (index, entry) in entries.iter().enumerate() {
            let head = heads.entry(entry.room()).or_default();
            match entry {
                Entry::Message(message) if message.seq > head.seq + 1 => {
                    return Err(format!("a hole after {head:?}: {entry:?}"));
                }
                Entry::Change(change) if change.rev() > head.rev + 1 => {
                    return Err(format!("a hole after {head:?}: {entry:?}"));
                }
                Entry::Message(message) => head.seq = head.seq.max(message.seq),
                Entry::Change(change) => head.rev = head.rev.max(change.rev()),
                Entry::Reaction(_) => {}
            }
            if index < committed {
                self.heads.insert(entry.room(), *head);
            }
        }
        Ok(())
    }

    fn in_lane(&mut self, link: LinkId, id: u64, seq: u64) -> Result<(), String> {
        let Some(room) = self.asked.remove(&(link, id)) else { return Ok(()) };
        let lane = self.lanes.entry((link, room)).or_default();
        lane.insert(id, Some(seq));
        let earlier = lane.range(..id).filter_map(|(_, seq)| *seq).max();
        let later = lane.range(id + 1..).filter_map(|(_, seq)| *seq).min();
        if earlier.is_some_and(|earlier| earlier > seq) || later.is_some_and(|later| later < seq) {
            return Err(format!(
                "{link:?} sent {id} to {room} between {earlier:?} and {later:?}, at {seq}"
            ));
        }
        Ok(())
    }
}

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Appended { entries, committed, .. } => self.chain(entries, *committed),
            Observation::Arrived { entries, .. } => self.chain(entries, 0),
            Observation::Began(link, room, place) => {
                self.readers.insert((*link, *room), *place);
                Ok(())
            }
            Observation::Ended(link, room) => {
                self.readers.remove(&(*link, *room));
                Ok(())
            }
            Observation::Message(link, seen) => {
                let Some(place) = self.readers.get_mut(&(*link, seen.room)) else { return Ok(()) };
                if seen.seq != place.seq + 1 {
                    return Err(format!("{link:?} is at {place:?} and gets {seen:?}"));
                }
                place.seq = seen.seq;
                Ok(())
            }
            Observation::ChangedMessage(link, seen) => {
                let Some(place) = self.readers.get_mut(&(*link, seen.room)) else { return Ok(()) };
                if seen.rev <= place.rev || seen.seq > place.seq {
                    return Err(format!("{link:?} is at {place:?} and gets changed {seen:?}"));
                }
                place.rev = seen.rev;
                Ok(())
            }
            Observation::Asked(link, id, Ask::Send(room, _, true)) => {
                self.asked.insert((*link, *id), *room);
                self.lanes.entry((*link, *room)).or_default().insert(*id, None);
                Ok(())
            }
            Observation::Answered(
                link,
                id,
                Answer::Ok { seq: Some(seq), duplicate: false, .. },
            ) => self.in_lane(*link, *id, *seq),
            Observation::Answered(link, id, Answer::Ok { messages, .. }) => {
                let pairs = messages.windows(2);
                let hole = pairs.into_iter().find(|pair| pair[1].seq != pair[0].seq + 1);
                let hole =
                    hole.map(|pair| format!("{link:?} reads a page with a hole: {pair:?} ({id})"));
                hole.map_or(Ok(()), Err)
            }
            _ => Ok(()),
        }
    }
}
