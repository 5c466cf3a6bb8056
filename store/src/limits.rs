//! Who may try to log in or sign up now.

mod fallback;
mod in_process;

pub use fallback::Fallback;
pub use in_process::InProcess;

use crate::{StoreError, accounts::AddressKey};
use async_trait::async_trait;
use madang_protocol::Millis;

/// What the rules count within.
pub(crate) const MINUTE_MS: Millis = 60_000;
/// Wrong passwords of one account that cost nothing.
const WRONG_FREE: u32 = 4;
/// The first delay after those, and the longest.
const DELAY_FIRST_MS: Millis = 1_000;
const DELAY_LONGEST_MS: Millis = 60_000;

/// Counts logins and signups by address, and wrong passwords by account. Each call is atomic.
///
/// An embedded node counts in memory; counts do not survive a restart. The nodes of a cluster count
/// together where they can, see [`Fallback`].
#[async_trait]
pub trait LoginLimits: Send + Sync + 'static {
    /// Counts one login from `address`. More than `rules.logins_per_minute` within a minute
    /// block the address for `rules.login_block`.
    async fn count_login(&self, address: AddressKey, now: Millis) -> Verdict;

    /// How long `address` is blocked still. Counts nothing.
    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Verdict;

    /// Counts one signup from `address`: `rules.signups_per_minute` within a minute.
    async fn count_signup(&self, address: AddressKey, now: Millis) -> Verdict;

    /// May a password of `account` (a folded username) be tried now? After 4 wrong ones the next
    /// waits, doubling from 1 s to 60 s.
    async fn may_try(&self, account: &str, now: Millis) -> Verdict;

    /// Counts a wrong password of `account`.
    async fn count_wrong(&self, account: &str, now: Millis);

    /// A right password forgets the wrong ones.
    async fn forget_wrong(&self, account: &str);
}

/// The settings of [`LoginLimits`]; 0 = off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Logins from one address within a minute.
    pub logins_per_minute: u32,
    /// How long an address is blocked that exceeded it.
    pub login_block_ms: Millis,
    /// Signups from one address within a minute.
    pub signups_per_minute: u32,
}

/// An answer of [`LoginLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Allowed,
    /// Not before this many milliseconds have passed.
    Wait(Millis),
}

/// [`LoginLimits`] that may be away: each call as there, or no answer.
#[async_trait]
pub trait SharedLimits: Send + Sync + 'static {
    /// See [`LoginLimits::count_login`].
    async fn count_login(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError>;

    /// See [`LoginLimits::is_blocked`].
    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError>;

    /// See [`LoginLimits::count_signup`].
    async fn count_signup(&self, address: AddressKey, now: Millis) -> Result<Verdict, StoreError>;

    /// See [`LoginLimits::may_try`].
    async fn may_try(&self, account: &str, now: Millis) -> Result<Verdict, StoreError>;

    /// See [`LoginLimits::count_wrong`].
    async fn count_wrong(&self, account: &str, now: Millis) -> Result<(), StoreError>;

    /// See [`LoginLimits::forget_wrong`].
    async fn forget_wrong(&self, account: &str) -> Result<(), StoreError>;
}

/// How long the next try waits after so many wrong ones.
pub(crate) fn delay_ms(wrong: u32) -> Millis {
    match wrong.checked_sub(WRONG_FREE) {
        None => 0,
        Some(doublings) => (DELAY_FIRST_MS << doublings.min(16)).min(DELAY_LONGEST_MS),
    }
}
