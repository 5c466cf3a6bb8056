//! What is measured: the node, the floor, the bare store, and the peers a user would pick instead.

mod bare_store;
mod child;
mod dialect;
mod floor;
mod http;
mod metrics;
mod node;
mod operator;
pub mod peers;
mod rooms;
mod tls;

pub use bare_store::{BareStore, StoreRun, serve as serve_bare_store};
pub(crate) use bare_store::{batch as batch_of, commit, make_rooms as make_store_rooms};
pub use child::{Child, pause};
pub use dialect::{Dialect, Heard, Kind, Publication, Seat};
pub use floor::Floor;
pub use http::{Answer, Http};
pub use metrics::Metrics;
pub use node::{Launch, Node, User};
pub use operator::Operator;
pub use rooms::{make_room, make_rooms, plain_rooms, seats};
pub use tls::Tls;
