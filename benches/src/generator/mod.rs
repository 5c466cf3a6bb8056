//! The load generator: one thread, one epoll, one read buffer for all connections, so that it costs
//! little beside what it measures and can say how much.
//!
//! * [`Crowd`] is many connections to one server: it opens them, reads them and writes to them.
//! * [`drive()`] publishes on a schedule and counts what arrives, from the scheduled time on.
//! * [`ask()`] sends requests that are answered, on a schedule or so many in flight.
//! * A [`Listener`] gets every frame that comes once a connection is ready.

mod connection;
mod crowd;
mod drive;
mod pace;
mod poll;
mod tls;

pub use crowd::{Crowd, Opened};
pub use drive::{Load, Window, drive};
pub use pace::{Answered, Pace, Span, Turn, ask, number_behind};
pub use poll::Poll;

/// Gets what comes.
pub trait Listener {
    /// A frame for the connection with this index; `now` is when it was read.
    fn hear(&mut self, connection: usize, payload: &[u8], now: u64);
}

/// Nobody wants to know.
#[derive(Debug)]
pub struct Deaf;

impl Listener for Deaf {
    fn hear(&mut self, _connection: usize, _payload: &[u8], _now: u64) {}
}

/// An empty distribution of times in microseconds, up to ten minutes, three digits.
pub fn histogram() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(1, 600_000_000, 3)
        .expect("bounds that a histogram can have")
}
