//! What is told to those who listen and not kept: who may say it, and what it becomes.

use super::{Effect, Logic, readable, refuse};
use crate::hub::Identity;
use madang_protocol::{
    Ephemeral, Refusal, RoomId,
    frame::NodeFrame,
    operation::{Signal, Typing},
};
use madang_store::rooms::Access;

/// An operation that any member of a room may do. Who receives the room is known to be one, so
/// that costs no read.
#[derive(Debug, PartialEq, Eq)]
pub enum Live {
    /// Say that one types, or stopped.
    Typing(Typing),
    /// Tell those who listen.
    Signal(Signal),
}

impl Live {
    /// The room it is about.
    pub fn room(&self) -> RoomId {
        match self {
            Self::Typing(typing) => typing.room,
            Self::Signal(signal) => signal.room,
        }
    }
}

impl Logic {
    /// We receive the room.
    pub fn live(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        let Some(Identity { user, .. }) = self.identity() else {
            return;
        };
        let room = live.room();
        let ephemeral = match live {
            Live::Typing(Typing { on, .. }) => Ephemeral::Typing { user, on },
            Live::Signal(Signal { data, .. }) => Ephemeral::Signal { sender: user, data },
        };
        effects.push(Effect::Tell(room, ephemeral));
        if let Some(id) = id {
            effects.push(Effect::Push(NodeFrame::RoomOk { id, room }));
        }
    }

    /// We do not receive the room: the store knows whether we may.
    pub fn ask_live(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        self.requests += 1;
        effects.push(Effect::AskLive(id, live));
    }

    /// What we may do in the room.
    pub fn live_access(
        &mut self,
        id: Option<u64>,
        live: Live,
        access: Result<Option<Access>, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        self.requests -= 1;
        if self.is_closing() {
            return;
        }
        match access.and_then(readable) {
            Ok(_) => self.live(id, live, effects),
            Err(refusal) => refuse(id, refusal, effects),
        }
    }
}
