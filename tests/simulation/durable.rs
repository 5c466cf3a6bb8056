//! G2: `ok` means committed, and nothing is delivered that is not.

use crate::ledger::Ledger;
use madang_protocol::UserId;
use madang_testkit::world::{Answer, Ask, End, Invariant, LinkId, Observation};
use std::{collections::HashMap, time::Duration};

#[derive(Default)]
pub(crate) struct Durable {
    ledger: Ledger,
    users: HashMap<LinkId, UserId>,
    /// Requests; true: a reaction that was already as it is asked for. Another client of its user
    /// may change it before the answer is heard.
    asked: HashMap<(LinkId, u64), (Ask, bool)>,
}

impl Durable {
    fn acknowledged(
        &mut self,
        link: LinkId,
        (ask, was_so): &(Ask, bool),
        seq: Option<u64>,
        rev: Option<u64>,
    ) -> Result<(), String> {
        let user = self.users[&link];
        let wrong = || Err(format!("ok at {seq:?}, {rev:?} to {user}, and not so: {ask:?}"));
        match ask {
            Ask::Send(room, client_id, _) => {
                let log = self.ledger.log(*room);
                match seq.and_then(|seq| log.message(seq)) {
                    Some(written) if (written.sender, &written.client_id) == (user, client_id) => {
                        Ok(())
                    }
                    _ => wrong(),
                }
            }
            Ask::Change(room, asked) => {
                let log = self.ledger.log(*room);
                let rev = rev.unwrap_or_default();
                if rev == 0 || log.changed_by(rev) == Some(*asked) { Ok(()) } else { wrong() }
            }
            Ask::React(room, seq, emoji, on) => {
                let is_so = self.ledger.log(*room).was_so(*seq, user, emoji.as_str(), *on);
                if is_so || *was_so { Ok(()) } else { wrong() }
            }
            _ => Ok(()),
        }
    }
}

impl Invariant for Durable {
    fn name(&self) -> &'static str {
        "durable"
    }

    fn observe(&mut self, _at: Duration, seen: &Observation) -> Result<(), String> {
        self.ledger.observe(seen);
        match seen {
            Observation::Opened(link, user, _) => {
                self.users.insert(*link, *user);
                Ok(())
            }
            Observation::Asked(link, id, ask) => {
                let was_so = match ask {
                    Ask::React(room, seq, emoji, on) => {
                        let user = self.users[link];
                        self.ledger.log(*room).was_so(*seq, user, emoji.as_str(), *on)
                    }
                    _ => false,
                };
                self.asked.insert((*link, *id), (ask.clone(), was_so));
                Ok(())
            }
            Observation::Answered(link, id, answer) => {
                let Some(ask) = self.asked.remove(&(*link, *id)) else { return Ok(()) };
                let Answer::Ok { seq, rev, messages, .. } = answer else { return Ok(()) };
                messages.iter().try_for_each(|message| self.ledger.has(message))?;
                self.acknowledged(*link, &ask, *seq, *rev)
            }
            Observation::Message(_, seen) | Observation::ChangedMessage(_, seen) => {
                self.ledger.has(seen)
            }
            Observation::Began(link, room, place) => {
                let log = self.ledger.log(*room);
                let (seq, rev) = (log.messages.len() as u64, log.changes.len() as u64);
                if place.seq > seq || place.rev > rev {
                    return Err(format!(
                        "{link:?} begins {room} at {place:?}, beyond {seq}, {rev}"
                    ));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn healed(&mut self, end: &End) -> Result<(), String> {
        for (room, stored) in &end.rooms {
            let log = self.ledger.log(*room);
            let (known, found) = (log.messages.len(), stored.messages.len());
            if known != found {
                return Err(format!("{room} has {found} messages, and {known} were committed"));
            }
        }
        Ok(())
    }
}
