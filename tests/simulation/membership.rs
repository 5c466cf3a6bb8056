//! Who is out of a room says and hears nothing there any more; who is in does.

use madang_protocol::{Entry, Event, RoomId, UserId};
use madang_store::rooms::RoomChanged;
use madang_testkit::world::{End, Invariant, LinkId, Observation};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

#[derive(Default)]
pub(crate) struct Membership {
    /// Memberships that ended and did not begin again, and the node that ended them.
    ended: HashMap<(RoomId, UserId), usize>,
    /// Connections that were told so.
    out: HashSet<(LinkId, RoomId)>,
}

impl Membership {
    fn changed(&mut self, room: RoomId, changed: &RoomChanged, node: usize) {
        let RoomChanged::Done { events, .. } = changed else { return };
        for event in events {
            let Event::Member(event) = event else { continue };
            if event.change.ends() {
                self.ended.insert((room, event.user), node);
            } else {
                self.ended.remove(&(room, event.user));
            }
        }
    }

    /// Nobody sends whom this node, or the only one there is, has put out.
    fn are_in(&self, entries: &[Entry], by: Option<usize>) -> Result<(), String> {
        for entry in entries {
            let Entry::Message(message) = entry else { continue };
            let ended_by = self.ended.get(&(message.room, message.sender));
            if ended_by.is_some_and(|node| by.is_none_or(|by| by == *node)) {
                return Err(format!("its sender is out: {message:?}"));
            }
        }
        Ok(())
    }
}

impl Invariant for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Changed { room, changed, node } => self.changed(*room, changed, *node),
            // What was in doubt when the membership ended cannot be called back.
            Observation::Appended { entries, committed, is_late: false } => {
                return self.are_in(&entries[..*committed], None);
            }
            // Another node may not know yet.
            Observation::Arrived { entries, node, is_late: false } => {
                return self.are_in(entries, Some(*node));
            }
            Observation::Out(link, room) => {
                self.out.insert((*link, *room));
            }
            Observation::Began(link, room, _) => {
                self.out.remove(&(*link, *room));
            }
            Observation::Message(link, seen) | Observation::ChangedMessage(link, seen)
                if self.out.contains(&(*link, seen.room)) =>
            {
                return Err(format!("{link:?} was told that it is out, and hears {seen:?}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn healed(&mut self, end: &End) -> Result<(), String> {
        let misplaced = end.misplaced();
        if misplaced.is_empty() { Ok(()) } else { Err(misplaced.join("\n")) }
    }
}
