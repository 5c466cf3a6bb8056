//! What touches the network: the listening socket, HTTP, and the upgrade to a WebSocket.

pub mod accept;
pub mod address;
pub mod capacity;
pub mod descriptors;
pub mod http;
pub mod listeners;
pub mod origin;
pub mod tls;
pub mod turnstile;
pub mod websocket;
