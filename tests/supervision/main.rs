//! Actors that are made to panic in a running node: on start, in the middle of a batch, while they are
//! built anew, every time. A binary of its own, because it wants a node with fail points in it
//! (`--features fail_points`; what they are is in `actors/src/fail_points.rs`).

mod batch;
mod clustered;
mod given_up;
mod poison;
mod restart;
mod rig;
mod start;
