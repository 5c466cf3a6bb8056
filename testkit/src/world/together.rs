//! What goes wrong where several nodes are one: drawn apart from the rest of the plan.

use fastrand::Rng;
use std::ops::Range;

/// A world of several nodes.
#[derive(Debug, Clone)]
pub struct Together {
    /// Nodes: 2 to 4.
    pub nodes: usize,
    /// How far the wall clock of each is ahead, ms.
    pub skews_ms: Vec<u64>,
    /// What the primary of the store has is at the majority after so long, about.
    pub lag_ms: u64,
    /// The store gets another primary so often.
    pub fail_overs: u32,
    /// A node is cut from the others so often.
    pub bus_cuts: u32,
    /// A node is cut from the store so often.
    pub store_cuts: u32,
    /// A node stands still so often.
    pub pauses: u32,
    /// All clients come to the first node, and it is the one that stands still.
    pub is_crowded: bool,
}

/// The worlds of these seeds may have several nodes, all others have one.
const SEEDS: Range<u64> = 1_000..1 << 40;
/// The longest way that a clock is wrong.
const SKEW_MS_MAX: u64 = 30_000;

impl Together {
    /// Whether the world of this seed has several nodes, and what goes wrong between them. The
    /// rest of the plan does not depend on it.
    pub fn drawn(seed: u64) -> Option<Self> {
        let mut rng = Rng::with_seed(seed ^ 0x746f_6765_7468_6572);
        let nodes = rng.usize(1..=4);
        if !SEEDS.contains(&seed) || nodes == 1 {
            return None;
        }
        let mut some = |frequent: u32| match rng.u32(0..10) {
            0..4 => 0,
            4..8 => 1,
            _ => frequent,
        };
        let (fail_overs, bus_cuts, store_cuts, pauses) = (some(4), some(3), some(2), some(3));
        let lag_ms = [1, 10, 100][rng.usize(0..3)];
        let skews_ms = (0..nodes).map(|_| rng.u64(0..SKEW_MS_MAX)).collect();
        let is_crowded = false;
        Some(Self { nodes, skews_ms, lag_ms, fail_overs, bus_cuts, store_cuts, pauses, is_crowded })
    }

    /// So many nodes with clocks that are wrong, and nothing else does.
    pub(super) fn calm(seed: u64, nodes: usize) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0063_616c_6d00);
        let skews_ms = (0..nodes).map(|_| rng.u64(0..SKEW_MS_MAX)).collect();
        let (fail_overs, bus_cuts, store_cuts, pauses, is_crowded) = (0, 0, 0, 0, false);
        Self { nodes, skews_ms, lag_ms: 1, fail_overs, bus_cuts, store_cuts, pauses, is_crowded }
    }

    /// As many nodes, and nothing goes wrong.
    pub fn quiet(self) -> Self {
        Self { fail_overs: 0, bus_cuts: 0, store_cuts: 0, pauses: 0, lag_ms: 1, ..self }
    }
}
