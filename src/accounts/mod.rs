//! Users and their sessions: signup, login, logout, what users change about themselves, users of a
//! product with accounts of its own, and who a token speaks for.
//!
//! Everything that costs much is bounded before it begins: addresses are counted, passwords wait
//! in a bounded queue for threads of low priority, store calls have a deadline. Nothing tells a
//! stranger whether a username exists, except trying to sign up with it.
//!
//! Passwords and tokens are in no error, no log line and no `Debug`.

mod api_keys;
mod bearer;
mod change;
mod external;
mod hasher;
mod login;
pub mod password;
pub mod rules;
mod signup;
pub mod token;
mod turns;
pub mod username;

pub use bearer::BearerTokens;
pub use external::ExternalUser;
pub use hasher::Hasher;
pub use signup::Signup;

use crate::{config::Settings, metrics::Metrics, store_call::within};
use api_keys::ApiKeys;
use madang_actors::{Reader, Router, kernel::Clock};
use madang_protocol::{CloseCode, ErrorCode, Millis, Refusal, SessionId, UserId};
use madang_store::{
    AccountStore, LoginLimits, StoreError,
    accounts::{AddressKey, NewSession, Profile, ProfileKeys, Session, TokenHash, Touch},
    cache::{Forget, TokenKey},
    limits::Rules,
};
use std::{sync::Arc, time::Duration};
use token::Token;
use turns::{Turn, Turns};

/// Sessions of one user; beyond, those end that were unused for longest. Far more than anybody has
/// devices, and few enough for every login to look through.
const SESSIONS_MAX: usize = 1_000;

/// What the accounts of a node are made of.
pub struct Parts {
    /// Writes go here.
    pub store: Arc<dyn AccountStore>,
    /// Reads go here.
    pub reader: Reader,
    /// Sockets of an ended session are closed here.
    pub router: Router,
    /// Who may try now.
    pub limits: Arc<dyn LoginLimits>,
    /// Hashes passwords.
    pub hasher: Hasher,
    /// Counts outcomes.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
}

/// The account services of one node; shared by its edge threads.
pub struct Accounts {
    parts: Parts,
    turns: Turns,
    api_keys: ApiKeys,
    signup_open: bool,
    session_lifetime_ms: Millis,
    /// A session that ends earlier than that from now on is not left to the next flush.
    near_end_ms: Millis,
    /// Sessions of one user.
    sessions_max: usize,
    /// How long a write waits for the store.
    write_wait: Duration,
    /// How long a login waits for others of the same account.
    turn_wait: Duration,
}

/// A session just started, with its token: the only time that it is shown.
#[derive(Debug, Clone)]
pub struct Started {
    /// Whose.
    pub user: UserId,
    /// The bearer token.
    pub token: Token,
    /// When the session ends unless used.
    pub expires_at: Millis,
}

impl Accounts {
    /// The services, under these settings.
    pub fn new(parts: Parts, settings: &Settings) -> Self {
        Self {
            parts,
            turns: Turns::new(settings.hash_queue + settings.hash_thread_count()),
            api_keys: ApiKeys::new(settings.api_keys.reveal()),
            signup_open: settings.signup,
            session_lifetime_ms: settings.session_lifetime_ms(),
            near_end_ms: settings
                .last_seen_flush()
                .map_or(0, |_| settings.session_lifetime_ms() / 2),
            sessions_max: if settings.single_session { 1 } else { SESSIONS_MAX },
            write_wait: settings.send_wait(),
            turn_wait: settings.read_wait(),
        }
    }

    /// The session a bearer token speaks for, or `unauthenticated`. This is use, which moves its
    /// end.
    pub async fn authenticate(&self, token: &str) -> Result<Session, Refusal> {
        let Some(hash) = token::hash_of(token) else { return Err(unauthenticated()) };
        let now = self.parts.clock.now();
        let session = self.parts.reader.session(hash, now).await?.ok_or_else(unauthenticated)?;
        if session.expires_at.saturating_sub(now) < self.near_end_ms {
            self.touch_at_once(session, hash, now);
        }
        Ok(session)
    }

    /// The reader has noted the use for the next flush. A session that comes back late in its life
    /// could end before that, and would with a crash. Nobody waits for the write. A copy that ends
    /// soon would have it written with each use.
    fn touch_at_once(&self, session: Session, hash: TokenHash, now: Millis) {
        let Session { user, session, .. } = session;
        let (store, router) = (self.parts.store.clone(), self.parts.router.clone());
        let touch = Touch { user, session, expires_at: now + self.session_lifetime_ms };
        tokio::spawn(async move {
            match store.touch_sessions(vec![touch]).await {
                Ok(()) => forget_token(&router, hash).await,
                Err(error) => tracing::warn!(%error, "the end of a session was not moved"),
            }
        });
    }

    /// How others see the user of a session.
    pub async fn profile(&self, user: UserId) -> Result<Profile, Refusal> {
        let mut found = self.parts.reader.profiles(ProfileKeys::Ids(vec![user])).await?;
        found.pop().ok_or_else(unauthenticated)
    }

    /// Ends the session of a token; its sockets close with 4001.
    pub async fn logout(&self, token: &str) -> Result<(), Refusal> {
        let session = self.authenticate(token).await?.session;
        let hash = token::hash_of(token).ok_or_else(unauthenticated)?;
        let store = self.parts.store.clone();
        let end = async move { store.end_session(hash).await.map(|()| ((), vec![session])) };
        self.ending(CloseCode::Unauthenticated, end).await?;
        forget_token(&self.parts.router, hash).await;
        Ok(())
    }

    /// Stores a session; the sockets of those that must end for it close with 4009.
    async fn start_session(&self, session: NewSession, turn: Turn) -> Result<(), Refusal> {
        let (store, sessions_max) = (self.parts.store.clone(), self.sessions_max);
        let start = async move {
            let _turn = turn;
            store.start_session(session, sessions_max).await.map(|ended| ((), ended))
        };
        self.ending(CloseCode::Replaced, start).await
    }

    /// Awaits a write that ends sessions, and closes their sockets with `code`: in a task of its own,
    /// because whoever hangs up, or waits no longer, takes back neither. What the write holds it
    /// holds to its end.
    async fn ending<T: Send + 'static>(
        &self,
        code: CloseCode,
        write: impl Future<Output = Result<(T, Vec<SessionId>), StoreError>> + Send + 'static,
    ) -> Result<T, Refusal> {
        let router = self.parts.router.clone();
        let task = tokio::spawn(async move {
            let (answer, ended) = write.await?;
            router.end_sessions(ended, code);
            Ok(answer)
        });
        let answer = async {
            task.await.unwrap_or_else(|error| Err(StoreError::Unknown(error.to_string())))
        };
        within(self.write_wait, answer).await
    }

    /// A session that is not stored yet, and what its owner gets.
    fn new_session(
        &self,
        user: UserId,
        address: Option<AddressKey>,
    ) -> Result<(NewSession, Started), Refusal> {
        let (token, created_at) = (Token::generate()?, self.parts.clock.now());
        let lifetime_ms = self.session_lifetime_ms;
        let session = session_of(user, token.hash(), created_at, lifetime_ms, address)?;
        let started = Started { user, token, expires_at: session.expires_at };
        Ok((session, started))
    }
}

/// Copies of the session of this token are not true any more.
async fn forget_token(router: &Router, hash: TokenHash) {
    let forget = Forget { tokens: vec![TokenKey(hash)], ..Forget::default() };
    router.forget_copies(&forget).await;
}

/// A session to be stored, with a new id.
pub fn session_of(
    user: UserId,
    token_hash: TokenHash,
    created_at: Millis,
    lifetime_ms: Millis,
    address: Option<AddressKey>,
) -> Result<NewSession, Refusal> {
    let session = SessionId(token::random_id()?);
    let expires_at = created_at + lifetime_ms;
    Ok(NewSession { session, user, token_hash, created_at, expires_at, address })
}

/// The settings as the login limits take them.
pub fn login_rules(settings: &Settings) -> Rules {
    // A block of no time is no block.
    let blocks = settings.login_block_seconds > 0;
    Rules {
        logins_per_minute: if blocks { settings.logins_per_minute } else { 0 },
        login_block_ms: settings.login_block_seconds * 1_000,
        signups_per_minute: settings.signups_per_minute,
    }
}

/// The answer to a token that is missing, unknown, ended or expired.
pub fn unauthenticated() -> Refusal {
    Refusal::new(ErrorCode::Unauthenticated, "a valid token is needed")
}
