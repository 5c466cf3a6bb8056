//! G6: whatever the store and the bus do, every request is answered in its time; when they work
//! again, everything does.

use madang_testkit::world::{Ask, End, Invariant, LinkId, Observation};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// Sends wait 15 s at most; a read takes up to three calls of 5 s; pages of history are read one
/// after the other.
const SEND_MAX: Duration = Duration::from_secs(18);
const READ_MAX: Duration = Duration::from_secs(17);
const HISTORY_MAX: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Degraded {
    /// Since when each request waits, and what it is.
    asked: HashMap<LinkId, BTreeMap<u64, (Duration, Ask)>>,
    /// The node of each link.
    nodes: HashMap<LinkId, usize>,
    /// Nodes that stand still: nobody is answered there.
    paused: HashSet<usize>,
}

impl Degraded {
    fn late(&self, at: Duration) -> Option<String> {
        let stands = |link| self.nodes.get(link).is_some_and(|node| self.paused.contains(node));
        let all =
            self.asked.iter().filter(|(link, _)| !stands(link)).flat_map(|(link, asked)| {
                asked.values().map(move |(since, ask)| (*link, *since, ask))
            });
        let late = all.filter(|(_, since, ask)| at - *since > longest(ask));
        let late = late.min_by_key(|(link, since, _)| (*since, *link));
        late.map(|(link, since, ask)| format!("{link:?} waits since {since:?} for {ask:?}"))
    }
}

impl Invariant for Degraded {
    fn name(&self) -> &'static str {
        "degraded"
    }

    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Asked(link, id, ask) => {
                self.asked.entry(*link).or_default().insert(*id, (at, ask.clone()));
                if let Some(late) = self.late(at) {
                    return Err(late);
                }
            }
            Observation::Answered(link, id, _) => {
                self.asked.entry(*link).or_default().remove(id);
            }
            // One that does not read may find its answer afterwards.
            Observation::Naps(link, _) => {
                for (since, _) in self.asked.entry(*link).or_default().values_mut() {
                    *since = at;
                }
            }
            Observation::Opened(link, _, node) => drop(self.nodes.insert(*link, *node)),
            Observation::Paused(node, true) => drop(self.paused.insert(*node)),
            Observation::Paused(node, false) => {
                self.paused.remove(node);
                for (link, asked) in &mut self.asked {
                    if self.nodes.get(link) == Some(node) {
                        asked.values_mut().for_each(|(since, _)| *since = at);
                    }
                }
            }
            Observation::HungUp(link) | Observation::Closed(link, _) => {
                self.asked.remove(link);
            }
            _ => {}
        }
        Ok(())
    }

    fn healed(&mut self, end: &End) -> Result<(), String> {
        let unsettled = end.unsettled();
        if unsettled.is_empty() { Ok(()) } else { Err(unsettled.join("\n")) }
    }
}

fn longest(ask: &Ask) -> Duration {
    match ask {
        Ask::Send(..) | Ask::Change(..) | Ask::React(..) => SEND_MAX,
        Ask::History(_) => HISTORY_MAX,
        _ => READ_MAX,
    }
}
