//! The servers a cluster stands on, as processes that tests start, kill, pause and start again.
//! Never shipped, and light: the tests of `store/` and `cluster/` use it too.
//!
//! * [`Server`] is one process on a loopback address of its own, with a directory of its own.
//! * [`Nats`] is one server of NATS, or three that form a cluster.
//! * [`Operator`] signs who may come onto one.
//! * [`ReplicaSet`] is three `mongod`, [`mongo::Guarded`] one that wants credentials,
//!   [`mongo::standalone`] one that is in no set.
//! * [`redis`] starts a Redis alone, one with Sentinels, and a cluster of it.
//! * [`Monitor`] sees every command that clients send to a Redis.
//! * [`Proxy`] stands between a client and a server, and swallows or cuts what passes.
//! * [`pause`] stops the clock of a process.
//! * [`tools`] finds the programs; `.ci/prepare` gets them.
//! * [`wait`] polls a condition until a deadline and names what did not happen.

mod address;
pub mod mongo;
mod monitor;
mod nats;
mod operator;
mod pause;
pub mod proxy;
pub mod redis;
mod server;
pub mod tools;
pub mod wait;

pub use address::free_address;
pub use mongo::ReplicaSet;
pub use monitor::Monitor;
pub use nats::Nats;
pub use operator::Operator;
pub use pause::pause;
pub use proxy::Proxy;
pub use server::Server;
