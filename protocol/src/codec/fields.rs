//! A client frame as the map it is, and how an operation is made of its fields. Codecs differ in
//! how they read the map; what it means is decided here, once.

use super::DecodeError;
use crate::{
    ClientId, ErrorCode, Operation, Refusal, Request, RoomId,
    limits::{NUMBER_END, PAGE_DEFAULT, PAGE_MAX},
    operation::{Hello, History, Range, Send, Subscription, Wish},
};
use serde::{Deserialize, de::IgnoredAny};
use std::borrow::Cow;

/// Every field any operation knows, absent ones `None`; a null counts as absent.
#[derive(Deserialize, Default)]
pub(super) struct Fields<'a> {
    #[serde(borrow)]
    op: Option<Text<'a>>,
    id: Option<u64>,
    #[serde(borrow)]
    room: Option<Text<'a>>,
    #[serde(borrow)]
    token: Option<Text<'a>>,
    subscribe: Option<WishField>,
    after_seq: Option<u64>,
    after_rev: Option<u64>,
    #[serde(borrow)]
    client_id: Option<Text<'a>>,
    #[serde(borrow)]
    body: Option<Text<'a>>,
    reply_to: Option<IgnoredAny>,
    attachments: Option<IgnoredAny>,
    before: Option<u64>,
    after: Option<u64>,
    limit: Option<u64>,
}

/// A string that borrows from the frame when it holds no escapes. (Serde borrows a bare `Cow`
/// only outside of `Option`.)
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
#[serde(untagged)]
enum WishField {
    Word(String),
    Rooms(Vec<RoomField>),
}

#[derive(Deserialize)]
struct RoomField {
    room: String,
    after_seq: Option<u64>,
    after_rev: Option<u64>,
}

/// The fields an operation reads, beside `op` and `id`; `None`: no such operation. Others are
/// ignored whatever they hold.
pub(super) fn known_fields(op: &str) -> Option<&'static [&'static str]> {
    Some(match op {
        "hello" => &["token", "subscribe"],
        "subscribe" => &["room", "after_seq", "after_rev"],
        "unsubscribe" => &["room"],
        "send" => &["room", "client_id", "body", "reply_to", "attachments"],
        "history" => &["room", "before", "after", "limit"],
        "ping" => &[],
        _ => return None,
    })
}

impl Fields<'_> {
    /// The request these fields ask for.
    pub(super) fn into_request(self) -> Result<Request, DecodeError> {
        let id = match number("id", self.id) {
            Ok(id) => id,
            Err(refusal) => return Err(DecodeError::Refused { id: None, refusal }),
        };
        match self.into_operation() {
            Ok(operation) => Ok(Request { id, operation }),
            Err(refusal) => Err(DecodeError::Refused { id, refusal }),
        }
    }

    fn into_operation(self) -> Result<Operation, Refusal> {
        let Some(Text(op)) = &self.op else {
            return Err(Refusal::invalid("op", "missing"));
        };
        match op.as_ref() {
            "send" => self.into_send().map(Operation::Send),
            "ping" => Ok(Operation::Ping),
            "subscribe" => {
                let room = self.room()?;
                subscription(room, self.after_seq, self.after_rev).map(Operation::Subscribe)
            }
            "unsubscribe" => self.room().map(Operation::Unsubscribe),
            "history" => self.into_history().map(Operation::History),
            "hello" => self.into_hello().map(Operation::Hello),
            _ => Err(unknown_op()),
        }
    }

    fn room(&self) -> Result<RoomId, Refusal> {
        let Text(text) = self.room.as_ref().ok_or_else(|| missing("room"))?;
        text.parse().map_err(|_| Refusal::no_room())
    }

    fn into_hello(self) -> Result<Hello, Refusal> {
        let Text(token) = self.token.ok_or_else(|| missing("token"))?;
        let subscribe = match self.subscribe {
            None => Wish::All,
            Some(WishField::Word(word)) if word == "all" => Wish::All,
            Some(WishField::Word(_)) => {
                return Err(Refusal::invalid("subscribe", "must be \"all\" or a list of rooms"));
            }
            Some(WishField::Rooms(rooms)) => {
                Wish::Rooms(rooms.into_iter().map(wished_room).collect::<Result<_, _>>()?)
            }
        };
        Ok(Hello { token: token.into(), subscribe })
    }

    fn into_send(self) -> Result<Send, Refusal> {
        let room = self.room()?;
        let Text(client_id) = self.client_id.ok_or_else(|| missing("client_id"))?;
        let client_id = ClientId::new(&client_id)
            .ok_or_else(|| Refusal::invalid("client_id", "must have 1 to 64 bytes"))?;
        let Text(body) = self.body.ok_or_else(|| missing("body"))?;
        if self.reply_to.is_some() {
            return Err(not_offered("reply_to"));
        }
        if self.attachments.is_some() {
            return Err(not_offered("attachments"));
        }
        Ok(Send { room, client_id, body: body.into(), reply_to: None })
    }

    fn into_history(self) -> Result<History, Refusal> {
        let room = self.room()?;
        let range = range(self.before, self.after)?;
        Ok(History { room, range, limit: page_limit(self.limit)? })
    }
}

/// The answer to an operation this version does not know.
pub(super) fn unknown_op() -> Refusal {
    Refusal::new(ErrorCode::UnknownOp, "no such operation")
}

/// `before` and `after` as a range; both are `invalid`.
pub fn range(before: Option<u64>, after: Option<u64>) -> Result<Range, Refusal> {
    match (number("before", before)?, number("after", after)?) {
        (None, None) => Ok(Range::Newest),
        (Some(seq), None) => Ok(Range::Before(seq)),
        (None, Some(seq)) => Ok(Range::After(seq)),
        (Some(_), Some(_)) => Err(Refusal::invalid("before", "not together with after")),
    }
}

/// `limit` of a page; out of range is `invalid`.
pub fn page_limit(limit: Option<u64>) -> Result<u32, Refusal> {
    match limit {
        None => Ok(PAGE_DEFAULT),
        Some(limit) => u32::try_from(limit)
            .ok()
            .filter(|limit| (1..=PAGE_MAX).contains(limit))
            .ok_or_else(|| Refusal::invalid("limit", "must be 1 to 200")),
    }
}

fn wished_room(field: RoomField) -> Result<Result<Subscription, Box<str>>, Refusal> {
    match field.room.parse() {
        Ok(room) => subscription(room, field.after_seq, field.after_rev).map(Ok),
        Err(_) => Ok(Err(field.room.into())),
    }
}

/// Rooms have no changes yet, so any `after_rev` but 0 lies beyond their present.
fn subscription(
    room: RoomId,
    after_seq: Option<u64>,
    after_rev: Option<u64>,
) -> Result<Subscription, Refusal> {
    let after_seq = number("after_seq", after_seq)?;
    match after_rev {
        None => {}
        Some(_) if after_seq.is_none() => {
            return Err(Refusal::invalid("after_rev", "needs after_seq"));
        }
        Some(0) => {}
        Some(_) => return Err(Refusal::invalid("after_rev", "beyond the room's present")),
    }
    Ok(Subscription { room, after_seq })
}

fn number(field: &'static str, value: Option<u64>) -> Result<Option<u64>, Refusal> {
    match value {
        Some(value) if value >= NUMBER_END => {
            Err(Refusal::invalid(field, "must be an integer below 2^53"))
        }
        value => Ok(value),
    }
}

fn missing(field: &'static str) -> Refusal {
    Refusal::invalid(field, "missing")
}

fn not_offered(field: &'static str) -> Refusal {
    Refusal::invalid(field, "not offered by this version")
}
