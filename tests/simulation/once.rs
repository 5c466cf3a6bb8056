//! G3: a message that is sent again with the same `client_id` is one message.

use madang_protocol::{ClientId, Entry, RoomId, UserId};
use madang_testkit::world::{Answer, Ask, Invariant, LinkId, Observation};
use std::{collections::HashMap, time::Duration};

/// The sender's name for a message.
type Name = (RoomId, UserId, ClientId);

#[derive(Default)]
pub(crate) struct Once {
    committed: HashMap<Name, u64>,
    answered: HashMap<Name, u64>,
    users: HashMap<LinkId, UserId>,
    asked: HashMap<(LinkId, u64), (RoomId, ClientId)>,
}

impl Invariant for Once {
    fn name(&self) -> &'static str {
        "once"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        match seen {
            Observation::Appended { entries, committed, .. } => {
                for entry in &entries[..*committed] {
                    let Entry::Message(message) = entry else { continue };
                    let name = (message.room, message.sender, message.client_id.clone());
                    if let Some(seq) = self.committed.insert(name, message.seq) {
                        return Err(format!("committed at {seq} already: {message:?}"));
                    }
                }
            }
            Observation::Opened(link, user, _) => {
                self.users.insert(*link, *user);
            }
            Observation::Asked(link, id, Ask::Send(room, client_id, _)) => {
                self.asked.insert((*link, *id), (*room, client_id.clone()));
            }
            Observation::Answered(link, id, Answer::Ok { seq: Some(seq), .. }) => {
                let Some((room, client_id)) = self.asked.remove(&(*link, *id)) else {
                    return Ok(());
                };
                let name = (room, self.users[link], client_id);
                let known = *self.answered.entry(name.clone()).or_insert(*seq);
                if known != *seq {
                    return Err(format!("answered at {known}, and now at {seq}: {name:?}"));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
