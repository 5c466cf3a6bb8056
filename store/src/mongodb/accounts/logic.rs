//! What a new session changes: no database here.

use super::document::{Account, LoginPart, SessionPart};
use crate::{
    accounts::{AddressKey, LOGIN_REMEMBERED_MS, LOGINS_REMEMBERED_MAX, NewSession},
    mongodb::bytes::Bytes,
};
use madang_protocol::{Millis, SessionId};

/// What is written.
pub(super) struct Start {
    /// Sessions that go: expired ones and those that are too many.
    pub(super) removed: Vec<SessionId>,
    /// Those of them that had to end.
    pub(super) ended: Vec<SessionId>,
    /// The logins remembered from now on.
    pub(super) logins: Vec<LoginPart>,
}

/// See `AccountStore::start_session`.
pub(super) fn start(account: &Account, new: &NewSession, sessions_max: usize) -> Start {
    let (expired, mut others): (Vec<SessionPart>, Vec<SessionPart>) =
        account.sessions.iter().partition(|part| part.expires_at <= new.created_at);
    others.sort_by_key(|part| (part.expires_at, part.created_at));
    let surplus = (others.len() + 1).saturating_sub(sessions_max.max(1));
    let ended: Vec<SessionId> = others[..surplus].iter().map(SessionPart::id).collect();
    let removed = expired.iter().map(SessionPart::id).chain(ended.iter().copied()).collect();
    let logins = match new.address {
        Some(address) => remember(&account.logins, address, new.created_at),
        None => account.logins.clone(),
    };
    Start { removed, ended, logins }
}

/// With this login, and without those that are too old or too many.
fn remember(known: &[LoginPart], address: AddressKey, now: Millis) -> Vec<LoginPart> {
    let since = now.saturating_sub(LOGIN_REMEMBERED_MS);
    let address = Bytes(address);
    let others = known.iter().filter(|login| login.address != address && login.at >= since);
    let mut logins: Vec<LoginPart> = others.copied().collect();
    logins.sort_unstable_by_key(|login| (login.at, login.address.0));
    let surplus = (logins.len() + 1).saturating_sub(LOGINS_REMEMBERED_MAX);
    logins.drain(..surplus);
    logins.push(LoginPart { address, at: now });
    logins
}
