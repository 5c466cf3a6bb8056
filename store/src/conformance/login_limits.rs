//! Cases of [`LoginLimits`].

use crate::{
    LoginLimits,
    accounts::AddressKey,
    limits::{
        Rules,
        Verdict::{self, Allowed, Wait},
    },
};
use madang_protocol::Millis;
use std::sync::Arc;

/// Makes the limits to be examined.
pub type Make = fn(Rules) -> Arc<dyn LoginLimits>;

/// Two addresses.
const HERE: AddressKey = [1; 16];
const THERE: AddressKey = [2; 16];

const RULES: Rules =
    Rules { logins_per_minute: 60, login_block_ms: 180_000, signups_per_minute: 20 };

/// Some time that is neither the beginning nor the end of all times.
const START: Millis = 1_700_000_000_000;

async fn logins(limits: &dyn LoginLimits, count: u32, now: Millis) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for _ in 0..count {
        verdicts.push(limits.count_login(HERE, now).await);
    }
    verdicts
}

/// Sixty a minute pass; one more blocks for three minutes, however often it is tried.
pub async fn blocks_an_address_that_logs_in_too_often(make: Make) {
    let limits = make(RULES);
    assert_eq!(logins(&*limits, 60, START).await, [Allowed; 60]);
    assert_eq!(limits.count_login(HERE, START + 59_000).await, Wait(180_000));
    assert_eq!(limits.count_login(HERE, START + 60_000).await, Wait(179_000));
    assert_eq!(limits.count_login(HERE, START + 238_999).await, Wait(1));
    assert_eq!(limits.count_login(HERE, START + 239_000).await, Allowed);
}

/// What was counted before the block, or during it, counts no more.
pub async fn a_blocked_address_begins_anew(make: Make) {
    let limits = make(Rules { login_block_ms: 10_000, ..RULES });
    logins(&*limits, 61, START).await;
    assert_eq!(logins(&*limits, 100, START + 9_999).await, [Wait(1); 100]);
    assert_eq!(logins(&*limits, 60, START + 10_000).await, [Allowed; 60]);
    assert_eq!(limits.count_login(HERE, START + 10_000).await, Wait(10_000));
}

/// However often it is asked.
pub async fn asking_whether_an_address_is_blocked_counts_nothing(make: Make) {
    let limits = make(RULES);
    assert_eq!(limits.is_blocked(HERE, START).await, Allowed);
    assert_eq!(logins(&*limits, 60, START).await, [Allowed; 60]);
    for _ in 0..100 {
        assert_eq!(limits.is_blocked(HERE, START).await, Allowed);
    }
    assert_eq!(limits.count_login(HERE, START + 1_000).await, Wait(180_000));
    assert_eq!(limits.is_blocked(HERE, START + 2_000).await, Wait(179_000));
    assert_eq!(limits.is_blocked(THERE, START + 2_000).await, Allowed);
    assert_eq!(limits.is_blocked(HERE, START + 181_000).await, Allowed);
    assert_eq!(logins(&*limits, 60, START + 181_000).await, [Allowed; 60]);
}

/// Any minute counts, not the one of a clock on the wall.
pub async fn the_minute_slides(make: Make) {
    let limits = make(RULES);
    assert_eq!(logins(&*limits, 30, START).await, [Allowed; 30]);
    assert_eq!(logins(&*limits, 30, START + 40_000).await, [Allowed; 30]);
    assert_eq!(logins(&*limits, 30, START + 60_000).await, [Allowed; 30]);
    assert_eq!(limits.count_login(HERE, START + 60_000).await, Wait(180_000));
}

/// One address says nothing about another.
pub async fn addresses_count_apart(make: Make) {
    let limits = make(RULES);
    logins(&*limits, 61, START).await;
    assert_eq!(limits.count_login(THERE, START).await, Allowed);
    assert_eq!(limits.count_signup(HERE, START).await, Allowed);
}

/// Without a number nothing is counted.
pub async fn zero_is_off(make: Make) {
    let limits = make(Rules { logins_per_minute: 0, login_block_ms: 0, signups_per_minute: 0 });
    assert_eq!(logins(&*limits, 1_000, START).await, [Allowed; 1_000]);
    for _ in 0..1_000 {
        assert_eq!(limits.count_signup(HERE, START).await, Allowed);
    }
}

/// Twenty a minute; the next may come when the oldest is a minute ago.
pub async fn signups_wait_for_the_minute(make: Make) {
    let limits = make(RULES);
    for number in 0..20 {
        assert_eq!(limits.count_signup(HERE, START + number * 1_000).await, Allowed);
    }
    assert_eq!(limits.count_signup(HERE, START + 20_000).await, Wait(40_000));
    assert_eq!(limits.count_signup(THERE, START + 20_000).await, Allowed);
    assert_eq!(limits.count_signup(HERE, START + 59_999).await, Wait(1));
    assert_eq!(limits.count_signup(HERE, START + 60_000).await, Allowed);
    assert_eq!(limits.count_signup(HERE, START + 60_000).await, Wait(1_000));
}

/// Four wrong ones cost nothing; then each doubles the wait, up to a minute.
pub async fn slows_wrong_passwords_down(make: Make) {
    let limits = make(RULES);
    let mut now = START;
    for _ in 0..4 {
        assert_eq!(limits.may_try("alice", now).await, Allowed);
        limits.count_wrong("alice", now).await;
    }
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
        let delay = seconds * 1_000;
        assert_eq!(limits.may_try("alice", now).await, Wait(delay));
        assert_eq!(limits.may_try("alice", now + delay - 1).await, Wait(1));
        assert_eq!(limits.may_try("bob", now).await, Allowed);
        now += delay;
        assert_eq!(limits.may_try("alice", now).await, Allowed);
        limits.count_wrong("alice", now).await;
    }
}

/// Whoever knows it starts from the beginning.
pub async fn a_right_password_forgets_the_wrong_ones(make: Make) {
    let limits = make(RULES);
    for _ in 0..9 {
        limits.count_wrong("alice", START).await;
    }
    assert!(matches!(limits.may_try("alice", START).await, Wait(_)));
    limits.forget_wrong("alice").await;
    for _ in 0..4 {
        assert_eq!(limits.may_try("alice", START).await, Allowed);
        limits.count_wrong("alice", START).await;
    }
    assert_eq!(limits.may_try("alice", START).await, Wait(1_000));
}
