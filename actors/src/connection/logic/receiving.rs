//! Bringing the rooms that are wanted up to date, at the pace of the socket.

use super::{Effect, Logic};
use crate::{
    connection::{Attached, replay::Step},
    hub::Identity,
};
use madang_protocol::{
    Heads, MemberChange, Place, Refusal, RoomId, frame::NodeFrame, object::MessageObject,
};
use madang_store::rooms::Access;

impl Logic {
    /// The out-queue is below half, or a wait is over.
    pub fn go(&mut self, effects: &mut Vec<Effect>) {
        if self.is_closing() {
            return;
        }
        if !self.is_reading_history
            && let Some((id, history)) = self.next_history()
        {
            self.is_reading_history = true;
            effects.push(Effect::ReadHistory(id, history));
        }
        self.replay.go(&mut self.steps);
        self.take_steps(effects);
    }

    /// See [`Step::Hear`].
    pub fn is_attaching(&self, room: RoomId) -> bool {
        self.replay.is_attaching(room)
    }

    /// See [`Step::Attach`].
    pub fn attached(&mut self, outcome: Option<Attached>, effects: &mut Vec<Effect>) {
        self.replay.attached(outcome, &mut self.steps);
        self.take_steps(effects);
    }

    /// See [`Step::ReadPage`].
    pub fn page(&mut self, page: Option<(Vec<MessageObject>, u64)>, effects: &mut Vec<Effect>) {
        let read = page.as_ref().map(|(messages, newest)| {
            (messages.last().map_or(*newest, |message| message.seq), *newest)
        });
        if self.replay.page(read, &mut self.steps)
            && let Some((messages, _)) = page
        {
            let frames = messages.into_iter().map(NodeFrame::Message);
            effects.extend(frames.map(Effect::Push));
        }
        self.take_steps(effects);
    }

    /// See [`Step::ReadChanges`]; with the messages, up to which `rev` they are all there, and
    /// where the room stands.
    pub fn changes(
        &mut self,
        page: Option<(Vec<MessageObject>, u64, Heads)>,
        effects: &mut Vec<Effect>,
    ) {
        let read = page.as_ref().map(|(_, reached_rev, heads)| (*reached_rev, *heads));
        if self.replay.changes(read, &mut self.steps)
            && let Some((messages, ..)) = page
        {
            let frames = messages.into_iter().map(NodeFrame::Changed);
            effects.extend(frames.map(Effect::Push));
        }
        self.take_steps(effects);
    }

    /// See [`Step::Recheck`]; also asked for by the room's audience.
    pub fn rechecked(
        &mut self,
        room: RoomId,
        access: Result<Option<Access>, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(access) = access else {
            effects.push(Effect::Replay(Step::RecheckLater(room))); // until there is an answer
            return;
        };
        let was_wanted = self.replay.has(room);
        let end = end_of(access);
        let member = access.filter(|access| access.role.is_some());
        let member_rev = member.map(|access| access.heads.member_rev);
        self.replay.rechecked(room, member_rev, &mut self.steps);
        if member_rev.is_none() && was_wanted {
            self.leave(room, end, effects);
        }
        self.take_steps(effects);
    }

    /// See [`Step::ReadPage`] and [`Step::ReadChanges`]: the membership was found to be over.
    pub fn ended(&mut self, room: RoomId, end: MemberChange, effects: &mut Vec<Effect>) {
        self.replay.ended(room, &mut self.steps);
        if self.replay.has(room) {
            self.leave(room, end, effects);
        }
        self.take_steps(effects);
    }

    fn leave(&mut self, room: RoomId, end: MemberChange, effects: &mut Vec<Effect>) {
        self.replay.unwant(room, &mut self.steps);
        self.tell_end(room, end, effects);
        // As below: what was read may be older than a new membership.
        if self.wants_all {
            effects.push(Effect::AskReturn(room));
        }
    }

    /// The hub turned us back: our out-queue had no place for what came after this.
    pub fn fell_behind(&mut self, room: RoomId, after: Place, effects: &mut Vec<Effect>) {
        self.replay.fell_behind(room, after, &mut self.steps);
        self.take_steps(effects);
    }

    /// The hub detached us: the membership is over, and we were told so. When there is a new one
    /// already, the word of it may have come while we still received the room.
    pub fn detached(&mut self, room: RoomId, effects: &mut Vec<Effect>) {
        self.replay.detached(room);
        if self.wants_all {
            effects.push(Effect::AskReturn(room));
        }
    }

    fn tell_end(&self, room: RoomId, change: MemberChange, effects: &mut Vec<Effect>) {
        if let Some(Identity { user, .. }) = self.identity() {
            effects.push(Effect::Push(NodeFrame::Member {
                room,
                user,
                change,
                role: None,
                last_seq: None,
                last_rev: None,
            }));
        }
    }
}

/// How a membership ended of which nobody told, as the store has it.
pub fn end_of(access: Option<Access>) -> MemberChange {
    let was_removed = access.is_some_and(|access| access.was_removed);
    if was_removed { MemberChange::Removed } else { MemberChange::Left }
}
