//! How many rooms users are in, in a transaction that changes it.

use super::document::RoomCountDocument;
use crate::mongodb::{
    Mongo,
    bytes::Bytes,
    ids::{Id, values},
    schema::ROOM_COUNTS,
    transaction::Worked,
};
use ::mongodb::{ClientSession, bson::doc};
use madang_protocol::UserId;

/// Counts a membership more, or less, of one user.
pub(super) async fn add(
    store: &Mongo,
    session: &mut ClientSession,
    user: UserId,
    rooms: i64,
) -> Worked<()> {
    let counts = store.collection::<RoomCountDocument>(ROOM_COUNTS);
    let update = doc! { "$inc": { "rooms": rooms } };
    counts.update_one(doc! { "_id": user.bson() }, update).upsert(true).session(session).await?;
    Ok(())
}

/// Counts a membership more of each of `users`; `counted` are those that were in a room before.
pub(super) async fn add_all(
    store: &Mongo,
    session: &mut ClientSession,
    users: &[UserId],
    counted: &[UserId],
) -> Worked<()> {
    let counts = store.collection::<RoomCountDocument>(ROOM_COUNTS);
    if !counted.is_empty() {
        let update = doc! { "$inc": { "rooms": 1_i64 } };
        counts
            .update_many(doc! { "_id": { "$in": values(counted) } }, update)
            .session(&mut *session)
            .await?;
    }
    let new = users.iter().filter(|user| !counted.contains(user));
    let new: Vec<_> = new.map(|user| RoomCountDocument { user: Bytes(user.0), rooms: 1 }).collect();
    if !new.is_empty() {
        counts.insert_many(&new).session(session).await?;
    }
    Ok(())
}
