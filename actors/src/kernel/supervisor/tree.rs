//! The tree as it is at one moment, for operators.

use super::{Branch, Child, ChildId, Strategy, Supervisor};
use std::{cmp::Reverse, collections::BTreeMap};

/// Children of one kind that are listed one by one. There may be a hundred thousand rooms.
pub const LISTED_MAX: usize = 20;

/// A supervisor and what is below it.
#[derive(Debug, PartialEq, Eq)]
pub struct Tree {
    /// Its name.
    pub name: &'static str,
    /// Who is restarted with whom.
    pub strategy: Strategy,
    /// How the supervisor itself is.
    pub vitals: Vitals,
    /// Supervisors below.
    pub subtrees: Vec<Tree>,
    /// Everybody else, by kind.
    pub children: Vec<Kind>,
}

/// All children of one kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// What they are.
    pub kind: &'static str,
    /// How many there are.
    pub count: usize,
    /// How many wait for their restart.
    pub restarting: usize,
    /// Restarts of those that are here.
    pub restarts: u64,
    /// Messages that wait in their inboxes, in all.
    pub mailbox: usize,
    /// Those worth a look, at most [`LISTED_MAX`]: most restarts first, then most messages.
    pub listed: Vec<(u64, Vitals)>,
}

/// How one actor is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// Whether it works.
    pub state: State,
    /// How often it was built anew.
    pub restarts: u32,
    /// Messages that wait in its inbox.
    pub mailbox: usize,
}

/// Whether an actor works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Up,
    /// It panicked and waits to be built anew.
    Restarting,
}

impl Supervisor {
    /// This supervisor and everything below, as it is now. Takes a look at every child: not on a
    /// thread that others wait for.
    pub fn tree(&self) -> Tree {
        let vitals = Vitals { state: State::Up, restarts: 0, mailbox: self.address.depth() };
        tree(&self.branch, vitals)
    }
}

fn tree(branch: &Branch, vitals: Vitals) -> Tree {
    let mut subtrees = Vec::new();
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    for (id, child) in branch.children().iter() {
        match &child.branch {
            Some(below) => subtrees.push(tree(below, child.vitals())),
            None => {
                kinds.entry(child.kind).or_insert_with(|| Kind::new(child.kind)).add(*id, child)
            }
        }
    }
    let children = kinds.into_values().map(Kind::shortened).collect();
    Tree { name: branch.name, strategy: branch.strategy, vitals, subtrees, children }
}

impl Child {
    fn vitals(&self) -> Vitals {
        Vitals { state: self.state, restarts: self.restarts, mailbox: self.shell.depth() }
    }
}

impl Kind {
    fn new(kind: &'static str) -> Self {
        Self { kind, count: 0, restarting: 0, restarts: 0, mailbox: 0, listed: Vec::new() }
    }

    fn add(&mut self, id: ChildId, child: &Child) {
        let vitals = child.vitals();
        self.count += 1;
        self.restarting += usize::from(vitals.state == State::Restarting);
        self.restarts += u64::from(vitals.restarts);
        self.mailbox += vitals.mailbox;
        self.listed.push((id.0, vitals));
        if self.listed.len() >= 2 * LISTED_MAX {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        self.listed.sort_by_key(|(id, vitals)| (Reverse((vitals.restarts, vitals.mailbox)), *id));
        self.listed.truncate(LISTED_MAX);
    }

    fn shortened(mut self) -> Self {
        self.shorten();
        self
    }
}

impl Strategy {
    /// Its name, for operators.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneForOne => "one_for_one",
            Self::RestForOne => "rest_for_one",
        }
    }
}

impl State {
    /// Its name, for operators.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Restarting => "restarting",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Address, supervisor::Exhausted};

    /// A branch with a subtree and `count` children, each with as many messages as its number.
    fn branch(count: u64) -> std::sync::Arc<Branch> {
        let branch = Branch::new("root", Strategy::RestForOne);
        let below = Branch::new("below", Strategy::OneForOne);
        for number in 0..count {
            let address = Address::detached(usize::MAX);
            (0..number).for_each(|message| address.urge(message));
            let child = Child::new("worker", Exhausted::End, address.controlled());
            branch.children().insert(ChildId(number), child);
        }
        let shell = Address::<()>::detached(1).controlled();
        let child = Child::new("below", Exhausted::Escalate, shell);
        let child = Child { branch: Some(below), ..child };
        branch.children().insert(ChildId(count), child);
        branch
    }

    const UP: Vitals = Vitals { state: State::Up, restarts: 0, mailbox: 0 };

    #[test]
    fn children_are_counted_by_kind_and_subtrees_shown() {
        let branch = branch(3);
        branch.mark_down(ChildId(1));
        let tree = tree(&branch, UP);
        assert_eq!((tree.name, tree.strategy), ("root", Strategy::RestForOne));
        assert_eq!(tree.subtrees.iter().map(|tree| tree.name).collect::<Vec<_>>(), ["below"]);
        let [workers] = &tree.children[..] else { panic!("{tree:?}") };
        assert_eq!((workers.count, workers.restarting, workers.mailbox), (3, 1, 3));
        assert_eq!(workers.listed.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [2, 1, 0]);
    }

    #[test]
    fn only_those_worth_a_look_are_listed() {
        let branch = branch(100);
        branch.children().get_mut(&ChildId(7)).unwrap().restarts = 1;
        let tree = tree(&branch, UP);
        let listed: Vec<u64> = tree.children[0].listed.iter().map(|(id, _)| *id).collect();
        assert_eq!((tree.children[0].count, listed.len()), (100, LISTED_MAX));
        assert_eq!(listed[..4], [7, 99, 98, 97]);
    }
}
