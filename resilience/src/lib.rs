//! What keeps a node standing when something else falls: waiting longer after each failure,
//! asking a broken part no more, taking no more than agreed, and saying which part is in what state.
//!
//! Pure where it can be: time and chance are arguments, so every decision can be tested by input
//! and exact result. [`Circuit`] and [`retrying`] are the thin layer that knows a clock. Knows
//! nothing of rooms, users or stores.
//!
//! The breaker is our own, after a look at what there is: `failsafe` lets every call through while
//! it is half open and asks the wall clock itself, `tower` has none, and none of them lets go of a
//! probe that never comes back.

mod backoff;
mod breaker;
mod bucket;
mod circuit;
mod health;
mod retry;

pub use backoff::Backoff;
pub use breaker::{Breaker, BreakerRules, BreakerState, Outcome, Ticket};
pub use bucket::TokenBucket;
pub use circuit::{Circuit, Interrupted};
pub use health::{Health, Part, State};
pub use retry::{Retry, RetryRules, retrying};
