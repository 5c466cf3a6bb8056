//! `cargo bench -p madang-bench --bench store`

use madang_bench::micro::store::commits;

fn main() {
    for batch in [1, 64, 512] {
        let messages = 100 * batch.min(64);
        println!("a message of {batch} in a commit: {}", commits(batch, 9, messages));
    }
}
