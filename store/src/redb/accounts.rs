//! [`AccountStore`] on redb.

use super::{
    Redb,
    keys::Key,
    record::Raw,
    tables::{Logins, SessionRecord, Sessions, UserRecord, UserSessions, Usernames, Users},
    transaction::{Read, Tables},
};
use crate::{
    AccountStore, StoreError,
    accounts::{
        AddressKey, CreatedUsers, Credentials, NewSession, NewUser, Profile, ProfileKeys, Session,
        TokenHash,
    },
    metrics::Call,
};
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};
use std::collections::HashSet;

/// A session's end is moved when at least this much is gained: one write a day for a session in
/// use, not one for each call.
const SLIDE_STEP_MS: Millis = 24 * 60 * 60 * 1_000;

#[async_trait]
impl AccountStore for Redb {
    async fn create_users(&self, users: Vec<NewUser>) -> Result<CreatedUsers, StoreError> {
        self.engine.write(Call::CreateUsers, move |tables| create_users(tables, &users)).await
    }

    async fn credentials(
        &self,
        username_folded: String,
    ) -> Result<Option<Credentials>, StoreError> {
        self.engine.read(Call::Credentials, |snapshot| {
            let Some(id) = snapshot.get::<Usernames>(&username_folded)? else { return Ok(None) };
            let user = UserId(id.0);
            let password_hash = snapshot.expect::<Users>(&user)?.password_hash;
            Ok(Some(Credentials { user, password_hash }))
        })
    }

    async fn profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, StoreError> {
        self.engine.read(Call::Profiles, |snapshot| match which {
            ProfileKeys::Ids(ids) => profiles(snapshot, ids.into_iter().map(Ok)),
            ProfileKeys::Usernames(names) => {
                let found = names.iter().filter_map(|name| {
                    let id = snapshot.get::<Usernames>(name).transpose()?;
                    Some(id.map(|id| UserId(id.0)))
                });
                profiles(snapshot, found)
            }
        })
    }

    async fn start_session(&self, session: NewSession) -> Result<(), StoreError> {
        self.engine.write(Call::StartSession, move |tables| start_session(tables, &session)).await
    }

    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
        lifetime_ms: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let found =
            self.engine.read(Call::Session, |snapshot| snapshot.get::<Sessions>(&token_hash))?;
        let Some(mut record) = found else { return Ok(None) };
        if record.expires_at <= now {
            self.expire_later(token_hash, now);
            return Ok(None);
        }
        let slid = now.saturating_add(lifetime_ms);
        if slid >= record.expires_at.saturating_add(SLIDE_STEP_MS) {
            record.expires_at = slid;
            self.slide_later(token_hash, slid);
        }
        Ok(Some(session_of(&record)))
    }

    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError> {
        self.engine.write(Call::EndSession, move |tables| end_session(tables, token_hash)).await
    }

    async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, StoreError> {
        self.engine.read(Call::LastLogin, |snapshot| snapshot.get::<Logins>(&(user, address)))
    }
}

impl Redb {
    fn slide_later(&self, token_hash: TokenHash, expires_at: Millis) {
        self.engine.write_later(Call::SlideSession, move |tables| {
            match tables.get::<Sessions>(&token_hash)? {
                Some(known) if known.expires_at < expires_at => {
                    tables.put::<Sessions>(&token_hash, &SessionRecord { expires_at, ..known })
                }
                // Ended, or slid further, since it was read.
                Some(_) | None => Ok(()),
            }
        });
    }

    fn expire_later(&self, token_hash: TokenHash, now: Millis) {
        self.engine.write_later(Call::ExpireSession, move |tables| {
            match tables.get::<Sessions>(&token_hash)? {
                Some(known) if known.expires_at <= now => end_session(tables, token_hash),
                // Ended, or slid, since it was read.
                Some(_) | None => Ok(()),
            }
        });
    }
}

/// Adds all, or names the first whose username is taken.
fn create_users(tables: &mut Tables<'_>, users: &[NewUser]) -> Result<CreatedUsers, StoreError> {
    let mut names = HashSet::with_capacity(users.len());
    for (index, user) in users.iter().enumerate() {
        let taken = tables.get::<Usernames>(&user.username_folded)?.is_some();
        if taken || !names.insert(&user.username_folded) {
            return Ok(CreatedUsers::UsernameTaken { index });
        }
    }
    for user in users {
        tables.put::<Usernames>(&user.username_folded, &Raw(user.user.0))?;
        tables.put::<Users>(&user.user, &record_of(user))?;
        start_session(tables, &user.session)?;
    }
    Ok(CreatedUsers::All)
}

fn record_of(user: &NewUser) -> UserRecord {
    UserRecord {
        username: user.username.clone(),
        username_folded: user.username_folded.clone(),
        display_name: user.display_name.clone(),
        password_hash: user.password_hash.clone(),
        created_at: user.created_at,
    }
}

/// Also clears away the user's sessions that have expired, so that tokens nobody shows again do
/// not stay for ever.
fn start_session(tables: &mut Tables<'_>, new: &NewSession) -> Result<(), StoreError> {
    for token_hash in expired_sessions(tables, new.user, new.created_at)? {
        end_session(tables, token_hash)?;
    }
    let record = SessionRecord {
        session: Raw(new.session.0),
        user: Raw(new.user.0),
        created_at: new.created_at,
        expires_at: new.expires_at,
    };
    tables.put::<Sessions>(&new.token_hash, &record)?;
    tables.put::<UserSessions>(&(new.user, new.session), &Raw(new.token_hash))?;
    match new.address {
        Some(address) => tables.put::<Logins>(&(new.user, address), &new.created_at),
        None => Ok(()),
    }
}

fn expired_sessions(
    tables: &Tables<'_>,
    user: UserId,
    now: Millis,
) -> Result<Vec<TokenHash>, StoreError> {
    let mut expired = Vec::new();
    for item in tables.scan_prefix::<UserSessions>(&user.to_bytes())? {
        let (_, token_hash) = item?;
        if tables.expect::<Sessions>(&token_hash.0)?.expires_at <= now {
            expired.push(token_hash.0);
        }
    }
    Ok(expired)
}

fn end_session(tables: &mut Tables<'_>, token_hash: TokenHash) -> Result<(), StoreError> {
    let Some(record) = tables.get::<Sessions>(&token_hash)? else { return Ok(()) };
    tables.remove::<Sessions>(&token_hash)?;
    let Session { user, session, .. } = session_of(&record);
    tables.remove::<UserSessions>(&(user, session))
}

fn session_of(record: &SessionRecord) -> Session {
    Session {
        session: SessionId(record.session.0),
        user: UserId(record.user.0),
        expires_at: record.expires_at,
    }
}

/// The profiles of those of `users` that exist, each once.
fn profiles(
    read: &impl Read,
    users: impl Iterator<Item = Result<UserId, StoreError>>,
) -> Result<Vec<Profile>, StoreError> {
    let mut seen = HashSet::new();
    let mut profiles = Vec::new();
    for user in users {
        let user = user?;
        if seen.insert(user)
            && let Some(UserRecord { username, display_name, .. }) = read.get::<Users>(&user)?
        {
            profiles.push(Profile { user, username, display_name });
        }
    }
    Ok(profiles)
}
