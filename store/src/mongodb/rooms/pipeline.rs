//! The aggregations that answer what is asked about rooms: one each, however many rooms there are.
//!
//! A room's heads are the ends of two indexes, `room_seq` of the messages and `room_rev` of the
//! changes, so nothing is counted with each message and there is no hot document: a head is one
//! seek. Of the room list the seeks for the order are made for every room of the user, all others
//! for the page alone.

use super::document::MemberKey;
use crate::{
    mongodb::{
        ids::{Id, values},
        member::with_positions,
    },
    rooms::ListPlace,
};
use ::mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use madang_protocol::{RoomId, UserId};

/// The rooms of a user in the order of their latest activity, cut to a page.
fn by_activity(user: UserId, after: Option<ListPlace>, limit: usize) -> Vec<Document> {
    let mut stages = vec![
        doc! { "$match": { "user": user.bson() } },
        of_room(doc! {}),
        doc! { "$unwind": "$of_room" },
        newest(),
        doc! { "$set": {
            "last_seq": { "$first": "$newest.seq" },
            "active_at": { "$ifNull": [{ "$first": "$newest.ts" }, "$of_room.created_at"] },
        } },
    ];
    stages.extend(after.map(behind));
    stages.push(doc! { "$sort": { "active_at": -1, "room": 1 } });
    stages.push(doc! { "$limit": rows(limit) });
    stages
}

/// A page of a user's room list.
pub(super) fn list(user: UserId, after: Option<ListPlace>, limit: usize) -> Vec<Document> {
    let mut stages = by_activity(user, after, limit);
    stages.push(message());
    stages.extend(seen());
    stages
}

/// As [`list`], without messages.
pub(super) fn access_all(user: UserId, limit: usize) -> Vec<Document> {
    let mut stages = by_activity(user, None, limit);
    stages.extend(seen());
    stages
}

/// One room as its member sees it; nothing for others.
pub(super) fn view(room: RoomId, user: UserId) -> Vec<Document> {
    let mut stages = vec![
        doc! { "$match": { "_id": key(room, user) } },
        of_room(doc! {}),
        doc! { "$unwind": "$of_room" },
        newest(),
        doc! { "$set": { "last_seq": { "$first": "$newest.seq" } } },
        message(),
    ];
    stages.extend(seen());
    stages
}

/// Each of `rooms` that is there, with the membership of `user` if it is one.
pub(super) fn access(user: UserId, rooms: &[RoomId]) -> Vec<Document> {
    let mut stages = vec![
        doc! { "$match": { "_id": { "$in": values(rooms) } } },
        doc! { "$replaceWith": {
            "_id": { "room": "$_id", "user": user.bson() },
            "room": "$_id",
            "of_room": "$$ROOT",
        } },
        by_key("members", "member"),
        doc! { "$set": {
            "role": { "$first": "$member.role" },
            "read_seq": { "$first": "$member.read_seq" },
        } },
        newest(),
        doc! { "$set": { "last_seq": { "$first": "$newest.seq" } } },
    ];
    stages.extend(seen());
    stages
}

/// Members of a room by user id.
pub(in crate::mongodb) fn members(
    room: RoomId,
    after: Option<UserId>,
    limit: usize,
) -> Vec<Document> {
    let mut of_room = doc! { "room": room.bson() };
    if let Some(after) = after {
        of_room.insert("user", doc! { "$gt": after.bson() });
    }
    let mut stages = vec![
        doc! { "$match": of_room },
        doc! { "$sort": { "user": 1 } },
        doc! { "$limit": rows(limit) },
    ];
    stages.extend(with_positions());
    stages
}

/// Those of `users` that are members, in any order.
pub(super) fn members_among(room: RoomId, users: &[UserId]) -> Vec<Document> {
    let keys: Vec<Bson> = users.iter().map(|user| key(room, *user)).collect();
    let mut stages = vec![doc! { "$match": { "_id": { "$in": keys } } }];
    stages.extend(with_positions());
    stages
}

/// The memberships of `users` in rooms of at most `members_max`.
pub(super) fn rooms_of(users: &[UserId], members_max: u64) -> Vec<Document> {
    let members_max = i64::try_from(members_max).unwrap_or(i64::MAX);
    vec![
        doc! { "$match": { "user": { "$in": values(users) } } },
        of_room(doc! { "members": { "$lte": members_max } }),
        doc! { "$match": { "of_room": { "$ne": [] } } },
        doc! { "$project": { "_id": 0, "user": 1, "room": 1 } },
    ]
}

/// A room, and what a change of it depends on of the two users concerned.
pub(super) fn change(room: RoomId, by: UserId, concerned: UserId) -> Vec<Document> {
    let mut stages = vec![
        doc! { "$match": { "_id": room.bson() } },
        doc! { "$replaceWith": {
            "_id": { "room": "$_id", "user": concerned.bson() },
            "by": { "room": "$_id", "user": by.bson() },
            "user": concerned.bson(),
            "room": "$_id",
            "of_room": "$$ROOT",
        } },
        doc! { "$lookup": {
            "from": "members", "localField": "by", "foreignField": "_id", "as": "caller",
        } },
        by_key("members", "member"),
        by_key("bans", "ban"),
        doc! { "$lookup": {
            "from": "users", "localField": "user", "foreignField": "_id",
            "pipeline": [{ "$project": { "_id": 1 } }], "as": "account",
        } },
        doc! { "$lookup": {
            "from": "room_counts", "localField": "user", "foreignField": "_id", "as": "count",
        } },
        newest(),
        changed(),
    ];
    stages.push(doc! { "$project": {
        "_id": 0,
        "of_room": 1,
        "caller": { "$first": "$caller.role" },
        "role": { "$first": "$member.role" },
        "banned": { "$ne": ["$ban", []] },
        "exists": { "$ne": ["$account", []] },
        "rooms": { "$first": "$count.rooms" },
        "last_seq": { "$first": "$newest.seq" },
        "last_rev": { "$first": "$changed.rev" },
    } });
    stages
}

/// The room's own document, if it is as `also` says.
fn of_room(also: Document) -> Document {
    let mut lookup =
        doc! { "from": "rooms", "localField": "room", "foreignField": "_id", "as": "of_room" };
    if !also.is_empty() {
        lookup.insert("pipeline", vec![doc! { "$match": also }]);
    }
    doc! { "$lookup": lookup }
}

/// `seq` and `ts` of the newest message.
fn newest() -> Document {
    doc! { "$lookup": {
        "from": "messages", "localField": "room", "foreignField": "room", "as": "newest",
        "pipeline": [
            { "$sort": { "seq": -1 } },
            { "$limit": 1 },
            { "$project": { "_id": 0, "seq": 1, "ts": 1 } },
        ],
    } }
}

/// The message of `last_seq`: the one that was looked at before, also if there is a newer one now.
fn message() -> Document {
    doc! { "$lookup": {
        "from": "messages", "localField": "room", "foreignField": "room", "as": "message",
        "let": { "seq": "$last_seq" },
        "pipeline": [{ "$match": { "$expr": { "$eq": ["$seq", "$$seq"] } } }],
    } }
}

/// The newest change: its `rev`, and the first rev of its command if its message does not have it
/// yet, as after a node that died in between.
fn changed() -> Document {
    let its_message = doc! {
        "from": "messages", "localField": "seq", "foreignField": "seq", "as": "its",
        "let": { "room": "$room" },
        "pipeline": [
            { "$match": { "$expr": { "$eq": ["$room", "$$room"] } } },
            { "$project": { "_id": 0, "rev": 1 } },
        ],
    };
    let lacks_it = doc! { "$lt": [{ "$ifNull": [{ "$first": "$its.rev" }, 0] }, "$rev"] };
    doc! { "$lookup": {
        "from": "changes", "localField": "room", "foreignField": "room", "as": "changed",
        "pipeline": [
            { "$sort": { "rev": -1 } },
            { "$limit": 1 },
            { "$lookup": its_message },
            { "$project": {
                "_id": 0, "rev": 1,
                "unapplied": { "$cond": [lacks_it, "$from", "$$REMOVE"] },
            } },
        ],
    } }
}

/// What stands elsewhere under the same room and user.
fn by_key(from: &str, field: &str) -> Document {
    doc! { "$lookup": {
        "from": from, "localField": "_id", "foreignField": "_id", "as": field,
    } }
}

/// The fields of [`super::document::SeenRoom`] that are not there yet.
fn seen() -> Vec<Document> {
    vec![
        changed(),
        by_key("receipts", "receipt"),
        doc! { "$project": {
            "_id": 0,
            "of_room": 1,
            "role": 1,
            "read_seq": 1,
            "last_seq": 1,
            "message": { "$first": "$message" },
            "last_rev": { "$first": "$changed.rev" },
            "unapplied": { "$first": "$changed.unapplied" },
            "read": { "$first": "$receipt.seq" },
        } },
    ]
}

/// Behind this place of the list.
fn behind(place: ListPlace) -> Document {
    let active_at = i64::try_from(place.active_at).unwrap_or(i64::MAX);
    doc! { "$match": { "$or": [
        { "active_at": { "$lt": active_at } },
        { "active_at": active_at, "room": { "$gt": place.room.bson() } },
    ] } }
}

/// How many rows at most, as MongoDB takes it. Nobody reads as many.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).min(i64::from(u32::MAX))
}

pub(super) fn key(room: RoomId, user: UserId) -> Bson {
    serialize_to_bson(&MemberKey::new(room, user)).expect("an id is plain bytes")
}

/// Every room with its heads, by id: for [`crate::Transfer`].
pub(in crate::mongodb) fn rooms_with_heads() -> Vec<Document> {
    vec![
        doc! { "$sort": { "_id": 1 } },
        doc! { "$project": { "_id": 0, "room": "$_id", "of_room": "$$ROOT" } },
        newest(),
        changed(),
        doc! { "$project": {
            "of_room": 1,
            "last_seq": { "$first": "$newest.seq" },
            "last_ts": { "$first": "$newest.ts" },
            "last_rev": { "$first": "$changed.rev" },
        } },
    ]
}

/// Rooms whose last changes their messages do not have yet.
pub(in crate::mongodb) fn unapplied() -> Vec<Document> {
    vec![
        doc! { "$sort": { "_id": 1 } },
        doc! { "$project": { "room": "$_id" } },
        changed(),
        doc! { "$match": { "changed.unapplied": { "$exists": true } } },
        doc! { "$project": {
            "_id": 0, "room": 1,
            "from": { "$first": "$changed.unapplied" },
            "to": { "$first": "$changed.rev" },
        } },
    ]
}
