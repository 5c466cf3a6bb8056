//! What touches the network: the listening socket, HTTP, and the upgrade to a WebSocket.

pub mod address;
pub mod http;
pub mod origin;
