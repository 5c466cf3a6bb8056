//! A client frame as the map it is, and how an operation is made of its fields. Codecs differ in
//! how they read the map; what it means is decided here, once.

use super::DecodeError;
use crate::{
    ClientId, Emoji, ErrorCode, Operation, Refusal, Request, RoomId,
    limits::{NUMBER_END, PAGE_DEFAULT, PAGE_MAX, SIGNAL_BYTES_MAX},
    operation::{
        Edit, Hello, History, Range, React, Send, Signal, Subscription, Target, Typing, Wish,
    },
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
    reply_to: Option<u64>,
    attachments: Option<IgnoredAny>,
    seq: Option<u64>,
    if_rev: Option<u64>,
    #[serde(borrow)]
    emoji: Option<Text<'a>>,
    on: Option<bool>,
    #[serde(borrow)]
    data: Option<Text<'a>>,
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
        "edit" => &["room", "seq", "body", "if_rev"],
        "delete" | "read" => &["room", "seq"],
        "react" => &["room", "seq", "emoji", "on"],
        "typing" => &["room", "on"],
        "signal" => &["room", "data"],
        "presence" => &["room"],
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
            "edit" => self.into_edit().map(Operation::Edit),
            "delete" => self.target().map(Operation::Delete),
            "react" => self.into_react().map(Operation::React),
            "read" => self.target().map(Operation::Read),
            "typing" => {
                let (room, on) = (self.room()?, self.on()?);
                Ok(Operation::Typing(Typing { room, on }))
            }
            "signal" => self.into_signal().map(Operation::Signal),
            "presence" => self.room().map(Operation::Presence),
            "history" => self.into_history().map(Operation::History),
            "hello" => self.into_hello().map(Operation::Hello),
            _ => Err(unknown_op()),
        }
    }

    fn room(&self) -> Result<RoomId, Refusal> {
        let Text(text) = self.room.as_ref().ok_or_else(|| missing("room"))?;
        text.parse().map_err(|_| Refusal::no_room())
    }

    fn target(&self) -> Result<Target, Refusal> {
        let room = self.room()?;
        let seq = number("seq", self.seq)?.ok_or_else(|| missing("seq"))?;
        Ok(Target { room, seq })
    }

    fn on(&self) -> Result<bool, Refusal> {
        self.on.ok_or_else(|| missing("on"))
    }

    fn into_edit(self) -> Result<Edit, Refusal> {
        let target = self.target()?;
        let if_rev = number("if_rev", self.if_rev)?;
        let Text(body) = self.body.ok_or_else(|| missing("body"))?;
        Ok(Edit { target, body: body.into(), if_rev })
    }

    fn into_react(self) -> Result<React, Refusal> {
        let (target, on) = (self.target()?, self.on()?);
        let Text(emoji) = self.emoji.ok_or_else(|| missing("emoji"))?;
        let emoji = Emoji::new(&emoji).ok_or_else(|| {
            Refusal::invalid("emoji", "must have 1 to 32 bytes and no control characters")
        })?;
        Ok(React { target, emoji, on })
    }

    fn into_signal(self) -> Result<Signal, Refusal> {
        let room = self.room()?;
        let Text(data) = self.data.ok_or_else(|| missing("data"))?;
        if data.len() > SIGNAL_BYTES_MAX {
            let refusal = Refusal::new(ErrorCode::TooLarge, "must be at most 1024 bytes long");
            return Err(Refusal { field: Some("data".into()), ..refusal });
        }
        Ok(Signal { room, data: data.into() })
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
        if self.attachments.is_some() {
            return Err(not_offered("attachments"));
        }
        let reply_to = number("reply_to", self.reply_to)?;
        Ok(Send { room, client_id, body: body.into(), reply_to })
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

fn subscription(
    room: RoomId,
    after_seq: Option<u64>,
    after_rev: Option<u64>,
) -> Result<Subscription, Refusal> {
    let after_seq = number("after_seq", after_seq)?;
    let after_rev = number("after_rev", after_rev)?;
    if after_rev.is_some() && after_seq.is_none() {
        return Err(Refusal::invalid("after_rev", "needs after_seq"));
    }
    Ok(Subscription { room, after_seq, after_rev })
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
