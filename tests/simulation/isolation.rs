//! G5: a stalled store or a slow reader keeps nobody else waiting, and nothing grows without bound.

use madang_actors::{audience, hub, room, store_reader, store_writer};
use madang_testkit::world::{Answer, Ask, Invariant, LinkId, Observation};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

/// Longest answer to a `ping`, whatever the store does; a client looks every few milliseconds.
const PING_MAX: Duration = Duration::from_millis(100);
/// With more unanswered requests a connection is not read from.
const REQUESTS_MAX: usize = 10;

#[derive(Default)]
pub(crate) struct Isolation {
    /// Unanswered requests of each link; for a `ping` that has to be answered at once, when it was.
    asked: HashMap<LinkId, BTreeMap<u64, Option<Duration>>>,
    /// Clients that do not read.
    naps: HashSet<LinkId>,
    /// The node of each link.
    nodes: HashMap<LinkId, usize>,
    /// Nodes that stand still.
    paused: HashSet<usize>,
}

impl Invariant for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn observe(&mut self, at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Asked(link, id, ask) => {
                let asked = self.asked.entry(*link).or_default();
                let is_paused = self.nodes.get(link).is_some_and(|node| self.paused.contains(node));
                let counts = *ask == Ask::Ping && asked.len() < REQUESTS_MAX && !is_paused;
                asked.insert(*id, counts.then_some(at));
            }
            Observation::Naps(link, naps) => {
                if *naps {
                    self.naps.insert(*link);
                }
                for asked in self.asked.entry(*link).or_default().values_mut() {
                    *asked = None;
                }
            }
            Observation::Opened(link, _, node) => drop(self.nodes.insert(*link, *node)),
            Observation::Paused(node, pauses) => {
                if *pauses {
                    self.paused.insert(*node);
                } else {
                    self.paused.remove(node);
                }
                for (link, asked) in &mut self.asked {
                    if self.nodes.get(link) == Some(node) {
                        asked.values_mut().for_each(|since| *since = None);
                    }
                }
            }
            Observation::Answered(link, id, Answer::Ok { .. }) => {
                let asked = self.asked.entry(*link).or_default().remove(id).flatten();
                if let Some(since) = asked.filter(|since| at - *since > PING_MAX) {
                    return Err(format!("{link:?} waited {:?} for a pong", at - since));
                }
            }
            Observation::Answered(link, id, Answer::Error(_)) => {
                self.asked.entry(*link).or_default().remove(id);
            }
            Observation::HungUp(link) | Observation::Closed(link, _) => {
                self.asked.remove(link);
            }
            Observation::Depth(kind, depth) if *depth > bound(kind) => {
                return Err(format!("{depth} messages wait for a {kind}"));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Messages that may wait for an actor of this kind.
fn bound(kind: &str) -> usize {
    match kind {
        "room" => room::INBOX_BOUND,
        "audience" => audience::INBOX_BOUND,
        "hub" => hub::INBOX_BOUND,
        "store_writer" => store_writer::INBOX_BOUND,
        "store_reader" => store_reader::INBOX_BOUND,
        _ => 64,
    }
}
