//! The kernel and the actors.

/// Does something else where a fault was put back; nothing at all without the feature.
macro_rules! mutate {
    ($name:ident, $instead:block) => {
        #[cfg(feature = "mutations")]
        if $crate::mutations::is_on($crate::mutations::Mutation::$name) $instead
    };
}

pub mod audience;
pub mod batcher;
pub mod cluster_metrics;
pub mod connection;
pub mod fail_points;
mod forgetting;
pub mod homes;
pub mod hub;
pub mod kernel;
pub mod lane;
pub mod membership;
pub mod metrics;
#[cfg(feature = "mutations")]
pub mod mutations;
pub mod notices;
pub mod noticing;
mod places;
pub mod remote;
pub mod room;
pub mod route;
pub mod session_check;
pub mod store_reader;
pub mod store_writer;
pub mod switches;

pub use route::{Receipt, Router};
pub use store_reader::Reader;
