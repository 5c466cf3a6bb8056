//! A message on the bus. The room is that of the batch.

use super::{NotAPublication, WireId};
use madang_protocol::{Amended, ClientId, Emoji, Message, Millis, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
pub(super) struct WireMessage<'a> {
    seq: u64,
    ts: Millis,
    sender: WireId,
    client_id: Cow<'a, str>,
    body: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    amended: Option<WireAmended<'a>>,
}

#[derive(Serialize, Deserialize)]
struct WireAmended<'a> {
    rev: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_at: Option<Millis>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<(Cow<'a, str>, u64)>,
}

impl<'a> From<&'a Message> for WireMessage<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            seq: message.seq,
            ts: message.ts,
            sender: WireId(message.sender.0),
            client_id: message.client_id.as_str().into(),
            body: message.body.as_ref().into(),
            reply_to: message.reply_to,
            amended: message.amended.as_deref().map(WireAmended::from),
        }
    }
}

impl<'a> From<&'a Amended> for WireAmended<'a> {
    fn from(amended: &'a Amended) -> Self {
        let reaction = |(emoji, count): &'a (Emoji, u64)| (emoji.as_str().into(), *count);
        Self {
            rev: amended.rev,
            edited_at: amended.edited_at,
            deleted: amended.deleted,
            reactions: amended.reactions.iter().map(reaction).collect(),
        }
    }
}

impl WireMessage<'_> {
    pub(super) fn read(self, room: RoomId) -> Result<Message, NotAPublication> {
        Ok(Message {
            room,
            seq: self.seq,
            ts: self.ts,
            sender: UserId(self.sender.0),
            client_id: ClientId::new(&self.client_id).ok_or(NotAPublication)?,
            body: self.body.into_owned().into(),
            reply_to: self.reply_to,
            amended: self.amended.map(WireAmended::read).transpose()?.map(Box::new),
        })
    }
}

impl WireAmended<'_> {
    fn read(self) -> Result<Amended, NotAPublication> {
        let reaction =
            |(emoji, count): (Cow<'_, str>, u64)| Emoji::new(&emoji).map(|emoji| (emoji, count));
        let reactions: Option<Vec<_>> = self.reactions.into_iter().map(reaction).collect();
        Ok(Amended {
            rev: self.rev,
            edited_at: self.edited_at,
            deleted: self.deleted,
            reactions: reactions.ok_or(NotAPublication)?,
        })
    }
}
