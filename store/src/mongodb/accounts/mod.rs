//! [`AccountStore`] on MongoDB.
//!
//! | file | holds |
//! |---|---|
//! | [`document`] | users with their sessions and logins as documents |
//! | [`profiles`] | what is asked about users |
//! | [`sessions`] | the writes of one user; [`logic`]: what a new session changes |
//! | [`signup`] | making users |

pub(in crate::mongodb) mod document;
mod logic;
mod profiles;
mod sessions;
mod signup;

use super::{Mongo, schema::USERS};
use crate::{
    AccountStore, StoreError,
    accounts::{
        AddressKey, CreatedUsers, Credentials, ExternalLogin, ExternalStarted, NewSession, NewUser,
        Profile, ProfileKeys, Session, TokenHash, Touch,
    },
    metrics::Call,
};
use ::mongodb::bson::Document;
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};
use signup::Signup;

#[async_trait]
impl AccountStore for Mongo {
    async fn create_users(&self, users: Vec<NewUser>) -> Result<CreatedUsers, StoreError> {
        let signup = Signup { store: self, users: &users };
        self.write(Call::CreateUsers, self.transact(&signup)).await
    }

    async fn credentials(
        &self,
        username_folded: String,
    ) -> Result<Option<Credentials>, StoreError> {
        self.read(Call::Credentials, profiles::credentials(self, &username_folded)).await
    }

    async fn profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, StoreError> {
        let keys_are_empty = match &which {
            ProfileKeys::Ids(users) => users.is_empty(),
            ProfileKeys::Usernames(names) => names.is_empty(),
        };
        if keys_are_empty {
            return Ok(Vec::new());
        }
        self.read(Call::Profiles, profiles::profiles(self, &which)).await
    }

    async fn start_session(
        &self,
        session: NewSession,
        sessions_max: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let start = sessions::start(self, &session, sessions_max);
        self.write(Call::StartSession, start).await
    }

    async fn start_external_session(
        &self,
        login: ExternalLogin,
        sessions_max: usize,
    ) -> Result<ExternalStarted, StoreError> {
        let start = sessions::start_external(self, &login, sessions_max);
        self.write(Call::StartExternalSession, start).await
    }

    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let holder = self.read(Call::Session, sessions::holder(self, token_hash)).await?;
        let found = holder.and_then(|holder| holder.sessions().next());
        Ok(found.filter(|session| session.expires_at > now))
    }

    async fn ended_sessions(
        &self,
        sessions: Vec<(UserId, SessionId)>,
        now: Millis,
    ) -> Result<Vec<SessionId>, StoreError> {
        if sessions.is_empty() {
            return Ok(Vec::new());
        }
        let users: Vec<UserId> = sessions.iter().map(|(user, _)| *user).collect();
        let good = self.read(Call::EndedSessions, sessions::good(self, &users, now)).await?;
        let ended = sessions.into_iter().filter(|session| !good.contains(session));
        Ok(ended.map(|(_, session)| session).collect())
    }

    async fn touch_sessions(&self, touches: Vec<Touch>) -> Result<(), StoreError> {
        if touches.is_empty() {
            return Ok(());
        }
        let updates: Vec<Document> = touches.iter().map(sessions::touch).collect();
        self.write(Call::TouchSessions, self.update_all(USERS, updates)).await?;
        Ok(())
    }

    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError> {
        self.write(Call::EndSession, sessions::end(self, token_hash)).await
    }

    async fn set_password(
        &self,
        keep: TokenHash,
        password_hash: String,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        let set = sessions::set_password(self, keep, &password_hash);
        self.write(Call::SetPassword, set).await
    }

    async fn set_display_name(
        &self,
        user: UserId,
        display_name: String,
    ) -> Result<Option<Profile>, StoreError> {
        let set = profiles::set_display_name(self, user, &display_name);
        self.write(Call::SetDisplayName, set).await
    }

    async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, StoreError> {
        self.read(Call::LastLogin, profiles::last_login(self, user, address)).await
    }
}
