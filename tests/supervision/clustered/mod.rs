//! What only a node of a cluster has: lanes, what serves other nodes, the membership, and noticing.
//! Two nodes on real servers, each with fail points of its own.

mod lane;
mod pair;
mod start;
mod under_load;
