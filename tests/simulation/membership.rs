//! Who is out of a room says and hears nothing there any more; who is in does.

use madang_protocol::{Entry, Event, RoomId, UserId};
use madang_store::rooms::RoomChanged;
use madang_testkit::world::{End, Invariant, LinkId, Observation};
use std::{collections::HashSet, time::Duration};

#[derive(Default)]
pub(crate) struct Membership {
    /// Memberships that ended and did not begin again.
    ended: HashSet<(RoomId, UserId)>,
    /// Connections that were told so.
    out: HashSet<(LinkId, RoomId)>,
}

impl Membership {
    fn changed(&mut self, room: RoomId, changed: &RoomChanged) {
        let RoomChanged::Done { events, .. } = changed else { return };
        for event in events {
            let Event::Member(event) = event else { continue };
            if event.change.ends() {
                self.ended.insert((room, event.user));
            } else {
                self.ended.remove(&(room, event.user));
            }
        }
    }
}

impl Invariant for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Changed { room, changed } => self.changed(*room, changed),
            // What was in doubt when the membership ended cannot be called back.
            Observation::Appended { entries, committed, is_late: false } => {
                for entry in &entries[..*committed] {
                    if let Entry::Message(message) = entry
                        && self.ended.contains(&(message.room, message.sender))
                    {
                        return Err(format!("its sender is out: {message:?}"));
                    }
                }
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
