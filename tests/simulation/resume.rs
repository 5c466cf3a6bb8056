//! G4: a client that comes back gets everything it missed, and in the end everybody has everything.

use madang_testkit::world::{Answer, Ask, End, Invariant, LinkId, Observation};
use std::{collections::HashMap, time::Duration};

#[derive(Default)]
pub(crate) struct Resume {
    asked: HashMap<(LinkId, u64), Ask>,
}

impl Invariant for Resume {
    fn name(&self) -> &'static str {
        "resume"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Asked(link, id, ask @ (Ask::Hello | Ask::Subscribe(_))) => {
                self.asked.insert((*link, *id), ask.clone());
            }
            Observation::Answered(link, id, answer) => {
                let Some(ask) = self.asked.remove(&(*link, *id)) else { return Ok(()) };
                if *answer == Answer::Error("invalid".into()) {
                    return Err(format!("{link:?} knows more than the node will have: {ask:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn healed(&mut self, end: &End) -> Result<(), String> {
        let behind = end.behind();
        if behind.is_empty() { Ok(()) } else { Err(behind.join("\n")) }
    }
}
