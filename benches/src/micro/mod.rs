//! Parts of the node, each measured in turn with the floor it stands on.

pub mod kernel;
