//! The whole node as its users meet it: the real binary, real sockets, real files, and a client
//! that shares no type with it.

include!("suite.rs");

// What has nothing to do with how a node is spoken to.
mod admin;
mod backup;
mod command_line;
mod documents;
mod metrics;
mod sessions;
