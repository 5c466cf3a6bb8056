//! Node frames.
