//! Users and their sessions.

use crate::StoreError;
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};
use serde::{Deserialize, Serialize};

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
    ///
    /// In the same write the user's expired sessions are cleared away, and of the others those
    /// end that expire first, until the user has `sessions_max` with the new one (0 counts as 1).
    /// Returns which had to end, not those that had expired.
    async fn start_session(
        &self,
        session: NewSession,
        sessions_max: usize,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Starts a session of the user of an external id, who is made if there is none: all in one
    /// write, so that of many at once one makes the user and the others find it.
    async fn start_external_session(
        &self,
        login: ExternalLogin,
        sessions_max: usize,
    ) -> Result<ExternalStarted, StoreError>;

    /// The session of a token, if it is there and not expired at `now`.
    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, StoreError>;

    /// Which of these sessions are not there, or expired at `now`, in the order asked. One read
    /// however many. Whoever removes a user ends the sessions too, so that this is all to ask.
    async fn ended_sessions(
        &self,
        sessions: Vec<(UserId, SessionId)>,
        now: Millis,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Moves the ends of sessions, all in one bulk write. Never back; sessions that are not there
    /// are passed over.
    async fn touch_sessions(&self, touches: Vec<Touch>) -> Result<(), StoreError>;

    /// Ends a session; ending one that is not there changes nothing.
    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError>;

    /// Gives the user of the session `keep` another password and ends all their other sessions,
    /// in one write; returns which. `None`: that session is not there, and nothing is changed.
    async fn set_password(
        &self,
        keep: TokenHash,
        password_hash: String,
    ) -> Result<Option<Vec<SessionId>>, StoreError>;

    /// Gives a user another name to be shown; returns the profile with it. `None`: no such user.
    async fn set_display_name(
        &self,
        user: UserId,
        display_name: String,
    ) -> Result<Option<Profile>, StoreError>;

    /// When `user` last logged in from this address; `None`: never, or forgotten. Remembered are
    /// the latest [`LOGINS_REMEMBERED_MAX`] addresses of a user, and each for at least
    /// [`LOGIN_REMEMBERED_MS`] unless there are more.
    async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, StoreError>;
}

/// How long a login is remembered: 90 days.
pub const LOGIN_REMEMBERED_MS: Millis = 90 * 24 * 60 * 60 * 1_000;
/// Addresses remembered of one user; a phone that wanders between networks has a new one a day.
pub const LOGINS_REMEMBERED_MAX: usize = 100;

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

/// A session to be started by a product that knows the user under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalLogin {
    /// The product's name for the user, compared byte for byte.
    pub external_id: String,
    /// The user to be made if there is none. One who is there gets only its session.
    pub user: NewUser,
    /// The new display name of one who is there; `None`: it stays.
    pub display_name: Option<String>,
}

/// What became of an [`ExternalLogin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalStarted {
    /// The user was there.
    Found {
        /// Who.
        user: UserId,
        /// The sessions that had to end; see [`AccountStore::start_session`].
        ended: Vec<SessionId>,
    },
    /// The user was made.
    Made,
    /// There is no such user, and another has the username; nothing is written.
    UsernameTaken,
}

/// A session that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub session: SessionId,
    /// When it ends from now on.
    pub expires_at: Millis,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The id.
    pub user: UserId,
    /// The name as typed at signup.
    pub username: String,
    /// The name shown.
    pub display_name: String,
}

/// Who a token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session.
    pub session: SessionId,
    /// Its user.
    pub user: UserId,
    /// When it ends unless used.
    pub expires_at: Millis,
}
