//! What a user may do in the rooms it wants to receive.

use super::ConnectionServices;
use crate::connection::logic::Wished;
use madang_protocol::{Refusal, UserId, operation::Subscription};

/// The rooms of a user, and what it may do there, by one read whatever their number.
pub(super) async fn all_rooms(
    services: &ConnectionServices,
    user: UserId,
) -> Result<Vec<Wished>, Refusal> {
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

pub(super) async fn named_rooms(
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
