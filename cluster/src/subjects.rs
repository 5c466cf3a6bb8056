//! Every subject of the bus. Nothing else writes one.
//!
//! ```text
//! madang.<cluster>.v1.hb                            heartbeats, to all
//!                    .all                           notices, to all
//!                    .node.<name>                   questions to one node
//!                    .answer.<name>.<life>.<number> the answer to one question
//!                    .room.<room>                   what happens in a room, to the nodes with readers
//! ```
//!
//! A node needs to publish and to subscribe to `madang.<cluster>.v1.>`, and to nothing else.

use crate::{NodeName, Peer, peer::InvalidName};
use madang_protocol::RoomId;
use std::{fmt, sync::Arc};

/// A cluster's name: what it is called by, and by which several share one NATS. Of the same letters
/// as a [`NodeName`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClusterName(NodeName);

impl ClusterName {
    /// Checks it.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        NodeName::new(name).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The subjects of one cluster. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Subjects(Arc<str>);

impl Subjects {
    /// Those of this cluster.
    pub fn new(cluster: &ClusterName) -> Self {
        Self(format!("madang.{cluster}.v1").into())
    }

    /// Heartbeats.
    pub fn heartbeats(&self) -> String {
        self.below("hb")
    }

    /// Notices to all.
    pub fn notices(&self) -> String {
        self.below("all")
    }

    /// Questions to this node, whichever life of it.
    pub fn node(&self, name: &NodeName) -> String {
        self.below(&format!("node.{name}"))
    }

    /// What happens in this room.
    pub fn room(&self, room: RoomId) -> String {
        self.below(&format!("room.{room}"))
    }

    /// The answer to this question of a life of a node.
    pub fn answer(&self, to: &Peer, number: u64) -> String {
        self.below(&format!("answer.{}.{:016x}.{number}", to.name, to.incarnation))
    }

    /// All answers to a life of a node.
    pub fn answers(&self, to: &Peer) -> String {
        self.below(&format!("answer.{}.{:016x}.*", to.name, to.incarnation))
    }

    /// All of the cluster: what permissions must allow.
    pub fn everything(&self) -> String {
        self.below(">")
    }

    fn below(&self, rest: &str) -> String {
        format!("{}.{rest}", self.0)
    }
}

/// The number of the question that the answer at `subject` belongs to.
pub fn answered(subject: &str) -> Option<u64> {
    subject.rsplit_once('.')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        let subjects = Subjects::new(&ClusterName::new("eu-1").unwrap());
        let name = NodeName::new("a").unwrap();
        let peer = Peer { name: name.clone(), incarnation: 255 };
        assert_eq!(subjects.heartbeats(), "madang.eu-1.v1.hb");
        assert_eq!(subjects.notices(), "madang.eu-1.v1.all");
        assert_eq!(subjects.node(&name), "madang.eu-1.v1.node.a");
        assert_eq!(subjects.room(RoomId([0; 15])), "madang.eu-1.v1.room.--------------------");
        assert_eq!(subjects.answer(&peer, 7), "madang.eu-1.v1.answer.a.00000000000000ff.7");
        assert_eq!(subjects.answers(&peer), "madang.eu-1.v1.answer.a.00000000000000ff.*");
        assert_eq!(subjects.everything(), "madang.eu-1.v1.>");
        assert!(ClusterName::new("a.b").is_err() && ClusterName::new("").is_err());
    }

    #[test]
    fn answers_carry_the_number_of_their_question() {
        assert_eq!(answered("madang.x.v1.answer.a.00.18446744073709551615"), Some(u64::MAX));
        for other in ["", "7", "a.", "a.x", "a.-1"] {
            assert_eq!(answered(other), None, "{other}");
        }
    }
}
