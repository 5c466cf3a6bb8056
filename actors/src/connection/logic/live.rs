//! What is told to those who listen, and what is asked about them: who may, and what it becomes.

use super::{Effect, Logic, readable, refuse};
use crate::{batcher::Moved, hub::Identity};
use madang_protocol::{
    Ephemeral, Refusal, RoomId, UserId,
    frame::NodeFrame,
    operation::{Signal, Target, Typing},
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
    /// Say how far one has read.
    Read(Target),
    /// Ask who is online.
    Presence(RoomId),
}

impl Live {
    /// The room it is about.
    pub fn room(&self) -> RoomId {
        match self {
            Self::Typing(typing) => typing.room,
            Self::Signal(signal) => signal.room,
            Self::Read(target) => target.room,
            Self::Presence(room) => *room,
        }
    }
}

impl Logic {
    /// See [`Effect::Live`]. `delivered`: we receive the room, and were served up to there; what
    /// is beyond that may be there or not.
    pub fn live(
        &mut self,
        id: Option<u64>,
        live: Live,
        delivered: Option<u64>,
        effects: &mut Vec<Effect>,
    ) {
        match (delivered, live) {
            (Some(delivered), Live::Read(target)) if target.seq <= delivered => {
                effects.push(Effect::Advance(id, target, None));
            }
            (None, live) | (Some(_), live @ Live::Read(_)) => self.ask_live(id, live, effects),
            (Some(_), live) => self.permitted(id, live, effects),
        }
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
        match (access.and_then(readable), live) {
            (Err(refusal), _) => refuse(id, refusal, effects),
            (Ok(access), Live::Read(target)) if target.seq > access.heads.last_seq => {
                refuse(id, Refusal::invalid("seq", "beyond the room's present"), effects);
            }
            (Ok(access), Live::Read(target)) => {
                effects.push(Effect::Advance(id, target, Some(access.read_seq)));
            }
            (Ok(_), live) => self.permitted(id, live, effects),
        }
    }

    /// See [`Effect::Advance`].
    pub fn advanced(
        &mut self,
        id: Option<u64>,
        target: Target,
        moved: Moved,
        effects: &mut Vec<Effect>,
    ) {
        match (moved, id) {
            (Moved::Unknown, _) => self.ask_live(id, Live::Read(target), effects),
            (Moved::Full, _) => refuse(id, Refusal::overloaded("too many receipts"), effects),
            (Moved::To(read_seq), Some(id)) => {
                let room = target.room;
                effects.push(Effect::Push(NodeFrame::ReadOk { id, room, read_seq }));
            }
            (Moved::To(_), None) => {}
        }
    }

    /// Who is online in a room; true: among some of its members, because it has too many.
    pub fn online(
        &mut self,
        id: Option<u64>,
        found: Result<(Vec<UserId>, bool), Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        self.requests -= 1;
        match (found, id) {
            (Err(refusal), _) => refuse(id, refusal, effects),
            (Ok((online, is_truncated)), Some(id)) => {
                let truncated = is_truncated.then_some(true);
                effects.push(Effect::Push(NodeFrame::PresenceOk { id, online, truncated }));
            }
            (Ok(_), None) => {}
        }
    }

    fn ask_live(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        self.requests += 1;
        effects.push(Effect::AskLive(id, live));
    }

    fn permitted(&mut self, id: Option<u64>, live: Live, effects: &mut Vec<Effect>) {
        let Some(Identity { user, .. }) = self.identity() else {
            return;
        };
        let (room, ephemeral) = match live {
            Live::Typing(Typing { room, on }) => (room, Ephemeral::Typing { user, on }),
            Live::Signal(Signal { room, data }) => (room, Ephemeral::Signal { sender: user, data }),
            Live::Presence(room) => {
                self.requests += 1;
                return effects.push(Effect::AskOnline(id, room));
            }
            Live::Read(target) => return effects.push(Effect::Advance(id, target, None)),
        };
        effects.push(Effect::Tell(room, ephemeral));
        if let Some(id) = id {
            effects.push(Effect::Push(NodeFrame::RoomOk { id, room }));
        }
    }
}
