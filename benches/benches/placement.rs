//! `cargo bench -p madang-bench --bench placement`

use madang_bench::micro::placement::home;

fn main() {
    for nodes in [3, 1_000] {
        println!("a home among {nodes} nodes: {}", home(nodes, 15, 20_000));
    }
}
