//! `cargo bench -p madang-bench --bench outbox`

use madang_bench::micro::outbox::gathered;

fn main() {
    for frames in [1, 8, 64] {
        println!("{frames} frames in one write: {}", gathered(frames, 15, 50_000));
    }
}
