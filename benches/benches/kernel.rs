//! `cargo bench -p madang-bench --bench kernel`

use madang_bench::micro::kernel::{Distance, messages};

fn main() {
    for distance in [Distance::SameThread, Distance::AcrossThreads] {
        println!("one message, {distance:?}: {}", messages(distance, 15, 1_000_000));
    }
}
