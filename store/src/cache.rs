//! Copies of what nodes ask the store for again and again.
//!
//! A cache is looked at beside the store ([`LookAside`]): what it lacks is read there and put in. It
//! is never written to by whoever changes something; they have it forgotten. Nothing is in it for
//! longer than [`TTL`], so what was changed unnoticed is true again within a minute.
//!
//! | forget | when, behind the commit |
//! |---|---|
//! | `sessions`, and the token where it is known | they were ended: logout, a new password, one session too many |
//! | `profiles` | a display name was set, also of an external user |
//! | `members`: each (room, user) concerned | left, removed, banned, got a role (ownership: both); there are no copies of who is no member |
//!
//! Whoever commits the change forgets at once, on its own node and in the shared cache, and tells the
//! others by a notice that holds the [`Forget`]: they believe no copy for a minute, longer than any
//! lives. A node that may have missed notices believes none at all for that time. What may never be
//! stale, as a home's look at the members before a commit, does not go through a cache at all. A room's kind
//! and privacy never change; its name and numbers are in no cache.

mod in_process;
mod look_aside;
mod marks;
mod nothing;
mod readers;

pub use in_process::InProcess;
pub use look_aside::LookAside;
pub use nothing::Nothing;
pub use readers::Readers;

use crate::{
    StoreError,
    accounts::{Profile, Session, TokenHash},
    rooms::Access,
};
use async_trait::async_trait;
use madang_protocol::{Role, RoomId, RoomKind, SessionId, UserId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{fmt::Debug, hash::Hash, sync::Arc, time::Duration};

/// How long a copy stays. With [`LOAD_LONGEST`] before it, a minute at most since it was true.
pub const TTL: Duration = Duration::from_secs(50);
/// What took longer to read is not put in.
pub const LOAD_LONGEST: Duration = Duration::from_secs(5);
/// How long nothing is put in for a key that was forgotten: a read that was begun before is over
/// by then, or too late.
pub const FORGOTTEN: Duration = Duration::from_secs(10);

/// Copies of one kind, that any node may look at.
#[async_trait]
pub trait Cache<K: Key>: Send + Sync + 'static {
    /// The copies there are, in the order asked. Of a key that was just forgotten there is none.
    async fn get(&self, keys: &[K]) -> Result<Vec<Option<K::Value>>, StoreError>;

    /// Puts copies in, each for `ttl`. Never in place of one that is there, nor for a key that was
    /// forgotten within [`FORGOTTEN`]: a copy that was read before must not come after.
    async fn put(&self, copies: Vec<(K, K::Value)>, ttl: Duration) -> Result<(), StoreError>;

    /// Takes copies out, and keeps new ones out for [`FORGOTTEN`].
    async fn forget(&self, keys: &[K]) -> Result<(), StoreError>;
}

/// What a copy is of.
pub trait Key: Clone + Eq + Hash + Debug + Send + Sync + 'static {
    /// The copy.
    type Value: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static;
    /// A short word that tells the kinds apart.
    const KIND: &'static str;

    /// Different for different keys.
    fn bytes(&self) -> Vec<u8>;
}

/// The session of a token, by what the token hashes to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenKey(pub TokenHash);

/// A hash is no secret, and no use to anybody in a log either.
impl Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

/// What a user is in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MemberKey {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub user: UserId,
}

/// What of an [`Access`] changes seldom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The room's kind.
    pub kind: RoomKind,
    /// Hidden from others.
    pub private: bool,
    /// The user's role; `None`: not a member.
    pub role: Option<Role>,
}

impl From<Access> for Membership {
    fn from(Access { kind, private, role, .. }: Access) -> Self {
        Self { kind, private, role }
    }
}

impl Key for TokenKey {
    type Value = Session;
    const KIND: &'static str = "session";

    fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Key for UserId {
    type Value = Profile;
    const KIND: &'static str = "profile";

    fn bytes(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl Key for MemberKey {
    type Value = Membership;
    const KIND: &'static str = "member";

    fn bytes(&self) -> Vec<u8> {
        [self.room.0, self.user.0].concat()
    }
}

/// The caches of a node. Cloning shares them.
#[derive(Clone)]
pub struct Caches {
    /// Sessions by token.
    pub sessions: Arc<dyn Cache<TokenKey>>,
    /// Profiles by user.
    pub profiles: Arc<dyn Cache<UserId>>,
    /// Memberships.
    pub members: Arc<dyn Cache<MemberKey>>,
}

/// What is not true any more. Nodes tell it to each other, so fields are added at the end, with a
/// default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forget {
    /// These have ended.
    #[serde(default)]
    pub sessions: Vec<SessionId>,
    /// These look different.
    #[serde(default)]
    pub profiles: Vec<UserId>,
    /// These are members, or are none, or in another role.
    #[serde(default)]
    pub members: Vec<MemberKey>,
    /// The tokens of sessions that have ended, where they are known. Not told to others: the caches
    /// are shared.
    #[serde(skip)]
    pub tokens: Vec<TokenKey>,
}
