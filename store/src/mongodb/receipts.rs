//! [`ReceiptStore`] on MongoDB.
//!
//! Positions have a collection of their own, which makes nobody a member: one that is written
//! while its user leaves stays behind, and counts for nothing until they come back, when all is
//! read anyway.

use super::{
    Mongo,
    failure::Failure,
    ids::{Id, bytes},
    member::{MemberRecord, with_positions},
    positions::{highest, rooms},
    schema::{MEMBERS, RECEIPTS},
};
use crate::{ReceiptStore, StoreError, metrics::Call, receipts::Read, rooms::Member};
use ::mongodb::bson::{Binary, Bson, Document, doc};
use async_trait::async_trait;
use madang_protocol::{RoomId, UserId};
use serde::Deserialize;
use std::collections::HashSet;

/// A pair that a query looks for, or finds.
#[derive(Deserialize)]
struct Pair {
    room: Binary,
    user: Binary,
}

#[async_trait]
impl ReceiptStore for Mongo {
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError> {
        if reads.is_empty() {
            return Ok(());
        }
        // Those of senders go along.
        let noted = self.positions.pending();
        let reads = highest(reads.into_iter().chain(noted.iter().copied()));
        self.write(Call::PutReads, self.write_reads(reads)).await?;
        self.positions.stored(&noted);
        Ok(())
    }

    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        let readers = self.read(Call::Readers, async {
            let pipeline = readers(room, seq, after, limit, &self.positions.readers(room, seq));
            if limit == 0 { Ok(Vec::new()) } else { self.aggregate(MEMBERS, pipeline).await }
        });
        readers.await?.iter().map(|record: &MemberRecord| self.member(room, record)).collect()
    }
}

impl Mongo {
    /// Moves positions up, each pair at most once: one bulk write, after one look at who is a
    /// member and how far the rooms are.
    pub(super) async fn write_reads(&self, reads: Vec<Read>) -> Result<(), Failure> {
        let rooms = rooms(&reads);
        let (last_seqs, members) =
            tokio::try_join!(self.last_seqs(&rooms), self.members_of_pairs(&reads))?;
        let clamped = reads.into_iter().filter_map(|read| {
            let seq = read.seq.min(last_seqs.get(&read.room).copied().unwrap_or(0));
            let counts = seq > 0 && members.contains(&(read.room, read.user));
            counts.then(|| raise(read.room, read.user, seq))
        });
        self.update_all(RECEIPTS, clamped.collect()).await?;
        Ok(())
    }

    async fn members_of_pairs(&self, reads: &[Read]) -> Result<HashSet<(RoomId, UserId)>, Failure> {
        let pairs: Vec<Bson> = reads.iter().map(|read| pair(read.room, read.user)).collect();
        let filter = doc! { "_id": { "$in": pairs } };
        let projection = doc! { "_id": 0, "room": "$_id.room", "user": "$_id.user" };
        let found = self.find::<Pair>(MEMBERS, filter, projection).await?;
        let ids = |pair: Pair| Some((RoomId(bytes(&pair.room)?), UserId(bytes(&pair.user)?)));
        Ok(found.into_iter().filter_map(ids).collect())
    }
}

/// Members who have read so far, or are among `ahead`, by user.
pub(super) fn readers(
    room: RoomId,
    seq: u64,
    after: Option<UserId>,
    limit: usize,
    ahead: &[UserId],
) -> Vec<Document> {
    let mut of_room = doc! { "room": room.bson() };
    if let Some(after) = after {
        of_room.insert("user", doc! { "$gt": after.bson() });
    }
    let ahead: Vec<Bson> = ahead.iter().map(Id::bson).collect();
    let has_read = doc! { "$or": [
        { "read_seq": { "$gte": seq as i64 } },
        { "user": { "$in": ahead } },
    ] };
    let [receipt, position] = with_positions();
    vec![
        doc! { "$match": of_room },
        doc! { "$sort": { "room": 1, "user": 1 } },
        receipt,
        position,
        doc! { "$match": has_read },
        doc! { "$limit": i64::try_from(limit).unwrap_or(i64::MAX) },
    ]
}

/// The `_id` of a member and of a receipt; the order of the fields is part of it.
pub(super) fn pair(room: RoomId, user: UserId) -> Bson {
    Bson::Document(doc! { "room": room.bson(), "user": user.bson() })
}

/// Moves up, never down, and makes the first one.
fn raise(room: RoomId, user: UserId, seq: u64) -> Document {
    doc! {
        "q": { "_id": pair(room, user) },
        "u": { "$max": { "seq": seq as i64 }, "$setOnInsert": { "room": room.bson() } },
        "upsert": true,
    }
}
