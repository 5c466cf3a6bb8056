//! What every node has to know at once: said here, heard by the hubs of all.
//!
//! A notice may be lost. What it is about is in the store, where each node looks now and then.

use crate::hub::Joined;
use madang_protocol::{CloseCode, SessionId};
use std::sync::Arc;

/// Says something to the other nodes. Never waits; the node's own hubs were told already.
pub trait Notices: Send + Sync + 'static {
    /// These users are in a room that they were not in.
    fn joined(&self, joined: &Joined);

    /// These sessions have ended; their sockets are closed with this code.
    fn sessions_ended(&self, sessions: &[SessionId], code: CloseCode);
}

/// There are no other nodes.
pub struct Nobody;

impl Notices for Nobody {
    fn joined(&self, _joined: &Joined) {}
    fn sessions_ended(&self, _sessions: &[SessionId], _code: CloseCode) {}
}

impl Nobody {
    /// As `Services` want it.
    pub fn shared() -> Arc<dyn Notices> {
        Arc::new(Self)
    }
}
