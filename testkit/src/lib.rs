//! What the tests of a whole node are made of. Never shipped.
//!
//! * [`launcher`] starts the real binary on a free address with a data directory of its own, kills
//!   it, pauses it, starts it again, and reads its memory and processor time.
//! * [`cluster`] starts several nodes on real servers.
//! * [`client`] is an independent client: HTTP and WebSocket with plain JSON values, never the
//!   node's own types, so that a mistake in those types cannot hide itself.
//! * [`raw`] writes WebSocket bytes by hand, for what no well-behaved client would send.
//! * `contract` holds everything these receive against the documents of the protocol.
//! * [`history`] judges a finished run: what was acknowledged against what is stored and read.
//! * [`load`] makes such runs: writers that retry what was not answered, readers that resume.
//! * [`pulse`] measures what others feel while something goes on, which [`background`] does;
//!   [`priority`] keeps other programs out of it.
//! * [`stage`] sets the scene most tests begin with.
//! * [`tls`] makes certificates, and clients that trust them.
//! * [`servers`] are those of others that a cluster stands on, [`tools`] where their programs are.
//! * [`variant`] lets one suite run in another codec, or over TLS.
//! * [`world`] (a feature) is the node's own parts with clients, a store and a bus in one thread,
//!   whose time is simulated and whose troubles follow from one seed.
//! * [`metrics`] reads the node's own counters.
//!
//! Nothing here sleeps and hopes: [`wait`] polls a condition until a deadline and names what did
//! not happen.

pub mod background;
pub mod client;
pub mod cluster;
mod codec;
mod contract;
pub mod history;
pub mod launcher;
pub mod load;
pub mod metrics;
pub mod priority;
pub mod pulse;
pub mod raw;
pub mod stage;
pub mod tls;
pub mod variant;
#[cfg(feature = "world")]
pub mod world;

pub use background::Background;
pub use client::{Account, Http, Socket};
pub use cluster::{Cluster, Ground};
pub use launcher::{Launch, Node};
pub use madang_servers::{self as servers, tools, wait};
pub use stage::Stage;
pub use variant::Variant;
