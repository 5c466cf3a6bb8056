//! The log as it was seen to grow: what the invariants compare with.

use madang_protocol::{ClientId, Entry, RoomId, UserId};
use madang_testkit::world::{Observation, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// Every room's log, from the commits alone.
#[derive(Default)]
pub(crate) struct Ledger {
    rooms: BTreeMap<RoomId, Log>,
}

/// A room's log.
#[derive(Default)]
pub(crate) struct Log {
    /// By `seq`.
    pub(crate) messages: Vec<Written>,
    /// The message of each change, by `rev`.
    pub(crate) changes: Vec<u64>,
    /// Reactions that were set, and those that were taken back, at any time.
    reactions: BTreeSet<(u64, UserId, String, bool)>,
}

/// A message and all it ever was.
pub(crate) struct Written {
    pub(crate) sender: UserId,
    pub(crate) client_id: ClientId,
    /// By `rev`: the text, and whether it was deleted.
    versions: BTreeMap<u64, (String, bool)>,
}

impl Ledger {
    /// Takes note of a commit.
    pub(crate) fn observe(&mut self, seen: &Observation) {
        if let Observation::Appended { entries, committed, .. } = seen {
            entries[..*committed].iter().for_each(|entry| self.commit(entry));
        }
    }

    /// The log of a room.
    pub(crate) fn log(&mut self, room: RoomId) -> &mut Log {
        self.rooms.entry(room).or_default()
    }

    /// What a client saw is what was committed, in one of its versions.
    pub(crate) fn has(&mut self, seen: &Seen) -> Result<(), String> {
        let Some(written) = self.log(seen.room).message(seen.seq) else {
            return Err(format!("not committed: {seen:?}"));
        };
        if written.sender != seen.sender {
            return Err(format!("of another sender: {seen:?}"));
        }
        match written.versions.get(&seen.rev) {
            Some((body, deleted)) if (body, deleted) == (&seen.body, &seen.deleted) => Ok(()),
            version => Err(format!("was never so, but {version:?}: {seen:?}")),
        }
    }

    fn commit(&mut self, entry: &Entry) {
        let log = self.log(entry.room());
        match entry {
            Entry::Message(message) => log.messages.push(Written {
                sender: message.sender,
                client_id: message.client_id.clone(),
                versions: BTreeMap::from([(0, (message.body.to_string(), false))]),
            }),
            Entry::Change(change) => {
                let (message, rev) = (&change.message, change.rev());
                log.changes.push(message.seq);
                if let Some(written) = log.messages.get_mut(message.seq as usize - 1) {
                    let version = (message.body.to_string(), message.is_deleted());
                    written.versions.insert(rev, version);
                }
            }
            Entry::Reaction(reaction) => {
                let (seq, user, on) = (reaction.seq, reaction.user, reaction.on);
                log.reactions.insert((seq, user, reaction.emoji.as_str().to_owned(), on));
            }
        }
    }
}

impl Log {
    /// The message of this place.
    pub(crate) fn message(&self, seq: u64) -> Option<&Written> {
        self.messages.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }

    /// The message of this change.
    pub(crate) fn changed_by(&self, rev: u64) -> Option<u64> {
        self.changes.get(usize::try_from(rev.checked_sub(1)?).ok()?).copied()
    }

    /// A user was once committed to react so, or never reacted and is asked for no reaction.
    pub(crate) fn was_so(&self, seq: u64, user: UserId, emoji: &str, on: bool) -> bool {
        let known = |on| self.reactions.contains(&(seq, user, emoji.to_owned(), on));
        known(on) || (!on && !known(true))
    }
}
