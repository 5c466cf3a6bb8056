//! G8: an actor that panics is built anew, and nobody else notices more than an answer that says
//! so: the node goes on, and connections stay open.

use madang_testkit::world::{Invariant, LinkId, Observation};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// A reader that was too slow.
const TOO_SLOW: u16 = 4008;
/// The node ends.
const RESTART: u16 = 1012;

#[derive(Default)]
pub(crate) struct Supervised {
    /// Links to nodes that are up, and to which.
    open: HashMap<LinkId, usize>,
    /// Readers that took a break at some time.
    slow: HashSet<LinkId>,
    draining: HashSet<usize>,
}

impl Invariant for Supervised {
    fn name(&self) -> &'static str {
        "supervised"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::GaveUp(node, cause) => return Err(format!("{node} gave up: {cause}")),
            Observation::Started(node) => drop(self.draining.remove(node)),
            Observation::Draining(node) => drop(self.draining.insert(*node)),
            Observation::Killed(node) | Observation::Drained(node) => {
                self.open.retain(|_, of| of != node);
            }
            Observation::Opened(link, _, node) => {
                self.open.insert(*link, *node);
            }
            Observation::Naps(link, _) => {
                self.slow.insert(*link);
            }
            Observation::Closed(link, code) => {
                let Some(node) = self.open.remove(link) else { return Ok(()) };
                let is_known = match code {
                    Some(RESTART) => self.draining.contains(&node),
                    Some(TOO_SLOW) => self.slow.contains(link),
                    _ => false,
                };
                if !is_known {
                    return Err(format!("{link:?} was closed with {code:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
