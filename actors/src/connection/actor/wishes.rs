//! Who a connection speaks for, and what that user may do in the rooms it wants to receive.

use super::{Answer, ConnectionActor, ConnectionMessage, ConnectionServices};
use crate::{connection::logic::Wished, kernel::Context};
use madang_protocol::{
    Refusal, UserId,
    operation::{Hello, Subscription, Wish},
};

impl ConnectionActor {
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
                Wish::All => all_rooms(&services, user).await,
                Wish::Rooms(wished) => named_rooms(&services, user, wished).await,
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
}

/// The rooms of a user, and what it may do there, by one read whatever their number.
async fn all_rooms(services: &ConnectionServices, user: UserId) -> Result<Vec<Wished>, Refusal> {
    let limit = match services.limits.subscriptions_max {
        0 => usize::MAX,
        limit => limit,
    };
    let rooms = services.reader.access_all(user, limit).await?;
    let wished = |(room, access)| {
        Ok((Subscription { room, after_seq: None, after_rev: None }, Some(access)))
    };
    Ok(rooms.into_iter().map(wished).collect())
}

async fn named_rooms(
    services: &ConnectionServices,
    user: UserId,
    wished: Vec<Result<Subscription, Box<str>>>,
) -> Result<Vec<Wished>, Refusal> {
    let rooms = wished.iter().flatten().map(|subscription| subscription.room).collect();
    let mut accesses = services.reader.access(user, rooms).await?.into_iter();
    let wished = wished
        .into_iter()
        .map(|wished| wished.map(|subscription| (subscription, accesses.next().flatten())));
    Ok(wished.collect())
}
