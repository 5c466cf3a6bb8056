//! G8: an actor that panics is built anew, and nobody else notices more than an answer that says
//! so: the node goes on, and connections stay open.

use madang_testkit::world::{Invariant, LinkId, Observation};
use std::{collections::HashSet, time::Duration};

/// A reader that was too slow.
const TOO_SLOW: u16 = 4008;
/// The node ends.
const RESTART: u16 = 1012;

#[derive(Default)]
pub(crate) struct Supervised {
    /// Links to the node that is up.
    open: HashSet<LinkId>,
    /// Readers that took a break at some time.
    slow: HashSet<LinkId>,
    is_draining: bool,
}

impl Invariant for Supervised {
    fn name(&self) -> &'static str {
        "supervised"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::GaveUp(cause) => return Err(format!("the node gave up: {cause}")),
            Observation::Started => self.is_draining = false,
            Observation::Draining => self.is_draining = true,
            Observation::Killed | Observation::Drained => self.open.clear(),
            Observation::Opened(link, _) => {
                self.open.insert(*link);
            }
            Observation::Naps(link, _) => {
                self.slow.insert(*link);
            }
            Observation::Closed(link, code) => {
                let is_known = match code {
                    Some(RESTART) => self.is_draining,
                    Some(TOO_SLOW) => self.slow.contains(link),
                    _ => false,
                };
                if self.open.remove(link) && !is_known {
                    return Err(format!("{link:?} was closed with {code:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
