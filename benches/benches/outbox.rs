//! `cargo bench -p madang-bench --bench outbox`

use madang_bench::micro::outbox::{gathered, gathered_or_vectored};

fn main() {
    for frames in [1, 8, 64] {
        println!("{frames} frames in one write: {}", gathered(frames, 15, 50_000));
        let vectored = gathered_or_vectored(frames, 15, 50_000);
        println!("{frames} frames beside a vectored write: {vectored}");
    }
}
