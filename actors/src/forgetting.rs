//! What is not true any more, on all nodes: sessions that ended, and copies of what has changed.

use crate::{hub::HubMessage, route::Router};
use madang_protocol::{CloseCode, Event, MemberChange, RoomId, SessionId, UserId};
use madang_store::{
    StoreError,
    cache::{Forget, MemberKey},
    rooms::RoomChanged,
};
use std::sync::Arc;

impl Router {
    /// Closes every socket of sessions that ended, on all nodes, which believe no copies of them any
    /// more.
    pub fn end_sessions(&self, sessions: Vec<SessionId>, code: CloseCode) {
        if !sessions.is_empty() {
            self.0.services.notices.sessions_ended(&sessions, code);
            self.close_sessions(sessions, code);
        }
    }

    /// The same on this node.
    pub fn close_sessions(&self, sessions: Vec<SessionId>, code: CloseCode) {
        if !sessions.is_empty() {
            let ended = Forget { sessions: sessions.clone(), ..Forget::default() };
            self.0.services.reader.disbelieve(&ended);
            let sessions: Arc<[SessionId]> = sessions.into();
            self.0.hubs.tell_all(|| HubMessage::EndSessions(sessions.clone(), code));
        }
    }

    /// Copies of this are not true any more: to be called behind the commit that made them so. This
    /// node believes none from now on, the others once they hear of it; when what is returned has
    /// ended, the cache that all share has none either. Sessions that ended are said by
    /// [`Router::end_sessions`]; nothing is said where there are no copies.
    pub fn forget_copies(&self, forget: &Forget) -> impl Future<Output = ()> + Send + use<> {
        let reader = &self.0.services.reader;
        let is_for_others = !forget.profiles.is_empty() || !forget.members.is_empty();
        if is_for_others && reader.has_copies() {
            let copies = rmp_serde::to_vec_named(forget).expect("plain data is always encoded");
            self.0.services.notices.forget(&copies);
        }
        reader.forget(forget)
    }

    /// [`Router::forget_copies`] behind a change in `room` that concerned `user`, or may have. Who was
    /// no member has no copy. Nobody waits for the shared cache.
    pub(crate) fn forget_members(
        &self,
        room: RoomId,
        user: UserId,
        outcome: &Result<RoomChanged, StoreError>,
    ) {
        let users = match outcome {
            Ok(RoomChanged::Done { events, .. }) => {
                events.iter().filter_map(another_member).collect()
            }
            Ok(RoomChanged::Already(_) | RoomChanged::Refused(_)) => Vec::new(),
            Err(_) => vec![user],
        };
        if !users.is_empty() && self.0.services.reader.has_copies() {
            let members = users.into_iter().map(|user| MemberKey { room, user }).collect();
            tokio::spawn(self.forget_copies(&Forget { members, ..Forget::default() }));
        }
    }

    /// Another node said that. What cannot be read is of a later version, and may be about anything.
    pub(crate) fn disbelieve_copies(&self, copies: &[u8]) {
        match rmp_serde::from_slice(copies) {
            Ok(forget) => self.0.services.reader.disbelieve(&forget),
            Err(_) => self.disbelieve_all_copies(),
        }
    }

    /// Others may have said that, and it was missed.
    pub(crate) fn disbelieve_all_copies(&self) {
        self.0.services.reader.disbelieve_all();
    }
}

/// Who is something else in the room than before.
fn another_member(event: &Event) -> Option<UserId> {
    match event {
        Event::Member(event) if event.change != MemberChange::Joined => Some(event.user),
        _ => None,
    }
}
