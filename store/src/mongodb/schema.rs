//! Names of collections and indexes. What the documents hold stands with the code that writes
//! them.

use ::mongodb::bson::{Document, doc};

/// Whose database it is, and whether it is being filled. See [`super::setup`].
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

/// See [`super::rooms::document`].
pub(super) const BANS: &str = "bans";
/// See [`super::rooms::document`].
pub(super) const ROOM_COUNTS: &str = "room_counts";
/// See [`super::accounts::document`].
pub(super) const USERS: &str = "users";

/// Everything but [`META`].
pub(super) const DATA: [&str; 9] =
    [ROOMS, MEMBERS, MESSAGES, CHANGES, REACTIONS, RECEIPTS, BANS, ROOM_COUNTS, USERS];

/// Tells that a username is another's.
pub(super) const USERNAME: &str = "username";
/// Tells that a product's name for a user is another's.
pub(super) const EXTERNAL_ID: &str = "external_id";
/// Tells that a token is of another session.
pub(super) const SESSION_TOKEN: &str = "session_token";
/// Tells that a creator has used that name for a room already.
pub(super) const CREATOR_CLIENT: &str = "creator_client";
/// Tells that two users have a direct room already.
pub(super) const PAIR: &str = "pair";

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
    LOG.iter().chain(MEMBERSHIP).chain(ACCOUNTS)
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

/// Of rooms and members.
const MEMBERSHIP: &[Index] = &[
    Index::unique(ROOMS, CREATOR_CLIENT, &[("creator", 1), ("client_id", 1)])
        .only(|| doc! { "client_id": { "$exists": true } }),
    Index::unique(ROOMS, PAIR, &[("pair", 1)]).only(|| doc! { "pair": { "$exists": true } }),
    Index::unique(MEMBERS, "room_user", &[("room", 1), ("user", 1)]),
    Index::of(MEMBERS, "user_room", &[("user", 1), ("room", 1)]),
];

/// Of users.
const ACCOUNTS: &[Index] = &[
    Index::unique(USERS, USERNAME, &[("username_folded", 1)]),
    Index::unique(USERS, EXTERNAL_ID, &[("external_id", 1)])
        .only(|| doc! { "external_id": { "$exists": true } }),
    // Without the condition, all users without a session would be the same one.
    Index::unique(USERS, SESSION_TOKEN, &[("sessions.token", 1)])
        .only(|| doc! { "sessions.token": { "$exists": true } }),
];
