//! The tree of actors as operators see it.

use madang_actors::kernel::supervisor::tree;
use serde::Serialize;

/// A supervisor and what is below it.
#[derive(Serialize)]
pub(super) struct Tree {
    name: &'static str,
    strategy: &'static str,
    #[serde(flatten)]
    vitals: Vitals,
    subtrees: Vec<Tree>,
    children: Vec<Kind>,
}

#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    count: usize,
    restarting: usize,
    restarts: u64,
    mailbox: usize,
    listed: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    child: u64,
    #[serde(flatten)]
    vitals: Vitals,
}

#[derive(Serialize)]
struct Vitals {
    state: &'static str,
    restarts: u32,
    mailbox: usize,
}

impl From<tree::Tree> for Tree {
    fn from(tree: tree::Tree) -> Self {
        Self {
            name: tree.name,
            strategy: tree.strategy.name(),
            vitals: tree.vitals.into(),
            subtrees: tree.subtrees.into_iter().map(Self::from).collect(),
            children: tree.children.into_iter().map(Kind::from).collect(),
        }
    }
}

impl From<tree::Kind> for Kind {
    fn from(kind: tree::Kind) -> Self {
        let tree::Kind { kind, count, restarting, restarts, mailbox, listed } = kind;
        let listed =
            listed.into_iter().map(|(child, vitals)| Listed { child, vitals: vitals.into() });
        Self { kind, count, restarting, restarts, mailbox, listed: listed.collect() }
    }
}

impl From<tree::Vitals> for Vitals {
    fn from(vitals: tree::Vitals) -> Self {
        let tree::Vitals { state, restarts, mailbox } = vitals;
        Self { state: state.name(), restarts, mailbox }
    }
}
