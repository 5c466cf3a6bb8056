//! What a line of an export says.
//!
//! A line is one JSON object with one key, its kind: `{"user":{...}}`. Owners stand before what
//! they own, so a line says nothing that the ones before it have said:
//!
//! ```text
//! {"madang_export":1,"made_by":"0.1.0"}
//! user                      ascending by id
//!   session, login          of the user above
//! room                      ascending by id
//!   member                  of the room above, ascending by user
//!   ban                     likewise
//!   message                 1, 2, 3, ...
//!     reaction              to the message above, ascending by user and emoji
//!   change                  1, 2, 3, ...
//! creation                  a creator's name for a room
//! {"end":true,"lines":N,"xxh3":"..."}
//! ```
//!
//! Fields that are empty, false or 0 may be left out. What this version does not know is refused,
//! for it would be lost without a word; so a field may be added without a new version of the
//! format, and [`VERSION`] changes when a line's meaning does.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use madang_protocol::{
    ChangeKind, ClientId, Emoji, Millis, Role, RoomId, RoomKind, SessionId, UserId,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{net::Ipv6Addr, sync::Arc};

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u64 = 1;

/// One thing that is kept. Without `Debug`, for some hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A user.
    User(UserLine),
    /// A session of the user above.
    Session(SessionLine),
    /// A login of the user above.
    Login(LoginLine),
    /// A room.
    Room(RoomLine),
    /// A member of the room above.
    Member(MemberLine),
    /// Who is kept out of the room above.
    Ban(BanLine),
    /// A message of the room above.
    Message(MessageLine),
    /// A reaction to the message above.
    Reaction(ReactionLine),
    /// A change of a message of the room above.
    Change(ChangeLine),
    /// A creator's name for a room.
    Creation(CreationLine),
}

impl Line {
    /// Every kind, as it is written.
    pub const KINDS: [&'static str; 10] = [
        "user", "session", "login", "room", "member", "ban", "message", "reaction", "change",
        "creation",
    ];
}

/// A user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLine {
    /// The id.
    pub user: UserId,
    /// The name as typed.
    pub username: String,
    /// The name after NFKC and case folding; unique.
    pub username_folded: String,
    /// The name shown.
    pub display_name: String,
    /// PHC string; absent: cannot log in with a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// When the user was made.
    pub created_at: Millis,
    /// What a product with accounts of its own calls the user; unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// A session of the user above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLine {
    /// The id.
    pub session: SessionId,
    /// What its token hashes to: SHA-256, in base64url.
    #[serde(serialize_with = "write_hash", deserialize_with = "read_hash")]
    pub token_hash: [u8; 32],
    /// When it was started.
    pub created_at: Millis,
    /// When it ends unless used.
    pub expires_at: Millis,
}

/// A login of the user above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoginLine {
    /// From where, as limits count it: IPv4 mapped into IPv6, IPv6 cut to its /64.
    pub address: Ipv6Addr,
    /// The last one from there.
    pub at: Millis,
}

/// A room.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoomLine {
    /// The id.
    pub room: RoomId,
    /// Its kind.
    pub kind: RoomKind,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hidden from others.
    pub private: bool,
    /// Who made it.
    pub creator: UserId,
    /// When it was made.
    pub created_at: Millis,
    /// How many messages follow.
    pub last_seq: u64,
    /// How many changes follow.
    pub last_rev: u64,
    /// How many changes of its members and name there were; they are not kept.
    pub member_rev: u64,
    /// How many members follow.
    pub members: u64,
    /// `ts` of the newest message, else the time of creation.
    pub active_at: Millis,
    /// The latest who were removed and are no members again; beyond `REMOVED_MAX` they are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<UserId>,
}

/// A member of the room above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberLine {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    pub joined_at: Millis,
    /// Up to where they have read.
    pub read_seq: u64,
}

/// Who is kept out of the room above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BanLine {
    /// Who.
    pub user: UserId,
}

/// A message of the room above, as it now is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageLine {
    /// Its place.
    pub seq: u64,
    /// When it was sent.
    pub ts: Millis,
    /// Who sent it.
    pub sender: UserId,
    /// The sender's name for it.
    pub client_id: ClientId,
    /// The text, byte for byte; empty once deleted.
    pub body: Arc<str>,
    /// The earlier message it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The rev of its latest change.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rev: u64,
    /// When the body was last edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Millis>,
    /// The body is gone; so are the reactions.
    #[serde(default, skip_serializing_if = "is_default")]
    pub deleted: bool,
    /// How many users reacted with what, the first used first; who follows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<(Emoji, u64)>,
    /// Some of its reactions were not told by a change yet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uncounted: bool,
}

/// A reaction to the message above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReactionLine {
    /// Who.
    pub user: UserId,
    /// With what.
    pub emoji: Emoji,
}

/// A change of a message of the room above.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeLine {
    /// The rev it took.
    pub rev: u64,
    /// The message.
    pub seq: u64,
    /// What it was.
    pub kind: ChangeKind,
    /// Who asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// When.
    pub ts: Millis,
}

/// A creator's name for a room, which makes a repeated creation find it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreationLine {
    /// Who made the room.
    pub creator: UserId,
    /// Their name for it.
    pub client_id: ClientId,
    /// The room.
    pub room: RoomId,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn write_hash<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(hash))
}

fn read_hash<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| D::Error::custom("not base64url"))?;
    bytes.try_into().map_err(|_| D::Error::custom("not 32 bytes"))
}
