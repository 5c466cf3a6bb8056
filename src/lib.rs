//! The node: settings, accounts, the edge, and what wires them to actors and store.
//!
//! | module | does |
//! |---|---|
//! | [`cli`] | the command line, from which everything is started |
//! | [`config`] | settings: defaults, file, environment, flags |
//! | [`node`] | starts, wires and ends the parts of a running node |
//! | [`edge`] | sockets, HTTP, WebSocket |
//! | [`admin`] | what operators may see and do |
//! | [`accounts`] | users, passwords, sessions |
//! | [`observability`], [`metrics`] | what operators see |

pub mod accounts;
pub mod admin;
pub mod cli;
pub(crate) mod clustered;
pub mod config;
pub(crate) mod drain;
pub mod edge;
pub(crate) mod gathered;
pub(crate) mod memory;
pub mod metrics;
pub(crate) mod neighbours;
pub mod node;
pub mod observability;
pub(crate) mod store_call;
pub(crate) mod surroundings;
