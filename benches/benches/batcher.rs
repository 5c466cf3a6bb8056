//! `cargo bench -p madang-bench --bench batcher`

use madang_bench::micro::batcher::receipts;

fn main() {
    for moves in [1, 5] {
        println!("a receipt, {moves} a flush: {}", receipts(1_000, moves, 15, 100));
    }
}
