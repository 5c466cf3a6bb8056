//! Users as documents, with their sessions and logins.
//!
//! ```text
//! users  {_id: user, username, username_folded, display_name, password_hash?, created_at,
//!         external_id?, rev, sessions: [{session, token, created_at, expires_at}],
//!         logins: [{address, at}]}
//! ```
//!
//! One document holds all that a login changes, so that it is one write, complete in itself: no
//! transaction, which a dying node could leave open, with the user locked for up to a minute. Both
//! lists are bounded by the caller: `sessions_max` sessions, and the logins that are remembered.
//!
//! `rev` counts the writes that add or end sessions. Whoever adds one writes on the condition that
//! it is still what was read.

use crate::{
    accounts::{NewSession, NewUser, Profile, Session},
    mongodb::bytes::Bytes,
};
use madang_protocol::{Millis, SessionId, UserId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Serialize, Deserialize)]
pub(in crate::mongodb) struct UserDocument {
    #[serde(rename = "_id")]
    pub(in crate::mongodb) user: Bytes<15>,
    pub(in crate::mongodb) username: String,
    pub(in crate::mongodb) username_folded: String,
    pub(in crate::mongodb) display_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mongodb) password_hash: Option<String>,
    pub(in crate::mongodb) created_at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::mongodb) external_id: Option<String>,
    pub(in crate::mongodb) rev: u64,
    pub(in crate::mongodb) sessions: Vec<SessionPart>,
    pub(in crate::mongodb) logins: Vec<LoginPart>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct SessionPart {
    pub(in crate::mongodb) session: Bytes<15>,
    /// What its token hashes to.
    pub(in crate::mongodb) token: Bytes<32>,
    pub(in crate::mongodb) created_at: Millis,
    #[serde(serialize_with = "write_end", deserialize_with = "read_end")]
    pub(in crate::mongodb) expires_at: Millis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::mongodb) struct LoginPart {
    pub(in crate::mongodb) address: Bytes<16>,
    pub(in crate::mongodb) at: Millis,
}

impl UserDocument {
    /// A user with its first session.
    pub(super) fn new(new: &NewUser, external_id: Option<String>) -> Self {
        let NewSession { address, created_at: at, .. } = new.session;
        Self {
            user: Bytes(new.user.0),
            username: new.username.clone(),
            username_folded: new.username_folded.clone(),
            display_name: new.display_name.clone(),
            password_hash: new.password_hash.clone(),
            created_at: new.created_at,
            external_id,
            rev: 0,
            sessions: vec![SessionPart::new(&new.session)],
            logins: address
                .map(|address| LoginPart { address: Bytes(address), at })
                .into_iter()
                .collect(),
        }
    }
}

impl SessionPart {
    pub(super) fn new(new: &NewSession) -> Self {
        Self {
            session: Bytes(new.session.0),
            token: Bytes(new.token_hash),
            created_at: new.created_at,
            expires_at: new.expires_at,
        }
    }

    pub(super) fn id(&self) -> SessionId {
        SessionId(self.session.0)
    }
}

/// What a login looks at.
#[derive(Deserialize)]
pub(super) struct Account {
    #[serde(rename = "_id")]
    user: Bytes<15>,
    pub(super) rev: u64,
    pub(super) sessions: Vec<SessionPart>,
    pub(super) logins: Vec<LoginPart>,
}

impl Account {
    pub(super) fn user(&self) -> UserId {
        UserId(self.user.0)
    }
}

/// A user with some of their sessions.
#[derive(Deserialize)]
pub(super) struct Holder {
    #[serde(rename = "_id")]
    user: Bytes<15>,
    #[serde(default)]
    pub(super) sessions: Vec<SessionPart>,
}

impl Holder {
    pub(super) fn sessions(&self) -> impl Iterator<Item = Session> + '_ {
        self.sessions.iter().map(|part| Session {
            session: part.id(),
            user: UserId(self.user.0),
            expires_at: part.expires_at,
        })
    }
}

/// A user as others see them, under the name it is looked up by.
#[derive(Deserialize)]
pub(super) struct ProfileDocument {
    #[serde(rename = "_id")]
    user: Bytes<15>,
    username: String,
    pub(super) username_folded: String,
    display_name: String,
}

impl ProfileDocument {
    pub(super) fn user(&self) -> UserId {
        UserId(self.user.0)
    }
}

impl From<ProfileDocument> for Profile {
    fn from(found: ProfileDocument) -> Self {
        let ProfileDocument { user, username, display_name, .. } = found;
        Self { user: UserId(user.0), username, display_name }
    }
}

/// What BSON takes: beyond its numbers a session never ends.
pub(super) fn end(expires_at: Millis) -> i64 {
    i64::try_from(expires_at).unwrap_or(i64::MAX)
}

fn write_end<S: Serializer>(expires_at: &Millis, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(end(*expires_at))
}

fn read_end<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
    Ok(match i64::deserialize(deserializer)? {
        i64::MAX => Millis::MAX,
        expires_at => u64::try_from(expires_at).unwrap_or(0),
    })
}
