//! `cargo bench -p madang-bench --bench kernel`

use madang_bench::micro::{
    fan_out::to_each,
    kernel::{Distance, messages},
};

fn main() {
    for distance in [Distance::SameThread, Distance::AcrossThreads] {
        println!("one message, {distance:?}: {}", messages(distance, 15, 1_000_000));
    }
    println!("one message to each of 1,000: {}", to_each(1_000, 15, 1_000_000));
}
