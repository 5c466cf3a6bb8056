//! Pages of a room, read by whoever may see them.

use super::{Answer, ChangesRead, ConnectionActor, ConnectionMessage, PageRead};
use crate::{
    connection::{
        REPLAY_PAGE_MESSAGES,
        logic::{end_of, may_read},
    },
    hub::Identity,
    kernel::Context,
};
use madang_protocol::{
    ErrorCode, Place, Refusal, RoomId,
    object::{MessageObject, fit_page},
    operation::{History, Range},
};
use madang_store::{cache::Membership, rooms::Access};

impl ConnectionActor {
    pub(super) fn read_page(
        &self,
        room: RoomId,
        after: u64,
        context: &mut Context<ConnectionMessage>,
    ) {
        let page = self.page(room, Range::After(after), REPLAY_PAGE_MESSAGES);
        self.replay(room, page, Answer::Page, context);
    }

    pub(super) fn read_changes(
        &self,
        room: RoomId,
        after: Place,
        context: &mut Context<ConnectionMessage>,
    ) {
        let changes = self.changes(room, after);
        self.replay(room, changes, Answer::Changes, context);
    }

    pub(super) fn read_history(
        &self,
        id: Option<u64>,
        history: History,
        context: &mut Context<ConnectionMessage>,
    ) {
        let membership = self.membership(history.room);
        let page = self.page(history.room, history.range, history.limit as usize);
        let (reader, identity) = (self.services.reader.clone(), self.logic.identity());
        let read = async move {
            may_read(membership.await?)?;
            let (mut messages, last_seq) = page.await?;
            if let Some(Identity { user, .. }) = identity {
                reader.add_my_reactions(history.room, user, &mut messages).await?;
            }
            Ok((messages, last_seq))
        };
        context.spawn(read, move |read| ConnectionMessage::Answer(Answer::History(id, read)));
    }

    /// For what is there already: may be a copy.
    fn membership(
        &self,
        room: RoomId,
    ) -> impl Future<Output = Result<Option<Membership>, Refusal>> + use<> {
        let (reader, identity) = (self.services.reader.clone(), self.logic.identity());
        async move {
            let Some(identity) = identity else {
                return Err(Refusal::new(ErrorCode::Unauthenticated, "say hello first"));
            };
            reader.membership(identity.user, room).await
        }
    }

    pub(super) fn access(
        &self,
        room: RoomId,
    ) -> impl Future<Output = Result<Option<Access>, Refusal>> + use<> {
        let (reader, identity) = (self.services.reader.clone(), self.logic.identity());
        async move {
            let Some(identity) = identity else {
                return Err(Refusal::new(ErrorCode::Unauthenticated, "say hello first"));
            };
            Ok(reader.access(identity.user, vec![room]).await?.into_iter().next().flatten())
        }
    }

    /// Reads a part of a replay. A slow reader may take long, and its membership end meanwhile,
    /// so that is looked at first.
    fn replay<T: 'static>(
        &self,
        room: RoomId,
        part: impl Future<Output = Result<T, Refusal>> + 'static,
        answer: fn(Result<T, Refusal>) -> Answer,
        context: &mut Context<ConnectionMessage>,
    ) {
        let (membership, access) = (self.membership(room), self.access(room));
        let read = async move {
            match membership.await.map(may_read) {
                Ok(Err(_)) => Answer::Ended(room, end_of(access.await.ok().flatten())),
                Ok(Ok(_)) => answer(part.await),
                Err(refusal) => answer(Err(refusal)),
            }
        };
        context.spawn(read, ConnectionMessage::Answer);
    }

    /// A page as we may see it, of a size that the out-queue has place for.
    fn page(
        &self,
        room: RoomId,
        range: Range,
        limit: usize,
    ) -> impl Future<Output = Result<PageRead, Refusal>> + use<> {
        let (reader, bytes_max) =
            (self.services.reader.clone(), self.services.limits.page_bytes_max);
        let viewer = self.logic.identity().map(|identity| identity.user);
        async move {
            let page = reader.page(room, range, limit).await?;
            let messages = page.messages.iter();
            let mut messages: Vec<_> =
                messages.map(|message| MessageObject::seen_by(message, viewer)).collect();
            fit_page(&mut messages, range, bytes_max);
            Ok((messages, page.last_seq))
        }
    }

    /// What changed of what we have, likewise.
    fn changes(
        &self,
        room: RoomId,
        after: Place,
    ) -> impl Future<Output = Result<ChangesRead, Refusal>> + use<> {
        let (reader, bytes_max) =
            (self.services.reader.clone(), self.services.limits.page_bytes_max);
        let viewer = self.logic.identity().map(|identity| identity.user);
        async move {
            let Place { seq, rev } = after;
            let page = reader.changed(room, rev, seq, REPLAY_PAGE_MESSAGES).await?;
            let messages = page.messages.iter();
            let mut messages: Vec<_> =
                messages.map(|message| MessageObject::seen_by(message, viewer)).collect();
            let all = messages.len();
            fit_page(&mut messages, Range::After(0), bytes_max);
            // What did not fit is read next.
            let last = messages.last().and_then(|message| message.rev);
            let reached_rev = last.filter(|_| messages.len() < all).unwrap_or(page.reached_rev);
            Ok((messages, reached_rev, page.heads))
        }
    }
}
