//! Sessions in a write transaction, and where users logged in from.

use super::{
    keys::Key,
    record::Raw,
    tables::{Logins, SessionRecord, Sessions, UserSessions},
    transaction::{Read, Tables},
};
use crate::{
    StoreError,
    accounts::{
        AddressKey, LOGIN_REMEMBERED_MS, LOGINS_REMEMBERED_MAX, NewSession, Session, TokenHash,
        Touch,
    },
};
use madang_protocol::{Millis, SessionId, UserId};

/// See `AccountStore::start_session`. Tokens that nobody shows again go here, so they do not stay
/// for ever.
pub(super) fn start_session(
    tables: &mut Tables<'_>,
    new: &NewSession,
    sessions_max: usize,
) -> Result<Vec<SessionId>, StoreError> {
    let (expired, mut others): (Vec<_>, Vec<_>) = sessions(tables, new.user)?
        .into_iter()
        .partition(|(_, record)| record.expires_at <= new.created_at);
    others.sort_unstable_by_key(|(_, record)| (record.expires_at, record.created_at));
    let surplus = (others.len() + 1).saturating_sub(sessions_max.max(1));
    let ended = others.drain(..surplus).collect::<Vec<_>>();
    for (token_hash, _) in expired.iter().chain(&ended) {
        end_session(tables, *token_hash)?;
    }
    let record = SessionRecord {
        session: Raw(new.session.0),
        user: Raw(new.user.0),
        created_at: new.created_at,
        expires_at: new.expires_at,
    };
    tables.put::<Sessions>(&new.token_hash, &record)?;
    tables.put::<UserSessions>(&(new.user, new.session), &Raw(new.token_hash))?;
    if let Some(address) = new.address {
        remember_login(tables, new.user, address, new.created_at)?;
    }
    Ok(ended.iter().map(|(_, record)| session_of(record).session).collect())
}

/// Ends the sessions of a user but one; returns which.
pub(super) fn end_others(
    tables: &mut Tables<'_>,
    user: UserId,
    keep: TokenHash,
) -> Result<Vec<SessionId>, StoreError> {
    let mut ended = Vec::new();
    for (token_hash, record) in sessions(tables, user)? {
        if token_hash != keep {
            end_session(tables, token_hash)?;
            ended.push(session_of(&record).session);
        }
    }
    Ok(ended)
}

/// Ends one session, if it is there.
pub(super) fn end_session(
    tables: &mut Tables<'_>,
    token_hash: TokenHash,
) -> Result<(), StoreError> {
    let Some(record) = tables.get::<Sessions>(&token_hash)? else { return Ok(()) };
    tables.remove::<Sessions>(&token_hash)?;
    let Session { user, session, .. } = session_of(&record);
    tables.remove::<UserSessions>(&(user, session))
}

/// See `AccountStore::ended_sessions`.
pub(super) fn has_ended(read: &impl Read, user: UserId, session: SessionId, now: Millis) -> bool {
    let find = || {
        let Some(Raw(token_hash)) = read.get::<UserSessions>(&(user, session))? else {
            return Ok(true);
        };
        Ok(read.expect::<Sessions>(&token_hash)?.expires_at <= now)
    };
    find().unwrap_or_else(|error: StoreError| {
        // It says nothing about this session, and must not hide the others.
        tracing::error!(%error, "whether a session has ended cannot be read");
        false
    })
}

/// Moves the end of a session, never back. It may have ended, or moved further, since it was used.
pub(super) fn touch(tables: &mut Tables<'_>, touch: Touch) -> Result<(), StoreError> {
    match move_end(tables, touch) {
        // One damaged session must not keep everyone's from being moved.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::error!(%error, "the end of a session was not moved");
            Ok(())
        }
        moved => moved,
    }
}

fn move_end(tables: &mut Tables<'_>, touch: Touch) -> Result<(), StoreError> {
    let Touch { user, session, expires_at } = touch;
    let Some(Raw(token_hash)) = tables.get::<UserSessions>(&(user, session))? else {
        return Ok(());
    };
    let known = tables.expect::<Sessions>(&token_hash)?;
    if known.expires_at >= expires_at {
        return Ok(());
    }
    tables.put::<Sessions>(&token_hash, &SessionRecord { expires_at, ..known })
}

pub(super) fn session_of(record: &SessionRecord) -> Session {
    Session {
        session: SessionId(record.session.0),
        user: UserId(record.user.0),
        expires_at: record.expires_at,
    }
}

fn sessions(
    tables: &Tables<'_>,
    user: UserId,
) -> Result<Vec<(TokenHash, SessionRecord)>, StoreError> {
    let of_user = tables.scan_prefix::<UserSessions>(&user.to_bytes())?;
    let records = of_user.map(|item| {
        let (_, token_hash) = item?;
        Ok((token_hash.0, tables.expect::<Sessions>(&token_hash.0)?))
    });
    records.collect()
}

/// Notes a login, and forgets those that are too old or too many.
fn remember_login(
    tables: &mut Tables<'_>,
    user: UserId,
    address: AddressKey,
    now: Millis,
) -> Result<(), StoreError> {
    let mut others = Vec::new();
    for item in tables.scan_prefix::<Logins>(&user.to_bytes())? {
        let ((_, other), at) = item?;
        if other != address {
            others.push((at, other));
        }
    }
    others.sort_unstable();
    let surplus = (others.len() + 1).saturating_sub(LOGINS_REMEMBERED_MAX);
    let since = now.saturating_sub(LOGIN_REMEMBERED_MS);
    for (index, (at, other)) in others.into_iter().enumerate() {
        if index < surplus || at < since {
            tables.remove::<Logins>(&(user, other))?;
        }
    }
    tables.put::<Logins>(&(user, address), &now)
}
