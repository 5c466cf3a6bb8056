//! Users and their sessions.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};

/// The users, and who is logged in. Writes are durable when they return.
///
/// Secrets come in hashed and never leave in an error: passwords as PHC strings, tokens as
/// SHA-256.
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Adds users, each with its first session. All or none: the first whose username is taken
    /// is named and nothing is written.
    async fn create_users(&self, users: Vec<NewUser>) -> Result<CreatedUsers, StoreError>;

    /// The user that logs in under this folded username, with its password hash.
    async fn credentials(&self, username_folded: String)
    -> Result<Option<Credentials>, StoreError>;

    /// Profiles of those that exist, in the order asked, without repeats.
    async fn profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, StoreError>;

    /// Starts a session and remembers that its user logged in from `address`.
    async fn start_session(&self, session: NewSession) -> Result<(), StoreError>;

    /// The session of a token, if it is there and not expired at `now`. Slides its expiry to
    /// `now + lifetime_ms` when a day or more would be gained; that write is not waited for.
    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
        lifetime_ms: Millis,
    ) -> Result<Option<Session>, StoreError>;

    /// Ends a session; ending one that is not there changes nothing.
    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError>;

    /// When `user` last logged in from this address; `None`: never.
    async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, StoreError>;
}

/// SHA-256 of a bearer token.
pub type TokenHash = [u8; 32];

/// An address as limits count it: IPv4 mapped into IPv6, IPv6 cut to its /64.
pub type AddressKey = [u8; 16];

/// A user to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// Its id.
    pub user: UserId,
    /// The name as typed.
    pub username: String,
    /// The name after NFKC and case folding; unique.
    pub username_folded: String,
    /// The name shown.
    pub display_name: String,
    /// PHC string; `None`: cannot log in with a password.
    pub password_hash: Option<String>,
    /// Now.
    pub created_at: Millis,
    /// Its first session.
    pub session: NewSession,
}

/// A session to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    /// Its id.
    pub session: SessionId,
    /// Whose.
    pub user: UserId,
    /// What its token hashes to.
    pub token_hash: TokenHash,
    /// Now.
    pub created_at: Millis,
    /// When it ends unless used.
    pub expires_at: Millis,
    /// Where the login came from; `None`: made on the node itself.
    pub address: Option<AddressKey>,
}

/// What became of adding users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreatedUsers {
    /// All are there.
    All,
    /// `users[index]` has a name that is taken (by another of the same call, too); none is there.
    UsernameTaken {
        /// Which.
        index: usize,
    },
}

/// What a login is checked against.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Who.
    pub user: UserId,
    /// PHC string; `None`: cannot log in with a password.
    pub password_hash: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Which profiles.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProfileKeys {
    /// By id.
    Ids(Vec<UserId>),
    /// By folded username.
    Usernames(Vec<String>),
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The id.
    pub user: UserId,
    /// The name as typed at signup.
    pub username: String,
    /// The name shown.
    pub display_name: String,
}

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// When it ends unless used.
    pub expires_at: Millis,
}
