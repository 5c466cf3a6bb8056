//! What keeps a node standing when something else falls: waiting longer after each failure,
//! taking no more than agreed, and saying which part is in what state.
//!
//! Pure where it can be: time and chance are arguments, so every decision can be tested by input
//! and exact result. Knows nothing of rooms, users or stores.

mod backoff;
mod bucket;
mod health;

pub use backoff::Backoff;
pub use bucket::TokenBucket;
pub use health::{Health, Part, State};
