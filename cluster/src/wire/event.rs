//! Events and ephemerals on the bus: of the fields of each, one is there.

use super::{NotAPublication, WireId, message::WireMessage};
use madang_protocol::{Ephemeral, Event, MemberChange, MemberEvent, Role, RoomId, UserId};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, sync::Arc};

#[derive(Default, Serialize, Deserialize)]
pub(super) struct WireEvent<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<WireMessage<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed: Option<WireMessage<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<WireMember<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    renamed: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct WireMember<'a> {
    user: WireId,
    change: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    role: Option<Cow<'a, str>>,
}

const CHANGES: [(MemberChange, &str); 4] = [
    (MemberChange::Joined, "joined"),
    (MemberChange::Left, "left"),
    (MemberChange::Removed, "removed"),
    (MemberChange::Role, "role"),
];

const ROLES: [(Role, &str); 3] =
    [(Role::Member, "member"), (Role::Admin, "admin"), (Role::Owner, "owner")];

fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: &T) -> Cow<'static, str> {
    let named = names.iter().find(|(known, _)| known == value);
    named.map_or("", |(_, name)| name).into()
}

fn named<T: Copy>(names: &[(T, &'static str)], name: &str) -> Option<T> {
    names.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
}

impl<'a> From<&'a Event> for WireEvent<'a> {
    fn from(event: &'a Event) -> Self {
        let none = Self::default();
        match event {
            Event::Message(message) => Self { message: Some((&**message).into()), ..none },
            Event::Changed(message) => Self { changed: Some((&**message).into()), ..none },
            Event::Member(member) => Self { member: Some(member.into()), ..none },
            Event::Renamed(name) => Self { renamed: Some(name.as_ref().into()), ..none },
        }
    }
}

impl From<&MemberEvent> for WireMember<'_> {
    fn from(member: &MemberEvent) -> Self {
        Self {
            user: WireId(member.user.0),
            change: name_of(&CHANGES, &member.change),
            role: member.role.map(|role| name_of(&ROLES, &role)),
        }
    }
}

impl WireEvent<'_> {
    /// `None`: nothing that is known here.
    pub(super) fn read(self, room: RoomId) -> Result<Option<Event>, NotAPublication> {
        Ok(if let Some(message) = self.message {
            Some(Event::Message(Arc::new(message.read(room)?)))
        } else if let Some(message) = self.changed {
            Some(Event::Changed(Arc::new(message.read(room)?)))
        } else if let Some(member) = self.member {
            member.read().map(Event::Member)
        } else {
            self.renamed.map(|name| Event::Renamed(name.into_owned().into()))
        })
    }
}

impl WireMember<'_> {
    fn read(self) -> Option<MemberEvent> {
        let role = match self.role {
            Some(role) => Some(named(&ROLES, &role)?),
            None => None,
        };
        Some(MemberEvent {
            user: UserId(self.user.0),
            change: named(&CHANGES, &self.change)?,
            role,
        })
    }
}

#[derive(Default, Serialize, Deserialize)]
pub(super) struct WireEphemeral<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<WireSignal<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    typing: Option<WireTyping>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reads: Option<Vec<(WireId, u64)>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    presence: Option<WirePresence>,
}

#[derive(Serialize, Deserialize)]
struct WireSignal<'a> {
    sender: WireId,
    data: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct WireTyping {
    user: WireId,
    on: bool,
}

#[derive(Serialize, Deserialize)]
struct WirePresence {
    online: Vec<WireId>,
    offline: Vec<WireId>,
}

impl<'a> From<&'a Ephemeral> for WireEphemeral<'a> {
    fn from(ephemeral: &'a Ephemeral) -> Self {
        let none = Self::default();
        match ephemeral {
            Ephemeral::Signal { sender, data } => {
                let signal = WireSignal { sender: WireId(sender.0), data: data.as_ref().into() };
                Self { signal: Some(signal), ..none }
            }
            Ephemeral::Typing { user, on } => {
                Self { typing: Some(WireTyping { user: WireId(user.0), on: *on }), ..none }
            }
            Ephemeral::Reads(reads) => {
                let reads = reads.iter().map(|(user, seq)| (WireId(user.0), *seq)).collect();
                Self { reads: Some(reads), ..none }
            }
            Ephemeral::Presence { online, offline } => {
                let presence = WirePresence { online: written(online), offline: written(offline) };
                Self { presence: Some(presence), ..none }
            }
        }
    }
}

impl WireEphemeral<'_> {
    /// `None`: nothing that is known here.
    pub(super) fn read(self) -> Option<Ephemeral> {
        if let Some(WireSignal { sender, data }) = self.signal {
            let data = data.into_owned().into();
            return Some(Ephemeral::Signal { sender: UserId(sender.0), data });
        }
        if let Some(WireTyping { user, on }) = self.typing {
            return Some(Ephemeral::Typing { user: UserId(user.0), on });
        }
        if let Some(reads) = self.reads {
            let reads = reads.into_iter().map(|(user, seq)| (UserId(user.0), seq)).collect();
            return Some(Ephemeral::Reads(reads));
        }
        let WirePresence { online, offline } = self.presence?;
        Some(Ephemeral::Presence { online: read(online), offline: read(offline) })
    }
}

fn written(users: &[UserId]) -> Vec<WireId> {
    users.iter().map(|user| WireId(user.0)).collect()
}

fn read(users: Vec<WireId>) -> Vec<UserId> {
    users.into_iter().map(|user| UserId(user.0)).collect()
}
