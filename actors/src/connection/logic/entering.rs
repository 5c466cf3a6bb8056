//! Saying hello, and which rooms are received from then on.

use super::{Effect, Logic, Phase, Wished, readable, refuse};
use crate::{connection::ConnectionLimits, hub::Identity};
use madang_protocol::{
    ErrorCode, Heads, MemberChange, Millis, Place, Refusal, Role, RoomId,
    frame::{HelloOk, HelloRoom, NodeFrame, SubscribedRoom},
    operation::{Subscription, Wish},
};
use madang_store::rooms::Access;

impl Logic {
    /// The session was looked for. The rooms are asked for after the hub knows us, so that none
    /// that is joined in between is missed.
    pub fn authenticated(
        &mut self,
        id: Option<u64>,
        wish: Wish,
        found: Result<Option<Identity>, Refusal>,
        effects: &mut Vec<Effect>,
    ) {
        if self.phase != Phase::Authenticating {
            return;
        }
        match found {
            Ok(Some(identity)) => {
                self.phase = Phase::Entering(identity);
                self.wants_all = wish == Wish::All;
                effects.push(Effect::Identify(identity, self.wants_all));
                effects.push(Effect::AskRooms(id, identity.user, wish));
            }
            Ok(None) => {
                let refusal = Refusal::new(ErrorCode::Unauthenticated, "no such session");
                self.refuse_and_close(id, refusal, effects);
            }
            Err(refusal) => self.say_hello_again(id, refusal, effects),
        }
    }

    /// What may be done in the rooms that were wished for.
    pub fn entered(
        &mut self,
        id: Option<u64>,
        rooms: Result<Vec<Wished>, Refusal>,
        node: &str,
        server_time: Millis,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        let Phase::Entering(identity) = self.phase else {
            return;
        };
        let rooms = match rooms {
            Ok(rooms) => rooms,
            Err(refusal) => return self.say_hello_again(id, refusal, effects),
        };
        self.phase = Phase::Live(identity);
        let rooms: Vec<_> = rooms.into_iter().map(|wished| self.wished(wished, limits)).collect();
        if let Some(id) = id {
            effects.push(Effect::Push(NodeFrame::HelloOk(HelloOk {
                id,
                user: identity.user,
                session: identity.session,
                node: node.to_owned(),
                server_time,
                heartbeat_ms: limits.heartbeat_ms,
                max_frame_bytes: limits.frame_bytes_max,
                rooms,
            })));
        }
        let waiting = self.waiting.take().unwrap_or_default();
        for (room, heads, role) in waiting.joined {
            self.joined(room, heads, role, limits, effects);
        }
        self.take_steps(effects);
    }

    /// We became a member of a room, and want all our rooms: its first frame says so.
    pub fn joined(
        &mut self,
        room: RoomId,
        heads: Heads,
        role: Role,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        let is_full =
            |count: usize| limits.subscriptions_max > 0 && count >= limits.subscriptions_max;
        match self.phase {
            Phase::Entering(_) => {
                let joined = &mut self.waiting.get_or_insert_default().joined;
                if !is_full(joined.len()) {
                    joined.push((room, heads, role));
                }
            }
            Phase::Live(identity) if !self.replay.has(room) && !is_full(self.replay.count()) => {
                self.leave_out_no_more(room);
                effects.push(Effect::Push(NodeFrame::Member {
                    room,
                    user: identity.user,
                    change: MemberChange::Joined,
                    role: Some(role),
                    last_seq: Some(heads.last_seq),
                    last_rev: Some(heads.last_rev),
                }));
                self.replay.want(room, heads.place(), heads.member_rev, &mut self.steps);
                self.take_steps(effects);
            }
            _ => {}
        }
    }

    /// We are in a room by what the store has. One that we do not receive, and did not leave out, was
    /// joined without our hearing of it: what we are there is looked at.
    pub fn found(&self, room: RoomId, limits: &ConnectionLimits, effects: &mut Vec<Effect>) {
        let (most, count) = (limits.subscriptions_max, self.replay.count());
        let is_live = matches!(self.phase, Phase::Live(_));
        let has_place = most == 0 || count < most;
        if is_live && has_place && !self.replay.has(room) && !self.is_left_out(room) {
            effects.push(Effect::AskReturn(room));
        }
    }

    pub(super) fn leave_out(&mut self, room: RoomId, limits: &ConnectionLimits) {
        if self.wants_all && self.replay.has(room) {
            let left_out = self.left_out.get_or_insert_default();
            left_out.insert(room);
            if limits.subscriptions_max > 0 && left_out.len() > limits.subscriptions_max {
                left_out.pop_first();
            }
        }
    }

    pub(super) fn leave_out_no_more(&mut self, room: RoomId) {
        if let Some(left_out) = &mut self.left_out {
            left_out.remove(&room);
        }
    }

    fn is_left_out(&self, room: RoomId) -> bool {
        self.left_out.as_ref().is_some_and(|left_out| left_out.contains(&room))
    }

    /// What we are to a room that we were detached from, or that was found.
    pub fn returned(
        &mut self,
        room: RoomId,
        access: Option<Access>,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(Access { role: Some(role), heads, .. }) = access
            && !self.is_left_out(room)
        {
            self.joined(room, heads, role, limits, effects);
        }
    }

    /// What we may do in a room we want to receive.
    pub fn access(
        &mut self,
        id: Option<u64>,
        subscription: Subscription,
        access: Result<Option<Access>, Refusal>,
        limits: &ConnectionLimits,
        effects: &mut Vec<Effect>,
    ) {
        self.requests -= 1;
        if self.is_closing() {
            return;
        }
        match access.and_then(|access| self.subscribe(subscription, access, limits)) {
            Err(refusal) => refuse(id, refusal, effects),
            Ok(room) => {
                if let Some(id) = id {
                    effects.push(Effect::Push(NodeFrame::SubscribeOk { id, room }));
                }
            }
        }
        self.take_steps(effects);
    }

    fn wished(&mut self, wished: Wished, limits: &ConnectionLimits) -> HelloRoom {
        let (subscription, access) = match wished {
            Ok(wished) => wished,
            Err(room) => {
                return HelloRoom::Failed { room: room.into(), error: ErrorCode::NotFound };
            }
        };
        match self.subscribe(subscription, access, limits) {
            Ok(room) => HelloRoom::Subscribed(room),
            Err(refusal) => {
                HelloRoom::Failed { room: subscription.room.to_string(), error: refusal.code }
            }
        }
    }

    /// Begins to receive a room, if we may, and says how.
    fn subscribe(
        &mut self,
        Subscription { room, after_seq, after_rev }: Subscription,
        access: Option<Access>,
        limits: &ConnectionLimits,
    ) -> Result<SubscribedRoom, Refusal> {
        let access = readable(access)?;
        let Heads { last_seq, last_rev, member_rev } = access.heads;
        let mut answer = SubscribedRoom {
            room,
            last_seq,
            last_rev,
            read_seq: access.read_seq,
            truncated: None,
            replay_from: None,
            truncated_changes: None,
        };
        if after_seq.is_some_and(|after| after > last_seq) {
            return Err(Refusal::invalid("after_seq", "beyond the room's present"));
        }
        if after_rev.is_some_and(|after| after > last_rev) {
            return Err(Refusal::invalid("after_rev", "beyond the room's present"));
        }
        if self.replay.has(room) {
            if after_seq.is_none() {
                return Ok(answer);
            }
        } else if limits.subscriptions_max > 0 && self.replay.count() >= limits.subscriptions_max {
            return Err(Refusal::new(ErrorCode::Full, "too many subscriptions"));
        }
        let mut after =
            Place { seq: after_seq.unwrap_or(last_seq), rev: after_rev.unwrap_or(last_rev) };
        if let Some(seq) = truncated(after.seq, last_seq, limits.replay_limit) {
            after.seq = seq;
            answer.truncated = Some(true);
            answer.replay_from = Some(seq + 1);
        }
        // Later changes of one message hide earlier ones, so these may be fewer than the limit.
        if let Some(rev) = truncated(after.rev, last_rev, limits.replay_limit) {
            after.rev = rev;
            answer.truncated_changes = Some(true);
        }
        self.replay.want(room, after, member_rev, &mut self.steps);
        Ok(answer)
    }

    /// Not our client's fault, so it need not come back as another connection.
    fn say_hello_again(&mut self, id: Option<u64>, refusal: Refusal, effects: &mut Vec<Effect>) {
        self.phase = Phase::Fresh;
        effects.push(Effect::AwaitHello);
        refuse(id, refusal, effects);
    }
}

/// Where to begin instead when more than `limit` (0 = off) lie between.
fn truncated(after: u64, last: u64, limit: u64) -> Option<u64> {
    (limit > 0 && last - after > limit).then(|| last - limit)
}
