//! Finding a room's home among a thousand nodes, beside adding up a thousand numbers: rendezvous
//! hashing looks at every node.

use crate::pairs::{Comparison, compare};
use madang_cluster::{NodeName, Peer, View};
use madang_protocol::RoomId;
use std::{hint::black_box, time::Instant};

/// Time for one room, with so many nodes.
pub fn home(nodes: u64, pairs: usize, operations: u32) -> Comparison {
    let peer = |number| Peer { name: name(number), incarnation: number };
    let view = View::new((0..nodes).map(peer));
    let numbers: Vec<u64> = (0..nodes).collect();
    compare(
        pairs,
        operations,
        |operations| {
            let begun = Instant::now();
            for number in 0..operations {
                black_box(view.home(room(number)));
            }
            begun.elapsed()
        },
        |operations| {
            let begun = Instant::now();
            for number in 0..operations {
                let mix = |sum: u64, value: &u64| black_box(sum ^ value ^ u64::from(number));
                black_box(numbers.iter().fold(0, mix));
            }
            begun.elapsed()
        },
    )
}

fn name(number: u64) -> NodeName {
    NodeName::new(&format!("node-{number}")).expect("a name that nodes may have")
}

fn room(number: u32) -> RoomId {
    let mut id = [0; 15];
    id[..4].copy_from_slice(&number.to_le_bytes());
    RoomId(id)
}
