//! [`AccountStore`] on redb.

use super::{
    Redb,
    record::Raw,
    sessions::{end_others, end_session, has_ended, session_of, start_session, touch},
    tables::{ExternalIds, Logins, Sessions, UserRecord, Usernames, Users},
    transaction::{Read, Snapshot, Tables},
};
use crate::{
    AccountStore, StoreError,
    accounts::{
        AddressKey, CreatedUsers, Credentials, ExternalLogin, ExternalStarted, NewSession, NewUser,
        Profile, ProfileKeys, Session, TokenHash, Touch,
    },
    metrics::Call,
};
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};
use std::collections::HashSet;

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

    async fn start_session(
        &self,
        session: NewSession,
        sessions_max: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let start = move |tables: &mut Tables<'_>| start_session(tables, &session, sessions_max);
        self.engine.write(Call::StartSession, start).await
    }

    async fn start_external_session(
        &self,
        login: ExternalLogin,
        sessions_max: usize,
    ) -> Result<ExternalStarted, StoreError> {
        let start =
            move |tables: &mut Tables<'_>| start_external_session(tables, &login, sessions_max);
        self.engine.write(Call::StartExternalSession, start).await
    }

    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let found =
            self.engine.read(Call::Session, |snapshot| snapshot.get::<Sessions>(&token_hash))?;
        let Some(record) = found else { return Ok(None) };
        if record.expires_at <= now {
            self.expire_later(token_hash, now);
            return Ok(None);
        }
        Ok(Some(session_of(&record)))
    }

    async fn ended_sessions(
        &self,
        mut sessions: Vec<(UserId, SessionId)>,
        now: Millis,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = move |snapshot: &Snapshot| {
            sessions.retain(|(user, session)| has_ended(snapshot, *user, *session, now));
            Ok(sessions.into_iter().map(|(_, session)| session).collect())
        };
        self.engine.read_aside(Call::EndedSessions, ended).await
    }

    async fn touch_sessions(&self, touches: Vec<Touch>) -> Result<(), StoreError> {
        if touches.is_empty() {
            return Ok(());
        }
        let all =
            move |tables: &mut Tables<'_>| touches.iter().try_for_each(|one| touch(tables, *one));
        self.engine.write(Call::TouchSessions, all).await
    }

    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError> {
        self.engine.write(Call::EndSession, move |tables| end_session(tables, token_hash)).await
    }

    async fn set_password(
        &self,
        keep: TokenHash,
        password_hash: String,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let set = move |tables: &mut Tables<'_>| {
            let Some(kept) = tables.get::<Sessions>(&keep)? else { return Ok(None) };
            let user = UserId(kept.user.0);
            let known = tables.expect::<Users>(&user)?;
            let password_hash = Some(password_hash.clone());
            tables.put::<Users>(&user, &UserRecord { password_hash, ..known })?;
            end_others(tables, user, keep).map(Some)
        };
        self.engine.write(Call::SetPassword, set).await
    }

    async fn set_display_name(
        &self,
        user: UserId,
        display_name: String,
    ) -> Result<Option<Profile>, StoreError> {
        let set = move |tables: &mut Tables<'_>| {
            let Some(known) = tables.get::<Users>(&user)? else { return Ok(None) };
            set_display_name(tables, user, known, &display_name).map(Some)
        };
        self.engine.write(Call::SetDisplayName, set).await
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
    fn expire_later(&self, token_hash: TokenHash, now: Millis) {
        self.engine.write_later(Call::ExpireSession, move |tables| {
            match tables.get::<Sessions>(&token_hash)? {
                Some(known) if known.expires_at <= now => end_session(tables, token_hash),
                // Ended, or moved, since it was read.
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
        create_user(tables, user, None)?;
    }
    Ok(CreatedUsers::All)
}

/// A user with its first session. The name must be free.
fn create_user(
    tables: &mut Tables<'_>,
    user: &NewUser,
    external_id: Option<&String>,
) -> Result<(), StoreError> {
    tables.put::<Usernames>(&user.username_folded, &Raw(user.user.0))?;
    if let Some(external_id) = external_id {
        tables.put::<ExternalIds>(external_id, &Raw(user.user.0))?;
    }
    let record = UserRecord {
        username: user.username.clone(),
        username_folded: user.username_folded.clone(),
        display_name: user.display_name.clone(),
        password_hash: user.password_hash.clone(),
        created_at: user.created_at,
        external_id: external_id.cloned(),
    };
    tables.put::<Users>(&user.user, &record)?;
    // The first session of a user ends no other.
    start_session(tables, &user.session, 1).map(|_| ())
}

fn start_external_session(
    tables: &mut Tables<'_>,
    login: &ExternalLogin,
    sessions_max: usize,
) -> Result<ExternalStarted, StoreError> {
    let ExternalLogin { external_id, user: new, display_name } = login;
    if let Some(id) = tables.get::<ExternalIds>(external_id)? {
        let user = UserId(id.0);
        if let Some(display_name) = display_name {
            let known = tables.expect::<Users>(&user)?;
            set_display_name(tables, user, known, display_name)?;
        }
        let session = NewSession { user, ..new.session.clone() };
        let ended = start_session(tables, &session, sessions_max)?;
        return Ok(ExternalStarted::Found { user, ended });
    }
    if tables.get::<Usernames>(&new.username_folded)?.is_some() {
        return Ok(ExternalStarted::UsernameTaken);
    }
    create_user(tables, new, Some(external_id))?;
    Ok(ExternalStarted::Made)
}

fn set_display_name(
    tables: &mut Tables<'_>,
    user: UserId,
    known: UserRecord,
    display_name: &str,
) -> Result<Profile, StoreError> {
    let display_name = display_name.to_owned();
    let record = UserRecord { display_name, ..known };
    tables.put::<Users>(&user, &record)?;
    let UserRecord { username, display_name, .. } = record;
    Ok(Profile { user, username, display_name })
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
