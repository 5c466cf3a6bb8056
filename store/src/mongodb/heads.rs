//! How far rooms have come.

use super::{
    Mongo,
    failure::Failure,
    ids::{Id, bytes},
    schema::{CHANGES, MESSAGES, ROOMS},
};
use ::mongodb::bson::{Binary, Document, doc};
use madang_protocol::{Heads, RoomId};
use serde::Deserialize;
use std::collections::HashMap;

/// The greatest number of a room.
#[derive(Deserialize)]
struct Greatest {
    #[serde(rename = "_id")]
    room: Binary,
    number: i64,
}

impl Mongo {
    /// The heads of those rooms that there are, by three questions at once however many rooms:
    /// one index seek each. What was committed before the call is counted.
    pub(super) async fn heads_of(
        &self,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, Heads>, Failure> {
        let (member_revs, seqs, revs) = tokio::try_join!(
            self.member_revs(rooms),
            self.greatest(MESSAGES, "seq", rooms),
            self.greatest(CHANGES, "rev", rooms),
        )?;
        let with_all = |(room, member_rev)| {
            let last_seq = seqs.get(&room).copied().unwrap_or(0);
            let last_rev = revs.get(&room).copied().unwrap_or(0);
            (room, Heads { last_seq, last_rev, member_rev })
        };
        Ok(member_revs.into_iter().map(with_all).collect())
    }

    /// The newest seq of those of `rooms` that have messages.
    pub(super) async fn last_seqs(
        &self,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, u64>, Failure> {
        self.greatest(MESSAGES, "seq", rooms).await
    }

    async fn greatest(
        &self,
        collection: &str,
        number: &str,
        rooms: &[RoomId],
    ) -> Result<HashMap<RoomId, u64>, Failure> {
        let found = self.aggregate::<Greatest>(collection, greatest(number, rooms)).await?;
        Ok(numbers(found))
    }

    async fn member_revs(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, u64>, Failure> {
        let filter = doc! { "_id": { "$in": all(rooms) } };
        let found = self.find::<Greatest>(ROOMS, filter, doc! { "number": "$member_rev" }).await?;
        Ok(numbers(found))
    }
}

/// In the order of the index, backwards: the server then goes from room to room and reads one
/// entry of each.
pub(super) fn greatest(number: &str, rooms: &[RoomId]) -> Vec<Document> {
    let first = doc! { "$first": format!("${number}") };
    vec![
        doc! { "$match": { "room": { "$in": all(rooms) } } },
        doc! { "$sort": { "room": -1, number: -1 } },
        doc! { "$group": { "_id": "$room", "number": first } },
    ]
}

fn all(rooms: &[RoomId]) -> Vec<::mongodb::bson::Bson> {
    rooms.iter().map(Id::bson).collect()
}

fn numbers(found: Vec<Greatest>) -> HashMap<RoomId, u64> {
    let number =
        |greatest: Greatest| Some((RoomId(bytes(&greatest.room)?), greatest.number.unsigned_abs()));
    found.into_iter().filter_map(number).collect()
}
