//! Changes that wait until the message they are about was read.

use super::pending::{Pending, Submit};
use madang_protocol::UserId;
use std::collections::{BTreeMap, btree_map::Entry};
use tokio::time::Instant;

/// Which message, and whose reactions to it matter.
pub type Sought = (u64, UserId);

/// What waits for each, in the order it came; all of it counts in `QUEUE_MAX`.
pub struct Looking<S> {
    sought: BTreeMap<Sought, Waiting<S>>,
}

struct Waiting<S> {
    /// The message is being read.
    asked: bool,
    /// Never none.
    changes: Vec<Pending<S>>,
}

impl<S> Looking<S> {
    /// Nothing waits.
    pub fn new() -> Self {
        Self { sought: BTreeMap::new() }
    }

    /// Changes that wait.
    pub fn len(&self) -> usize {
        self.sought.values().map(|waiting| waiting.changes.len()).sum()
    }

    /// No change waits.
    pub fn is_empty(&self) -> bool {
        self.sought.is_empty()
    }

    /// Something waits for the message, and by the user, of this one.
    pub fn is_for(&self, submit: &Submit) -> bool {
        let seq = submit.work.target();
        seq.is_some_and(|seq| self.sought.contains_key(&(seq, submit.sender)))
    }

    /// Some change of `user` waits.
    pub fn has_work_of(&self, user: UserId) -> bool {
        self.sought.keys().any(|(_, of)| *of == user)
    }

    /// The messages that are waited for.
    pub fn seqs(&self) -> impl Iterator<Item = u64> {
        self.sought.keys().map(|(seq, _)| *seq)
    }

    /// Keeps a change until its message was read. True: it has to be asked for. One that could not be
    /// read is asked for again in its time, however many come.
    pub fn wait(&mut self, sought: Sought, pending: Pending<S>) -> bool {
        match self.sought.entry(sought) {
            Entry::Occupied(mut waiting) => {
                waiting.get_mut().changes.push(pending);
                false
            }
            Entry::Vacant(place) => {
                place.insert(Waiting { asked: true, changes: vec![pending] });
                true
            }
        }
    }

    /// What waited for this one, which is known now, or never will be.
    pub fn take(&mut self, sought: Sought) -> Vec<Pending<S>> {
        self.sought.remove(&sought).map(|waiting| waiting.changes).unwrap_or_default()
    }

    /// It could not be read. True: somebody waits for it.
    pub fn failed(&mut self, sought: Sought) -> bool {
        let waiting = self.sought.get_mut(&sought);
        waiting.map(|waiting| waiting.asked = false).is_some()
    }

    /// Those that could not be read; they count as asked for from now on.
    pub fn ask_again(&mut self) -> Vec<Sought> {
        let ask = |waiting: &mut Waiting<S>| !std::mem::replace(&mut waiting.asked, true);
        let sought = self.sought.iter_mut();
        sought.filter_map(|(sought, waiting)| ask(waiting).then_some(*sought)).collect()
    }

    /// Takes out the changes whose wait is over.
    pub fn expire(&mut self, now: Instant) -> Vec<Pending<S>> {
        let mut late = Vec::new();
        self.sought.retain(|_, waiting| {
            let changes = &mut waiting.changes;
            late.extend(changes.extract_if(.., |change| change.submit.deadline <= now));
            !changes.is_empty()
        });
        late
    }

    /// Empties it.
    pub fn drain(&mut self) -> impl Iterator<Item = Pending<S>> {
        std::mem::take(&mut self.sought).into_values().flat_map(|waiting| waiting.changes)
    }
}

impl<S> Default for Looking<S> {
    fn default() -> Self {
        Self::new()
    }
}
