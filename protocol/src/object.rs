//! Objects that HTTP answers and WebSocket frames share.

use crate::{Emoji, Message, Millis, RoomId, UserId, limits::EMOJI_BYTES_MAX, operation::Range};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use utoipa::ToSchema;

/// What kind of room. `event` is not offered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoomKind {
    /// Members talk.
    Group,
    /// Exactly two users; one room per pair.
    Direct,
    /// Owner and admins post, anyone joins.
    Channel,
}

/// What a member may do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Posts and reads.
    Member,
    /// Also adds, removes, renames.
    Admin,
    /// Everything; exactly one per room.
    Owner,
}

/// A room as one of its members sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Room)]
pub struct RoomObject {
    /// Its id.
    pub room: RoomId,
    /// Its kind.
    pub kind: RoomKind,
    /// Its name; direct rooms have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Hidden from those who are not members.
    pub private: bool,
    /// The caller's role.
    pub role: Role,
    /// When it was made.
    #[schema(value_type = u64)]
    pub created_at: Millis,
    /// The newest `seq`.
    pub last_seq: u64,
    /// The newest `rev`.
    pub last_rev: u64,
    /// Up to where the caller has read.
    pub read_seq: u64,
    /// `last_seq - read_seq`.
    pub unread: u64,
    /// How many members.
    pub members: u64,
    /// The newest message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<MessageObject>,
}

/// A message as a client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Message)]
pub struct MessageObject {
    /// The room.
    pub room: RoomId,
    /// Its place in the room.
    pub seq: u64,
    /// When it was taken.
    #[schema(value_type = u64)]
    pub ts: Millis,
    /// Who sent it.
    pub sender: UserId,
    /// The text.
    pub body: std::sync::Arc<str>,
    /// The message it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<u64>,
    /// The room's `rev` of its latest change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<u64>,
    /// When its body was last edited.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub edited_at: Option<Millis>,
    /// Its body is gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deleted: bool,
    /// How many users reacted with what.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    pub reactions: Vec<(Emoji, u64)>,
    /// What the caller reacted with; only in answers to requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub my_reactions: Vec<Emoji>,
    /// Only to its sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<crate::ClientId>,
}

fn as_map<S: Serializer>(reactions: &[(Emoji, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(reactions.len()))?;
    for (emoji, count) in reactions {
        map.serialize_entry(emoji, count)?;
    }
    map.end()
}

impl MessageObject {
    /// The message as `viewer` may see it; `None` sees it as a stranger to its sender.
    pub fn seen_by(message: &Message, viewer: Option<UserId>) -> Self {
        let amended = message.amended.as_deref();
        Self {
            room: message.room,
            seq: message.seq,
            ts: message.ts,
            sender: message.sender,
            body: message.body.clone(),
            reply_to: message.reply_to,
            rev: amended.map(|amended| amended.rev).filter(|rev| *rev > 0),
            edited_at: amended.and_then(|amended| amended.edited_at),
            deleted: message.is_deleted(),
            reactions: amended.map_or_else(Vec::new, |amended| amended.reactions.clone()),
            my_reactions: Vec::new(),
            client_id: (viewer == Some(message.sender)).then(|| message.client_id.clone()),
        }
    }

    /// Upper bound of its encoded form, also as a frame, in bytes. It is JSON's, whose names,
    /// numbers and texts take no fewer bytes than those of other codecs.
    pub fn encoded_bytes_max(&self) -> usize {
        /// Names, numbers and ids, each at its longest.
        const FIXED: usize = 352;
        /// An emoji that is all escapes, with its count, among the counts and among one's own.
        const REACTION: usize = 2 * (2 * EMOJI_BYTES_MAX + 24);
        let escaped = |text: &str| -> usize {
            text.bytes()
                .map(|byte| match byte {
                    b'"' | b'\\' => 2,
                    0..=0x1f => 6,
                    _ => 1,
                })
                .sum()
        };
        let client_id = self.client_id.as_ref().map_or(0, |name| escaped(name.as_str()));
        FIXED + escaped(&self.body) + client_id + self.reactions.len() * REACTION
    }
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserObject {
    /// The id.
    pub user: UserId,
    /// The name used to log in.
    pub username: String,
    /// The name shown.
    pub display_name: String,
}

/// One member of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberObject {
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// Since when.
    #[schema(value_type = u64)]
    pub joined_at: Millis,
    /// Up to where they have read.
    pub read_seq: u64,
    /// Has a connection now.
    pub online: bool,
}

/// A member who has read a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Reader)]
pub struct ReaderObject {
    /// Who.
    pub user: UserId,
    /// Up to where they have read.
    pub read_seq: u64,
}

/// Drops messages of a page until it fits into `bytes_max`, but never the last one: those
/// farthest from where `range` starts reading, so that the next page continues without a hole.
pub fn fit_page(messages: &mut Vec<MessageObject>, range: Range, bytes_max: usize) {
    let is_ascending = matches!(range, Range::After(_));
    let weights: Vec<usize> = messages.iter().map(MessageObject::encoded_bytes_max).collect();
    let mut bytes = 0;
    let mut fits = |weight: &&usize| {
        bytes += **weight;
        bytes <= bytes_max
    };
    let kept = match is_ascending {
        true => weights.iter().take_while(&mut fits).count(),
        false => weights.iter().rev().take_while(&mut fits).count(),
    };
    let kept = kept.max(1).min(messages.len());
    match is_ascending {
        true => messages.truncate(kept),
        false => drop(messages.drain(..messages.len() - kept)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bodies: &[&str]) -> Vec<MessageObject> {
        let message = |(index, body): (usize, &&str)| MessageObject {
            room: RoomId([0; 15]),
            seq: index as u64 + 1,
            ts: 0,
            sender: UserId([0; 15]),
            body: (*body).into(),
            reply_to: None,
            rev: None,
            edited_at: None,
            deleted: false,
            reactions: Vec::new(),
            my_reactions: Vec::new(),
            client_id: None,
        };
        bodies.iter().enumerate().map(message).collect()
    }

    fn seqs(range: Range, bodies: &[&str], bytes_max: usize) -> Vec<u64> {
        let mut messages = page(bodies);
        fit_page(&mut messages, range, bytes_max);
        messages.iter().map(|message| message.seq).collect()
    }

    #[test]
    fn a_page_keeps_the_end_that_the_next_page_continues_from() {
        let bodies = ["a", "b", "c"];
        assert_eq!(seqs(Range::After(0), &bodies, 800), [1, 2]);
        assert_eq!(seqs(Range::Before(4), &bodies, 800), [2, 3]);
        assert_eq!(seqs(Range::Newest, &bodies, 800), [2, 3]);
        assert_eq!(seqs(Range::Newest, &bodies, 6_000), [1, 2, 3]);
        assert_eq!(seqs(Range::Newest, &[], 0), [0; 0]);
    }

    #[test]
    fn one_message_always_fits_and_escapes_count() {
        assert_eq!(seqs(Range::After(0), &["a", "b"], 0), [1]);
        let zeros = "\0".repeat(1_000);
        assert_eq!(seqs(Range::After(0), &[&zeros, &zeros], 7_000), [1]);
        let json = serde_json::to_string(&page(&[&zeros])[0]).unwrap();
        assert!(json.len() <= page(&[&zeros])[0].encoded_bytes_max());
    }
}
