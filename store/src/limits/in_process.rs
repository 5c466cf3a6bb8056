//! [`LoginLimits`] in the memory of one node.

use super::{LoginLimits, Rules, Verdict};
use crate::accounts::AddressKey;
use async_trait::async_trait;
use madang_protocol::Millis;
use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Addresses, and accounts, remembered at most. Past it the least recently seen half is forgotten:
/// to make a node forget one address takes half as many others.
const REMEMBERED_MAX: usize = 65_536;
/// What the rules count within.
const MINUTE_MS: Millis = 60_000;
/// Wrong passwords of one account that cost nothing.
const WRONG_FREE: u32 = 4;
/// The first delay after those, and the longest.
const DELAY_FIRST_MS: Millis = 1_000;
const DELAY_LONGEST_MS: Millis = 60_000;

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

/// How long the next try waits after so many wrong ones.
fn delay_ms(wrong: u32) -> Millis {
    match wrong.checked_sub(WRONG_FREE) {
        None => 0,
        Some(doublings) => (DELAY_FIRST_MS << doublings.min(16)).min(DELAY_LONGEST_MS),
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

/// A map that keeps what was used recently, in two generations: when the younger is half of the
/// bound, the older is dropped and the younger takes its place. So every step costs the same, and
/// nothing needs to be swept.
struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    fn new(remembered_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: (remembered_max / 2).max(1),
        }
    }

    /// What is remembered of `key`, or a fresh value.
    fn entry(&mut self, key: K) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_default())
    }

    fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn remove<Q>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_recent_half_and_never_more_than_the_bound() {
        let mut recent: Recent<u32, u32> = Recent::new(8);
        for key in 0..1_000 {
            *recent.entry(7_777) += 1;
            *recent.entry(key) = key;
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.get(&7_777), Some(&1_000));
        assert_eq!(recent.get(&999), Some(&999));
        assert_eq!(recent.get(&900), None);
    }

    #[test]
    fn an_entry_that_moves_between_generations_is_not_lost() {
        let mut recent: Recent<u32, u32> = Recent::new(4);
        *recent.entry(1) = 10;
        *recent.entry(2) = 20;
        *recent.entry(3) = 30;
        assert_eq!((recent.young.len(), recent.old.len()), (1, 2));
        assert_eq!(*recent.entry(1), 10);
    }
}
