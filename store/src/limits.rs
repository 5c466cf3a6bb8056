//! Who may try to log in or sign up now.

mod in_process;

pub use in_process::InProcess;

use crate::accounts::AddressKey;
use async_trait::async_trait;
use madang_protocol::Millis;

/// Counts logins and signups by address, and wrong passwords by account. Each call is atomic.
///
/// An embedded node counts in memory; counts do not survive a restart.
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
