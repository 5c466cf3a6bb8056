//! Two things measured in turn.

use std::time::Duration;

/// Medians over interleaved runs of a thing and its floor.
#[derive(Debug, Clone, Copy)]
pub struct Comparison {
    /// The thing, nanoseconds per operation.
    pub thing_ns: f64,
    /// Its floor, nanoseconds per operation.
    pub floor_ns: f64,
    /// Thing by floor, pair by pair.
    pub ratio: f64,
    /// The same of the floor against itself: what noise alone makes of a ratio, lowest to highest.
    pub noise: (f64, f64),
}

/// Runs floor, thing, floor, `pairs` times; each run does `operations` operations.
pub fn compare(
    pairs: usize,
    operations: u32,
    mut thing: impl FnMut(u32) -> Duration,
    mut floor: impl FnMut(u32) -> Duration,
) -> Comparison {
    let per_operation = |took: Duration| took.as_nanos() as f64 / f64::from(operations);
    let (mut things, mut floors, mut ratios, mut noise) = (vec![], vec![], vec![], vec![]);
    for _ in 0..pairs.max(1) {
        let first = per_operation(floor(operations));
        let took = per_operation(thing(operations));
        let second = per_operation(floor(operations));
        things.push(took);
        floors.push(first);
        ratios.push(took / first);
        noise.push(second / first);
    }
    noise.sort_by(f64::total_cmp);
    Comparison {
        thing_ns: median(things),
        floor_ns: median(floors),
        ratio: median(ratios),
        noise: (noise[0], noise[noise.len() - 1]),
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { thing_ns, floor_ns, ratio, noise: (low, high) } = self;
        write!(
            f,
            "{thing_ns:8.1} ns, floor {floor_ns:8.1} ns, ratio {ratio:.2} \
             (floor against itself {low:.2} to {high:.2})"
        )
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
