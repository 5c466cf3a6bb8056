//! What a client says, as types: the form each operation has on the wire. The documents for clients
//! are made of these; frames are read by [`super::fields`], and a test holds the two together.

use crate::{ClientId, Emoji, RoomId};
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// One operation as documents describe it.
pub struct Described {
    /// Its name on the wire.
    pub op: &'static str,
    /// Its fields beside `op` and `id`.
    pub schema: fn() -> RefOr<Schema>,
    /// What it refers to.
    pub parts: fn(&mut Vec<(String, RefOr<Schema>)>),
    /// The title of the frame that answers it.
    pub ok: &'static str,
}

/// Every operation of this version.
pub const OPERATIONS: [Described; 13] = [
    of::<Hello>("hello", "HelloOk"),
    of::<Subscribe>("subscribe", "SubscribeOk"),
    of::<Unsubscribe>("unsubscribe", "UnsubscribeOk"),
    of::<Send>("send", "SendOk"),
    of::<Edit>("edit", "ChangeOk"),
    of::<Delete>("delete", "ChangeOk"),
    of::<React>("react", "ReactOk"),
    of::<Read>("read", "ReadOk"),
    of::<Typing>("typing", "RoomOk"),
    of::<Signal>("signal", "RoomOk"),
    of::<Presence>("presence", "PresenceOk"),
    of::<History>("history", "HistoryOk"),
    of::<Ping>("ping", "PingOk"),
];

const fn of<T: ToSchema>(op: &'static str, ok: &'static str) -> Described {
    Described { op, schema: <T as PartialSchema>::schema, parts: T::schemas, ok }
}

/// Authenticates; the first frame of every connection.
#[derive(ToSchema)]
pub struct Hello {
    /// The bearer token.
    pub token: String,
    /// Which rooms to receive; all of them when absent.
    pub subscribe: Option<Wish>,
}

/// Which rooms to receive: all of the user, now and whenever one is joined, or these.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Wish {
    /// All rooms of the user.
    All(All),
    /// These.
    Rooms(Vec<WishedRoom>),
}

/// The word for all rooms.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum All {
    /// All rooms of the user.
    All,
}

/// A room to receive, and from where.
#[derive(Serialize, ToSchema)]
pub struct WishedRoom {
    /// Which.
    pub room: RoomId,
    /// The last `seq` the client has; what came since follows.
    pub after_seq: Option<u64>,
    /// The last `rev` the client has; what changed since follows. Needs `after_seq`.
    pub after_rev: Option<u64>,
}

/// Receives a room from now on, and what was missed of it.
#[derive(ToSchema)]
pub struct Subscribe {
    /// Which.
    pub room: RoomId,
    /// The last `seq` the client has; what came since follows.
    pub after_seq: Option<u64>,
    /// The last `rev` the client has; what changed since follows. Needs `after_seq`.
    pub after_rev: Option<u64>,
}

/// Receives a room no longer.
#[derive(ToSchema)]
pub struct Unsubscribe {
    /// Which.
    pub room: RoomId,
}

/// Posts a message.
#[derive(ToSchema)]
pub struct Send {
    /// Where to.
    pub room: RoomId,
    /// The sender's own name for the message, of 1 to 64 bytes: the same again is the same message.
    pub client_id: ClientId,
    /// The text, at most 16,384 bytes unless the node is set otherwise.
    #[schema(min_length = 1)]
    pub body: String,
    /// The message it answers.
    #[schema(minimum = 1)]
    pub reply_to: Option<u64>,
}

/// Replaces the text of an own message.
#[derive(ToSchema)]
pub struct Edit {
    /// Where it is.
    pub room: RoomId,
    /// Which message.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// The new text, as long as that of a `send`.
    #[schema(min_length = 1)]
    pub body: String,
    /// Only if the message's `rev` is still this; 0: it was never changed.
    pub if_rev: Option<u64>,
}

/// Erases a message.
#[derive(ToSchema)]
pub struct Delete {
    /// Where it is.
    pub room: RoomId,
    /// Which message.
    #[schema(minimum = 1)]
    pub seq: u64,
}

/// Reacts to a message, or no longer.
#[derive(ToSchema)]
pub struct React {
    /// Where it is.
    pub room: RoomId,
    /// Which message.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// With what, 1 to 32 bytes.
    pub emoji: Emoji,
    /// Set, or taken back.
    pub on: bool,
}

/// Everything up to here was read.
#[derive(ToSchema)]
pub struct Read {
    /// Where.
    pub room: RoomId,
    /// Up to which message. A lower one than before changes nothing.
    pub seq: u64,
}

/// Types, or stopped.
#[derive(ToSchema)]
pub struct Typing {
    /// Where.
    pub room: RoomId,
    /// Types. Ends by itself 6 s after it was last said.
    pub on: bool,
}

/// Tells those who listen something that is not kept.
#[derive(ToSchema)]
pub struct Signal {
    /// Where.
    pub room: RoomId,
    /// Any text of at most 1,024 bytes.
    #[schema(max_length = 1024)]
    pub data: String,
}

/// Asks who is online.
#[derive(ToSchema)]
pub struct Presence {
    /// Where.
    pub room: RoomId,
}

/// Reads older messages; the newest when neither `before` nor `after` is there.
#[derive(ToSchema)]
pub struct History {
    /// Where.
    pub room: RoomId,
    /// The newest below this `seq`. Not together with `after`.
    pub before: Option<u64>,
    /// The oldest above this `seq`. Not together with `before`.
    pub after: Option<u64>,
    /// How many at most.
    #[schema(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u64>,
}

/// Asks for the node's time.
#[derive(ToSchema)]
pub struct Ping {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{codec::fields::known_fields, operation::Operation};
    use std::collections::BTreeSet;

    #[test]
    fn what_is_described_is_what_is_read() {
        assert_eq!(OPERATIONS.each_ref().map(|operation| operation.op), Operation::NAMES);
        for operation in &OPERATIONS {
            let schema = serde_json::to_value((operation.schema)()).unwrap();
            let described: BTreeSet<&str> = schema["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| &**name)
                .collect();
            let read = known_fields(operation.op).unwrap().iter().copied();
            // Read only to be refused.
            let read: BTreeSet<&str> = read.filter(|name| *name != "attachments").collect();
            assert_eq!(described, read, "{}", operation.op);
        }
    }
}
