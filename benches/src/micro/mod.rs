//! Parts of the node, each measured in turn with the floor it stands on.

pub mod audience;
pub mod batcher;
pub mod codecs;
pub mod fan_out;
pub mod kernel;
pub mod outbox;
mod paper;
pub mod placement;
pub mod room;
pub mod store;
pub mod supervisor;
