//! Names of collections and indexes. What the documents hold stands with the code that writes
//! them.

use ::mongodb::bson::{Document, doc};

/// One document: whose database it is. See [`super::setup`].
pub(super) const META: &str = "meta";
/// `{_id: room, kind, name?, private, created_at, creator, member_rev, members, ...}`.
pub(super) const ROOMS: &str = "rooms";
/// `{room, user, role, joined_at, read_seq}`; `read_seq`: what was read when they joined.
pub(super) const MEMBERS: &str = "members";
/// `{room, seq, ts, sender, client_id, body, reply_to?, rev?, edited_at?, deleted?, reactions?,
/// reacted?, uncounted?}`; never removed.
pub(super) const MESSAGES: &str = "messages";
/// `{room, rev, from, seq, kind, by?, ts, body?, edited_at?, said?}`; only ever inserted, but for
/// bodies, which are erased when another one takes their place.
pub(super) const CHANGES: &str = "changes";
/// `{room, seq, user, emoji}`.
pub(super) const REACTIONS: &str = "reactions";
/// `{_id: {room, user}, room, seq}`: how far users have read; makes nobody a member.
pub(super) const RECEIPTS: &str = "receipts";

/// Tells that a place in a room is taken.
pub(super) const ROOM_SEQ: &str = "room_seq";
/// Tells that a sender used that name for a message already.
pub(super) const ROOM_SENDER_CLIENT: &str = "room_sender_client";
/// Tells that a place among the changes of a room is taken.
pub(super) const ROOM_REV: &str = "room_rev";

/// An index that is made when the store is opened.
pub(super) struct Index {
    pub(super) collection: &'static str,
    pub(super) name: &'static str,
    pub(super) keys: &'static [(&'static str, i32)],
    pub(super) unique: bool,
    /// Only of these documents.
    pub(super) partial: Option<fn() -> Document>,
}

impl Index {
    const fn unique(
        collection: &'static str,
        name: &'static str,
        keys: &'static [(&'static str, i32)],
    ) -> Self {
        Self { collection, name, keys, unique: true, partial: None }
    }

    const fn of(
        collection: &'static str,
        name: &'static str,
        keys: &'static [(&'static str, i32)],
    ) -> Self {
        Self { collection, name, keys, unique: false, partial: None }
    }

    const fn only(self, partial: fn() -> Document) -> Self {
        Self { partial: Some(partial), ..self }
    }
}

/// Every index.
pub(super) fn indexes() -> impl Iterator<Item = &'static Index> {
    LOG.iter().chain(MEMBERSHIP)
}

/// Of messages, changes and reactions.
const LOG: &[Index] = &[
    Index::unique(MESSAGES, ROOM_SEQ, &[("room", 1), ("seq", 1)]),
    Index::unique(MESSAGES, ROOM_SENDER_CLIENT, &[("room", 1), ("sender", 1), ("client_id", 1)]),
    // The latest change of each message; no fence, for a later change frees its place.
    Index::of(MESSAGES, "room_latest_change", &[("room", 1), ("rev", 1)])
        .only(|| doc! { "rev": { "$exists": true } }),
    Index::of(MESSAGES, "room_uncounted", &[("room", 1), ("seq", 1), ("uncounted", 1)])
        .only(|| doc! { "uncounted": true }),
    Index::unique(CHANGES, ROOM_REV, &[("room", 1), ("rev", 1)]),
    Index::of(CHANGES, "room_seq_rev", &[("room", 1), ("seq", 1), ("rev", 1)]),
    Index::unique(
        REACTIONS,
        "room_seq_user_emoji",
        &[("room", 1), ("seq", 1), ("user", 1), ("emoji", 1)],
    ),
];

/// Of members.
const MEMBERSHIP: &[Index] = &[
    Index::unique(MEMBERS, "room_user", &[("room", 1), ("user", 1)]),
    Index::of(MEMBERS, "user_room", &[("user", 1), ("room", 1)]),
];
