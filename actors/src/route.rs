//! From a room's id to its home.

use madang_protocol::{Millis, Refusal, Role, RoomId, SessionId, UserId, operation};

/// Finds the home of a room and hands it requests. Cloning shares the registry.
#[derive(Clone)]
pub struct Router {}

/// `ok` to a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The room.
    pub room: RoomId,
    /// The message's place.
    pub seq: u64,
    /// Its time.
    pub ts: Millis,
    /// It was there already.
    pub duplicate: bool,
}

impl Router {
    /// Posts a message; returns when it is committed. The message must be within the limits.
    pub async fn send(&self, _sender: UserId, _send: operation::Send) -> Result<Receipt, Refusal> {
        unimplemented!()
    }

    /// Makes `user` a member; returns the role held.
    pub async fn join(&self, _room: RoomId, _user: UserId) -> Result<Role, Refusal> {
        unimplemented!()
    }

    /// Ends a membership.
    pub async fn leave(&self, _room: RoomId, _user: UserId) -> Result<(), Refusal> {
        unimplemented!()
    }

    /// Closes every socket of a session with 4001.
    pub fn end_session(&self, _session: SessionId) {
        unimplemented!()
    }
}
