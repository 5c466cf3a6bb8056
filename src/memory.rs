//! What the node asks of the kernel and of its allocator, so that what is idle stays small.

use std::{hint::black_box, time::Duration};
use tokio::time::MissedTickBehavior;

/// How often [`give_back`] runs: as often as the allocator by itself gives something back.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(1);
/// A block that the allocator shares with no other (those have 512 KiB at most), so that to free it
/// is to free its pages.
const OWN_PAGES_BYTES: usize = 1024 * 1024;

/// Lets the kernel give this process memory in its smallest pages from now on. A connection is many
/// small pieces; pages of 2 MiB are resident from their first byte, and the kernel would make more of
/// them out of half-empty ones as time passes. The price: hashing a password, which walks over 19
/// MiB, takes a fifth longer.
///
/// What was allocated before stays in large pages, where the system has them: some 6 MiB once. Much of
/// what a message passes is made there later, which spares the processor its way through page
/// tables: a tenth of the time of a delivery where that way is long (`docs/performance.md`).
pub(crate) fn use_small_pages() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "cannot turn huge pages off: idle connections may cost more memory");
    }
}

/// Gives unused memory back to the kernel for as long as it is polled; give it a task of its own.
///
/// The allocator does that by itself, but only when pages are freed a while after others were: an
/// idle node frees none, and would keep what a thousand handshakes at once had needed.
pub(crate) async fn give_back() {
    let mut timer = tokio::time::interval(GIVE_BACK_EVERY);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        // Never written to, so it costs no memory.
        drop(black_box(Vec::<u8>::with_capacity(OWN_PAGES_BYTES)));
    }
}
