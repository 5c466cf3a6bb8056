//! What a command of changes and reactions does to messages. Pure: what is known of the messages
//! and the entries in, what is to be written out.
//!
//! The unique index on (room, rev) decides which change takes a rev; what is decided here is
//! whether an entry fits what is known, and what its message is afterwards.

use super::message::ChangeRecord;
use crate::{StoreError, log::Stopped};
use madang_protocol::{Amended, Change, ChangeKind, Emoji, Entry, Reaction, RoomId, UserId};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

/// A message of a room.
pub(super) type Place = (RoomId, u64);
/// A reaction, that is there or is not.
pub(super) type ReactionKey = (RoomId, u64, UserId, Emoji);

/// What is known of a message, and what becomes of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) amended: Amended,
    /// Another body; `None`: it stays.
    pub(super) body: Option<Body>,
    /// Reactions that no change has told.
    pub(super) uncounted: bool,
    /// As the database has them.
    pub(super) stored: Stored,
}

/// A body, and the change it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) rev: u64,
    pub(super) text: Arc<str>,
}

/// What a message document says.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    pub(super) rev: u64,
    pub(super) reactions: Vec<(Emoji, u64)>,
    pub(super) uncounted: bool,
    /// Goes up with each change of `reactions` or `uncounted`.
    pub(super) version: i64,
}

/// What was read before.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Messages that are there, with every change that was appended before.
    pub(super) messages: HashMap<Place, Draft>,
    /// Reactions that are there, of those the command is about.
    pub(super) reactions: HashSet<ReactionKey>,
    /// Revs that are taken.
    pub(super) revs: HashSet<(RoomId, u64)>,
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Changes to insert, in order, each with its place in the command.
    pub(super) changes: Vec<(usize, ChangeRecord)>,
    /// Reactions to set, or to take back.
    pub(super) reactions: BTreeMap<ReactionKey, bool>,
    /// Messages that are different now, by place.
    pub(super) messages: BTreeMap<Place, Draft>,
    /// The first entry that does not fit, and why.
    pub(super) stopped: Option<(usize, Stopped)>,
}

/// Applies the entries, each with its place in the command, in order, until one does not fit.
/// Messages among them are passed over.
pub(super) fn plan(known: &Known, entries: &[(usize, &Entry)]) -> Plan {
    let mut planner = Planner { known, plan: Plan::default(), last: HashMap::new() };
    for (place, entry) in entries {
        let fits = match entry {
            Entry::Message(_) => Ok(()),
            Entry::Change(change) => planner.change(*place, change),
            Entry::Reaction(reaction) => planner.react(reaction),
        };
        if let Err(stopped) = fits {
            planner.plan.stopped = Some((*place, stopped));
            break;
        }
    }
    planner.plan
}

struct Planner<'a> {
    known: &'a Known,
    plan: Plan,
    /// Of each room: the first rev of this command, and the last so far.
    last: HashMap<RoomId, (u64, u64)>,
}

impl Planner<'_> {
    fn change(&mut self, place: usize, change: &Change) -> Result<(), Stopped> {
        let of = (change.message.room, change.message.seq);
        let Some(said) = change.message.amended.as_deref().filter(|said| said.rev > 0) else {
            return Err(refused("a change without a rev"));
        };
        let from = self.next_rev(of.0, said.rev)?;
        if said.deleted != (change.kind == ChangeKind::Delete) {
            return Err(refused(
                "it is a deletion and says that it is none, or the other way round",
            ));
        }
        let mut draft = self.unerased(of)?;
        let record = ChangeRecord::of(change, said, from);
        draft.apply(&record);
        if said.deleted {
            self.plan.reactions.retain(|(room, seq, ..), _| (*room, *seq) != of);
        }
        self.last.insert(of.0, (from, said.rev));
        self.plan.changes.push((place, record));
        self.plan.messages.insert(of, draft);
        Ok(())
    }

    /// The first rev of its room in this command, if `rev` is the one that comes next.
    fn next_rev(&self, room: RoomId, rev: u64) -> Result<u64, Stopped> {
        if self.known.revs.contains(&(room, rev)) {
            return Err(Stopped::Taken);
        }
        match self.last.get(&room) {
            Some((_, last)) if rev <= *last => Err(Stopped::Taken),
            Some((from, last)) if rev == last + 1 => Ok(*from),
            None if rev == 1 || self.known.revs.contains(&(room, rev - 1)) => Ok(rev),
            _ => Err(refused("its rev would leave a hole")),
        }
    }

    fn react(&mut self, reaction: &Reaction) -> Result<(), Stopped> {
        let of = (reaction.room, reaction.seq);
        let draft = self.draft(of).ok_or_else(|| refused("no such message"))?;
        let key = (reaction.room, reaction.seq, reaction.user, reaction.emoji.clone());
        let planned = self.plan.reactions.get(&key).copied();
        let is_set = planned
            .unwrap_or_else(|| !draft.amended.deleted && self.known.reactions.contains(&key));
        if is_set == reaction.on {
            self.heal(of, draft);
            return Ok(());
        }
        let mut draft = self.unerased(of)?;
        draft.amended.count(&reaction.emoji, reaction.on);
        // Also when the last one is taken back: who read of it meanwhile is yet to be told.
        draft.uncounted = true;
        self.plan.reactions.insert(key, reaction.on);
        self.plan.messages.insert(of, draft);
        Ok(())
    }

    /// The reaction was set by somebody who did not come to counting it.
    fn heal(&mut self, of: Place, mut draft: Draft) {
        let is_counted = draft.amended.reactions == draft.stored.reactions;
        if !is_counted && !self.plan.messages.contains_key(&of) {
            draft.uncounted = true;
            self.plan.messages.insert(of, draft);
        }
    }

    fn draft(&self, of: Place) -> Option<Draft> {
        self.plan.messages.get(&of).or_else(|| self.known.messages.get(&of)).cloned()
    }

    /// A message that may still be changed.
    fn unerased(&self, of: Place) -> Result<Draft, Stopped> {
        match self.draft(of) {
            None => Err(refused("no such message")),
            Some(draft) if draft.amended.deleted => Err(refused("the message is deleted")),
            Some(draft) => Ok(draft),
        }
    }
}

impl Draft {
    /// The message with a change that comes after all it has.
    pub(super) fn apply(&mut self, change: &ChangeRecord) {
        let said = change.said();
        self.amended.rev = said.rev;
        self.uncounted = !said.deleted && self.amended.reactions != said.reactions;
        match change.kind {
            ChangeKind::Reactions => {}
            ChangeKind::Edit => {
                self.amended.edited_at = said.edited_at;
                // One without a body was appended before another that has one.
                let body = change.body.clone().map(|text| Body { rev: said.rev, text });
                self.body = body.or(self.body.take());
            }
            ChangeKind::Delete => {
                self.body = Some(Body { rev: said.rev, text: "".into() });
                self.amended = Amended { reactions: Vec::new(), ..said };
            }
        }
    }

    /// A change was applied that the document does not have.
    pub(super) fn is_changed(&self) -> bool {
        self.amended.rev > self.stored.rev
    }

    /// The document says other reactions.
    pub(super) fn is_recounted(&self) -> bool {
        !self.amended.deleted
            && (self.amended.reactions != self.stored.reactions
                || self.uncounted != self.stored.uncounted)
    }
}

/// The counts that there are, in the order the message has them; new ones behind.
pub(super) fn in_order(counted: &HashMap<Emoji, u64>, order: &[(Emoji, u64)]) -> Vec<(Emoji, u64)> {
    let known = order.iter().filter_map(|(emoji, _)| Some((emoji.clone(), *counted.get(emoji)?)));
    let mut reactions: Vec<_> = known.collect();
    let is_new = |emoji: &Emoji| !order.iter().any(|(known, _)| known == emoji);
    let mut new: Vec<_> = counted.iter().filter(|(emoji, _)| is_new(emoji)).collect();
    new.sort_unstable();
    reactions.extend(new.into_iter().map(|(emoji, count)| (emoji.clone(), *count)));
    reactions
}

/// The answer for what the log cannot take, whoever asks.
fn refused(why: &str) -> Stopped {
    Stopped::Refused(StoreError::Unavailable(why.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::fixtures::{
        changing, count, delete, edit, emoji, message, reacting, room, user,
    };
    use madang_protocol::Message;

    fn known(seqs: &[u64], revs: &[u64]) -> Known {
        Known {
            messages: seqs.iter().map(|seq| ((room(1), *seq), Draft::default())).collect(),
            reactions: HashSet::new(),
            revs: revs.iter().map(|rev| (room(1), *rev)).collect(),
        }
    }

    fn planned(known: &Known, entries: &[Entry]) -> Plan {
        plan(known, &entries.iter().enumerate().collect::<Vec<_>>())
    }

    fn one() -> Message {
        message(1, 1, 1)
    }

    #[test]
    fn a_body_is_of_the_change_that_brought_it() {
        let entries = [changing(&edit(&one(), 1, "edited")), changing(&count(&one(), 2))];
        let plan = planned(&known(&[1], &[]), &entries);
        let draft = &plan.messages[&(room(1), 1)];
        assert_eq!(draft.amended.rev, 2);
        // Or the only copy would be erased before the message has it.
        assert_eq!(draft.body, Some(Body { rev: 1, text: "edited".into() }));
    }

    #[test]
    fn changes_of_one_command_say_where_it_began() {
        let entries = [
            changing(&edit(&one(), 5, "a")),
            changing(&edit(&message(1, 2, 1), 6, "b")),
            changing(&edit(&one(), 7, "c")),
        ];
        let plan = planned(&known(&[1, 2], &[4]), &entries);
        let revs: Vec<_> = plan.changes.iter().map(|(_, one)| (one.from, one.rev)).collect();
        assert_eq!(revs, [(5, 5), (5, 6), (5, 7)]);
        assert_eq!(plan.stopped, None);
    }

    #[test]
    fn a_taken_rev_is_told_before_anything_else_about_it() {
        let gone = changing(&edit(&message(1, 9, 1), 2, "no such message"));
        let taken = planned(&known(&[1], &[1, 2]), std::slice::from_ref(&gone));
        assert_eq!(taken.stopped, Some((0, Stopped::Taken)));
        let free = planned(&known(&[1], &[1]), std::slice::from_ref(&gone));
        assert!(matches!(free.stopped, Some((0, Stopped::Refused(_)))), "{free:?}");
    }

    #[test]
    fn a_reaction_that_was_not_counted_is_healed_by_one_that_says_the_same() {
        let mut known = known(&[1], &[]);
        known.reactions.insert((room(1), 1, user(2), emoji("a")));
        let again = [reacting(1, 1, 2, "a", true)];
        assert!(planned(&known, &again).messages.is_empty(), "it is counted");
        let draft = known.messages.get_mut(&(room(1), 1)).expect("it is known");
        draft.amended.reactions = vec![(emoji("a"), 1)];
        let plan = planned(&known, &again);
        assert!(plan.reactions.is_empty());
        assert!(plan.messages[&(room(1), 1)].is_recounted());
    }

    #[test]
    fn a_deletion_takes_back_what_was_set_before_it() {
        let entries = [reacting(1, 1, 2, "a", true), changing(&delete(&one(), 1))];
        let plan = planned(&known(&[1], &[]), &entries);
        assert!(plan.reactions.is_empty());
        assert!(!plan.messages[&(room(1), 1)].is_recounted());
    }

    #[test]
    fn counts_keep_the_order_the_message_has_them_in() {
        let counted = [("a", 1), ("c", 2), ("b", 3)].map(|(text, count)| (emoji(text), count));
        let order = [("c", 9), ("gone", 1)].map(|(text, count)| (emoji(text), count));
        let expected = [("c", 2), ("a", 1), ("b", 3)].map(|(text, count)| (emoji(text), count));
        assert_eq!(in_order(&counted.into_iter().collect(), &order), expected);
    }
}
