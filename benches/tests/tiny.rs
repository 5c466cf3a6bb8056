//! Every bench, small: it runs and measures something.

use madang_bench::micro::kernel::{Distance, messages};

#[test]
fn kernel() {
    for distance in [Distance::SameThread, Distance::AcrossThreads] {
        let found = messages(distance, 1, 5_000);
        assert!(found.thing_ns > 0.0 && found.floor_ns > 0.0, "{distance:?}: {found}");
    }
}
