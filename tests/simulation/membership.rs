//! Who is out of a room says and hears nothing there any more; who is in does.

use madang_protocol::{ClientId, Entry, Event, RoomId, UserId};
use madang_store::rooms::RoomChanged;
use madang_testkit::world::{Ask, End, Invariant, LinkId, Observation};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    time::Duration,
};

/// A node that stands still for so long is out of the view of the others: a bit more than the 3 s
/// after which it is, for the heartbeat that closed its gate.
const TOO_STILL: Duration = Duration::from_millis(4_000);
/// Within so long it cannot have joined again.
const SOON: Duration = Duration::from_millis(400);

#[derive(Default)]
pub(crate) struct Membership {
    /// Memberships that ended and did not begin again, the node that ended them, and when.
    ended: HashMap<(RoomId, UserId), (usize, Duration)>,
    /// Since when nodes stand still.
    still_since: HashMap<usize, Duration>,
    /// When nodes stood still last.
    stood_still: HashMap<usize, Range<Duration>>,
    /// When each message was sent first.
    sent: HashMap<ClientId, Duration>,
    /// Connections that were told so.
    out: HashSet<(LinkId, RoomId)>,
}

impl Membership {
    fn changed(&mut self, room: RoomId, changed: &RoomChanged, node: usize, at: Duration) {
        let RoomChanged::Done { events, .. } = changed else { return };
        for event in events {
            let Event::Member(event) = event else { continue };
            if event.change.ends() {
                self.ended.insert((room, event.user), (node, at));
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
            if ended_by.is_some_and(|(node, _)| by.is_none_or(|by| by == *node)) {
                return Err(format!("its sender is out: {message:?}"));
            }
        }
        Ok(())
    }

    /// A node that stood still until others took its place takes nothing that was sent meanwhile, and
    /// after they put the sender out.
    fn are_not_stale(&self, entries: &[Entry], node: usize, at: Duration) -> Result<(), String> {
        let Some(still) = self.stood_still.get(&node) else { return Ok(()) };
        if still.end - still.start < TOO_STILL || at > still.end + SOON {
            return Ok(());
        }
        for entry in entries {
            let Entry::Message(message) = entry else { continue };
            let Some((by, ended)) = self.ended.get(&(message.room, message.sender)) else {
                continue;
            };
            let sent = self.sent.get(&message.client_id);
            let is_after = sent.is_some_and(|sent| sent > ended && still.contains(sent));
            if *by != node && still.contains(ended) && is_after {
                return Err(format!("{node} stood still, and takes {message:?}"));
            }
        }
        Ok(())
    }
}

impl Invariant for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Changed { room, changed, node } => self.changed(*room, changed, *node, at),
            Observation::Paused(node, true) => drop(self.still_since.insert(*node, at)),
            Observation::Paused(node, false) => {
                let since = self.still_since.remove(node).unwrap_or(at);
                self.stood_still.insert(*node, since..at);
            }
            Observation::Asked(_, _, Ask::Send(_, client_id, true)) => {
                self.sent.insert(client_id.clone(), at);
            }
            // What was in doubt when the membership ended cannot be called back.
            Observation::Appended { entries, committed, is_late: false } => {
                return self.are_in(&entries[..*committed], None);
            }
            // Another node may not know yet.
            Observation::Arrived { entries, node, is_late: false } => {
                self.are_not_stale(entries, *node, at)?;
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
