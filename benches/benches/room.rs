//! `cargo bench -p madang-bench --bench room`

use madang_bench::micro::room::commits;

fn main() {
    for batch in [1, 16, 128] {
        println!("a message of {batch} in a batch: {}", commits(batch, 15, 100_000));
    }
}
