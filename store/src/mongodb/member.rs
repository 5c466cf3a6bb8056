//! Members as the database has them, with how far they have read.

use super::{Mongo, ids::bytes, schema::RECEIPTS};
use crate::{StoreError, rooms::Member};
use ::mongodb::bson::{Binary, Document, doc};
use madang_protocol::{Millis, Role, RoomId, UserId};
use serde::Deserialize;

/// What a query for members yields after [`with_positions`].
#[derive(Deserialize)]
pub(super) struct MemberRecord {
    pub(super) user: Binary,
    pub(super) role: Role,
    pub(super) joined_at: i64,
    /// The higher of what was read when they joined, and of their receipt.
    pub(super) read_seq: i64,
}

/// Stages that put the read position of each member of a pipeline into its `read_seq`: one index
/// seek each.
pub(super) fn with_positions() -> [Document; 2] {
    [
        doc! { "$lookup": {
            "from": RECEIPTS, "localField": "_id", "foreignField": "_id", "as": "receipt",
        } },
        doc! { "$set": { "read_seq": { "$max": ["$read_seq", { "$max": "$receipt.seq" }] } } },
    ]
}

impl Mongo {
    /// The member, as far as this node knows they have read.
    pub(super) fn member(&self, room: RoomId, record: &MemberRecord) -> Result<Member, StoreError> {
        let user = user_of(&record.user)?;
        let read_seq = self.positions.ahead(room, user, record.read_seq.unsigned_abs());
        let joined_at = record.joined_at.unsigned_abs() as Millis;
        Ok(Member { user, role: record.role, joined_at, read_seq })
    }
}

/// The user of that id.
pub(super) fn user_of(id: &Binary) -> Result<UserId, StoreError> {
    let damaged =
        || StoreError::Damaged { table: "members", detail: "an id of another size".into() };
    bytes(id).map(UserId).ok_or_else(damaged)
}
