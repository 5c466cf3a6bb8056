//! `cargo bench -p madang-bench --bench supervisor`

use madang_bench::micro::supervisor::restarts;

fn main() {
    for actors in [1, 1_000] {
        println!("one restart of {actors}: {}", restarts(actors, 15));
    }
}
