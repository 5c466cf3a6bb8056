//! [`LoginLimits`] in the memory of one node.

use super::{LoginLimits, MINUTE_MS, Rules, Verdict, delay_ms};
use crate::{accounts::AddressKey, recent::Recent};
use async_trait::async_trait;
use madang_protocol::Millis;
use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Addresses, and accounts, remembered at most. Past it the least recently seen half is forgotten:
/// to make a node forget one address takes half as many others.
const REMEMBERED_MAX: usize = 65_536;

/// Counts in memory; a restart forgets.
///
/// Windows slide: "within a minute" is the minute before the call. A blocked address stays blocked
/// for its time, whatever it tries meanwhile, and then begins anew. An account is never blocked,
/// only slowed, since anyone can type its name.
pub struct InProcess {
    rules: Rules,
    counts: Mutex<Counts>,
}

struct Counts {
    logins: Recent<AddressKey, Address>,
    signups: Recent<AddressKey, Window>,
    wrong: Recent<String, Wrong>,
}

/// An address that logs in.
#[derive(Default)]
struct Address {
    window: Window,
    /// Blocked before this time.
    blocked_until: Millis,
}

/// An account whose password was wrong.
#[derive(Default)]
struct Wrong {
    /// How often since the last right one.
    count: u32,
    /// The last time.
    at: Millis,
}

impl InProcess {
    /// Nothing counted yet.
    pub fn new(rules: Rules) -> Self {
        Self::remembering(rules, REMEMBERED_MAX)
    }

    fn remembering(rules: Rules, remembered_max: usize) -> Self {
        let counts = Counts {
            logins: Recent::new(remembered_max),
            signups: Recent::new(remembered_max),
            wrong: Recent::new(remembered_max),
        };
        Self { rules, counts: Mutex::new(counts) }
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LoginLimits for InProcess {
    async fn count_login(&self, address: AddressKey, now: Millis) -> Verdict {
        let Rules { logins_per_minute, login_block_ms, .. } = self.rules;
        if logins_per_minute == 0 {
            return Verdict::Allowed;
        }
        let mut counts = self.counts();
        let known = counts.logins.entry(address);
        if known.blocked_until > now {
            return Verdict::Wait(known.blocked_until - now);
        }
        if known.window.count(logins_per_minute, now).is_ok() {
            return Verdict::Allowed;
        }
        *known =
            Address { blocked_until: now.saturating_add(login_block_ms), ..Address::default() };
        Verdict::Wait(login_block_ms)
    }

    async fn is_blocked(&self, address: AddressKey, now: Millis) -> Verdict {
        match self.counts().logins.get(&address) {
            Some(known) if known.blocked_until > now => Verdict::Wait(known.blocked_until - now),
            _ => Verdict::Allowed,
        }
    }

    async fn count_signup(&self, address: AddressKey, now: Millis) -> Verdict {
        let most = self.rules.signups_per_minute;
        if most == 0 {
            return Verdict::Allowed;
        }
        match self.counts().signups.entry(address).count(most, now) {
            Ok(()) => Verdict::Allowed,
            Err(wait) => Verdict::Wait(wait),
        }
    }

    async fn may_try(&self, account: &str, now: Millis) -> Verdict {
        let mut counts = self.counts();
        let Some(wrong) = counts.wrong.get(account) else { return Verdict::Allowed };
        let until = wrong.at.saturating_add(delay_ms(wrong.count));
        if until > now { Verdict::Wait(until - now) } else { Verdict::Allowed }
    }

    async fn count_wrong(&self, account: &str, now: Millis) {
        let mut counts = self.counts();
        let wrong = counts.wrong.entry(account.to_owned());
        wrong.count = wrong.count.saturating_add(1);
        wrong.at = wrong.at.max(now);
    }

    async fn forget_wrong(&self, account: &str) {
        self.counts().wrong.remove(account);
    }
}

/// When something happened within the last minute, oldest first; at most as often as is allowed.
#[derive(Default)]
struct Window {
    times: VecDeque<Millis>,
}

impl Window {
    /// Counts one, unless `most` were counted within the minute before `now`; then says how long
    /// until the oldest of them is a minute ago.
    fn count(&mut self, most: u32, now: Millis) -> Result<(), Millis> {
        while self.times.front().is_some_and(|time| time.saturating_add(MINUTE_MS) <= now) {
            self.times.pop_front();
        }
        match self.times.front() {
            Some(oldest) if self.times.len() >= most as usize => {
                Err(oldest.saturating_add(MINUTE_MS).saturating_sub(now))
            }
            _ => {
                self.times.push_back(now);
                Ok(())
            }
        }
    }
}
