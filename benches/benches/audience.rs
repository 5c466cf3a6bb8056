//! `cargo bench -p madang-bench --bench audience`

use madang_bench::micro::audience::to_readers;

fn main() {
    for readers in [50, 1_000] {
        println!("a delivery to one of {readers}: {}", to_readers(readers, 15, 500_000));
    }
}
