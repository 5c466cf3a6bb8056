//! Who is there, and which of them is whose home.

use crate::{NodeName, Peer};
use madang_protocol::RoomId;
use xxhash_rust::xxh3::Xxh3;

/// The nodes that are alive, as one of them sees it. Cheap to look at on every send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// By name, each once. Empty: not heard of anybody yet.
    nodes: Vec<Peer>,
}

impl View {
    /// Of these nodes; of two with one name the last stays.
    pub fn new(nodes: impl IntoIterator<Item = Peer>) -> Self {
        let by_name = nodes.into_iter().map(|peer| (peer.name, peer.incarnation));
        let by_name: std::collections::BTreeMap<_, _> = by_name.collect();
        let peer = |(name, incarnation)| Peer { name, incarnation };
        Self { nodes: by_name.into_iter().map(peer).collect() }
    }

    /// The nodes, by name.
    pub fn nodes(&self) -> &[Peer] {
        &self.nodes
    }

    /// The node of this name.
    pub fn node(&self, name: &NodeName) -> Option<&Peer> {
        let place = self.nodes.binary_search_by(|peer| peer.name.cmp(name)).ok()?;
        self.nodes.get(place)
    }

    /// The home of `room`: the node with the highest score (rendezvous hashing, Thaler and
    /// Ravishankar 1998), so that a node that goes or comes moves its own rooms only. By name, not
    /// by incarnation, so that rooms come back after a restart. `None`: nobody is there.
    pub fn home(&self, room: RoomId) -> Option<&Peer> {
        self.nodes.iter().max_by_key(|peer| score(&peer.name, room))
    }
}

fn score(name: &NodeName, room: RoomId) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(name.as_str().as_bytes());
    hash.update(&room.0);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(names: &[&str]) -> View {
        let peer = |name: &&str| Peer { name: NodeName::new(name).unwrap(), incarnation: 1 };
        View::new(names.iter().map(peer))
    }

    fn rooms() -> impl Iterator<Item = RoomId> {
        (0..3_000_u32).map(|number| {
            let mut id = [0; 15];
            id[..4].copy_from_slice(&number.to_be_bytes());
            RoomId(id)
        })
    }

    #[test]
    fn nobody_is_home_where_nobody_is() {
        assert_eq!(View::default().home(RoomId([0; 15])), None);
    }

    #[test]
    fn a_node_that_goes_moves_its_own_rooms_only() {
        let (before, after) = (view(&["a", "b", "c"]), view(&["a", "c"]));
        for room in rooms() {
            let home = before.home(room).unwrap();
            if home.name.as_str() != "b" {
                assert_eq!(after.home(room), Some(home));
            }
        }
    }

    #[test]
    fn rooms_are_spread() {
        let view = view(&["a", "b", "c"]);
        for peer in view.nodes() {
            let count = rooms().filter(|room| view.home(*room) == Some(peer)).count();
            assert!((900..1_100).contains(&count), "{peer:?}: {count}");
        }
    }

    #[test]
    fn nodes_are_found_by_name() {
        let view = view(&["b", "a"]);
        let name = NodeName::new("b").unwrap();
        assert_eq!(view.node(&name).map(|peer| &peer.name), Some(&name));
        assert_eq!(view.node(&NodeName::new("c").unwrap()), None);
    }
}
