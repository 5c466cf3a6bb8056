//! Parts of the node, each measured in turn with the floor it stands on.

pub mod codecs;
pub mod fan_out;
pub mod kernel;
pub mod placement;
