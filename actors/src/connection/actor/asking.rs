//! What a connection asks of the rest of the node before it goes on.

use super::{Answer, ConnectionActor, ConnectionMessage, wishes};
use crate::{
    audience::{AttachRequest, AudienceMessage, Member},
    connection::Attached,
    hub::Identity,
    kernel::{Context, Reply},
};
use madang_protocol::{
    Place, RoomId, UserId,
    operation::{Hello, Subscription, Wish},
};

impl ConnectionActor {
    /// Asks to be attached after `after`, or, without a reply, to hear what has no number.
    pub(super) fn ask_audience(
        &self,
        room: RoomId,
        member_rev: u64,
        after: Place,
        reply: Option<Reply<Attached>>,
    ) {
        let Some(Identity { user, .. }) = self.logic.identity() else {
            return;
        };
        let (hub, slot) = (self.hub.index(), self.slot);
        let member = Member { user, since: member_rev };
        let request = AttachRequest { hub, slot, member, after, reply };
        // A full audience drops the request, which says "lost": it is made again later.
        let _ = self.services.router.tell_audience(room, AudienceMessage::Attach(request));
    }

    pub(super) fn authenticate(
        &self,
        id: Option<u64>,
        hello: Hello,
        context: &mut Context<ConnectionMessage>,
    ) {
        let Hello { token, subscribe } = hello;
        let authentication = self.services.authenticator.authenticate(token);
        context.spawn(authentication, move |found| {
            ConnectionMessage::Answer(Answer::Authenticated(id, subscribe, found))
        });
    }

    pub(super) fn ask_rooms(
        &self,
        id: Option<u64>,
        user: UserId,
        wish: Wish,
        context: &mut Context<ConnectionMessage>,
    ) {
        let services = self.services.clone();
        let ask = async move {
            match wish {
                Wish::All => wishes::all_rooms(&services, user).await,
                Wish::Rooms(wished) => wishes::named_rooms(&services, user, wished).await,
            }
        };
        context.spawn(ask, move |rooms| ConnectionMessage::Answer(Answer::Entered(id, rooms)));
    }

    pub(super) fn ask_access(
        &self,
        id: Option<u64>,
        subscription: Subscription,
        context: &mut Context<ConnectionMessage>,
    ) {
        let access = self.access(subscription.room);
        context.spawn(access, move |access| {
            ConnectionMessage::Answer(Answer::Access(id, subscription, access))
        });
    }

    pub(super) fn recheck(&self, room: RoomId, context: &mut Context<ConnectionMessage>) {
        let access = self.access(room);
        context.spawn(access, move |access| {
            ConnectionMessage::Answer(Answer::Rechecked(room, access))
        });
    }
}
