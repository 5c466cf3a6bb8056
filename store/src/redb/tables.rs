//! What is in the file: the tables, their keys and records.
//!
//! Every fact has one home; the other tables are indexes onto it or counters of it, and
//! [`super::check()`] compares them.
//!
//! | table | is |
//! |---|---|
//! | [`Messages`] | the messages; a room's are contiguous and in order |
//! | [`Sent`] | index: a sender's name for a message |
//! | [`Amendments`] | what was changed about a message since; only those that have something |
//! | [`Changes`] | the changes of a room's messages, by rev: contiguous and in order |
//! | [`LatestChanges`] | index: changed messages by their latest rev |
//! | [`Reactions`] | who reacts to what with what; counted in [`Amendments`] |
//! | [`Uncounted`] | messages with reactions that no change has told yet |
//! | [`Rooms`] | what a room is; hardly ever changes |
//! | [`RoomHeads`] | how far a room has come; changes with every message |
//! | [`Members`] | memberships |
//! | [`UserRooms`] | index: the memberships of a user |
//! | [`RoomCounts`] | counter: the memberships of a user |
//! | [`Bans`] | who is kept out of a room |
//! | [`DirectRooms`] | index: the direct room of a pair |
//! | [`CreatedRooms`] | a creator's name for a room |
//! | [`Users`] | the users |
//! | [`Usernames`] | index: users by folded username |
//! | [`ExternalIds`] | index: users by external id |
//! | [`Sessions`] | the sessions, by token hash |
//! | [`UserSessions`] | index: the sessions of a user |
//! | [`Logins`] | when a user last logged in from an address; the latest ones |
//! | [`Meta`] | [`FORMAT`], [`COMMITS`] and [`HISTORY`] |

use super::{keys::Key, record::Raw};
use crate::accounts::{AddressKey, TokenHash};
use madang_protocol::{
    Amended, ChangeKind, ClientId, Emoji, Millis, Role, RoomId, RoomKind, SessionId, UserId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;

/// A table of the file.
pub(super) trait Table {
    /// Its place in [`NAMES`].
    const SLOT: usize;
    /// Its name in the file.
    const NAME: &'static str;
    /// What its records are found by.
    type Key: Key;
    /// What it holds.
    type Record: Serialize + DeserializeOwned;
}

macro_rules! tables {
    ($($table:ident = $name:literal, $key:ty => $record:ty;)*) => {
        enum Slot { $($table),* }

        /// The names of all tables, by slot.
        pub(super) const NAMES: &[&str] = &[$($name),*];

        $(
            #[derive(Debug)]
            pub(super) struct $table;

            impl Table for $table {
                const SLOT: usize = Slot::$table as usize;
                const NAME: &'static str = $name;
                type Key = $key;
                type Record = $record;
            }
        )*
    };
}

tables! {
    Messages = "messages", (RoomId, u64) => MessageRecord;
    Sent = "sent", (RoomId, UserId, ClientId) => SentRecord;
    Amendments = "amended", (RoomId, u64) => Amended;
    Changes = "changes", (RoomId, u64) => ChangeRecord;
    LatestChanges = "latest_changes", (RoomId, u64) => u64;
    Reactions = "reactions", (RoomId, u64, UserId, Emoji) => Marker;
    Uncounted = "uncounted", (RoomId, u64) => Marker;
    Rooms = "rooms", RoomId => RoomRecord;
    RoomHeads = "room_heads", RoomId => HeadsRecord;
    Members = "members", (RoomId, UserId) => MemberRecord;
    UserRooms = "user_rooms", (UserId, RoomId) => Marker;
    RoomCounts = "room_counts", UserId => u64;
    Bans = "bans", (RoomId, UserId) => Marker;
    DirectRooms = "direct_rooms", (UserId, UserId) => Raw<15>;
    CreatedRooms = "created_rooms", (UserId, ClientId) => Raw<15>;
    Users = "users", UserId => UserRecord;
    Usernames = "usernames", String => Raw<15>;
    ExternalIds = "external_ids", String => Raw<15>;
    Sessions = "sessions", TokenHash => SessionRecord;
    UserSessions = "user_sessions", (UserId, SessionId) => Raw<32>;
    Logins = "logins", (UserId, AddressKey) => Millis;
    Meta = "madang", String => u64;
}

/// The key in [`Meta`] of the format's number. A file without it is not ours.
pub(super) const FORMAT: &str = "format";
/// The format this code reads and writes.
pub(super) const FORMAT_NUMBER: u64 = 1;
/// The key in [`Meta`] that counts transactions. Each adds one, so that after a commit whose
/// answer was lost the number says whether it took effect. As of the last durable commit; those in the
/// journal count on.
pub(super) const COMMITS: &str = "commits";
/// The key in [`Meta`] of the random number that the last durable commit drew: what the journal has
/// beyond that commit carries it.
pub(super) const HISTORY: &str = "history";

/// A record that says all by being there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MessageRecord {
    pub(super) ts: Millis,
    pub(super) sender: Raw<15>,
    pub(super) client_id: ClientId,
    pub(super) body: Arc<str>,
    #[serde(default)]
    pub(super) reply_to: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SentRecord {
    pub(super) seq: u64,
    pub(super) ts: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChangeRecord {
    pub(super) seq: u64,
    pub(super) kind: ChangeKind,
    pub(super) by: Option<Raw<15>>,
    pub(super) ts: Millis,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RoomRecord {
    pub(super) kind: RoomKind,
    pub(super) name: Option<String>,
    pub(super) private: bool,
    pub(super) created_at: Millis,
    pub(super) creator: Raw<15>,
    /// The latest who were removed and are no members again; at most `REMOVED_MAX`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) removed: Vec<Raw<15>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeadsRecord {
    pub(super) last_seq: u64,
    pub(super) last_rev: u64,
    pub(super) member_rev: u64,
    /// How many members.
    pub(super) members: u64,
    /// `ts` of the newest message, else the time of creation.
    pub(super) active_at: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberRecord {
    pub(super) role: Role,
    pub(super) joined_at: Millis,
    pub(super) read_seq: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UserRecord {
    pub(super) username: String,
    pub(super) username_folded: String,
    pub(super) display_name: String,
    pub(super) password_hash: Option<String>,
    pub(super) created_at: Millis,
    #[serde(default)]
    pub(super) external_id: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    pub(super) session: Raw<15>,
    pub(super) user: Raw<15>,
    pub(super) created_at: Millis,
    pub(super) expires_at: Millis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_places_among_the_names() {
        assert_eq!(NAMES[Messages::SLOT], Messages::NAME);
        assert_eq!(NAMES[Meta::SLOT], Meta::NAME);
        assert_eq!(NAMES.len(), Meta::SLOT + 1);
    }
}
