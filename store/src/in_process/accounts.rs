//! [`AccountStore`] in memory.

use super::InProcess;
use crate::{
    AccountStore, StoreError,
    accounts::{
        AddressKey, CreatedUsers, Credentials, ExternalLogin, ExternalStarted, LOGIN_REMEMBERED_MS,
        LOGINS_REMEMBERED_MAX, NewSession, NewUser, Profile, ProfileKeys, Session, TokenHash,
        Touch,
    },
};
use async_trait::async_trait;
use madang_protocol::{Millis, SessionId, UserId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The users and their sessions.
#[derive(Clone, Default)]
pub(super) struct Accounts {
    users: HashMap<UserId, User>,
    usernames: HashMap<String, UserId>,
    external: HashMap<String, UserId>,
    /// Those of ended sessions are removed; expired ones when their user starts another.
    sessions: HashMap<TokenHash, NewSession>,
}

#[derive(Clone)]
struct User {
    profile: Profile,
    password_hash: Option<String>,
    logins: BTreeMap<AddressKey, Millis>,
}

impl Accounts {
    /// There is such a user.
    pub(super) fn is_user(&self, user: UserId) -> bool {
        self.users.contains_key(&user)
    }

    fn create(&mut self, new: &NewUser) {
        let NewUser { user, username, username_folded, display_name, password_hash, .. } = new;
        let (username, display_name) = (username.clone(), display_name.clone());
        let profile = Profile { user: *user, username, display_name };
        let password_hash = password_hash.clone();
        self.users.insert(*user, User { profile, password_hash, logins: BTreeMap::new() });
        self.usernames.insert(username_folded.clone(), *user);
        self.start_session(new.session.clone(), 1);
    }

    fn start_session(&mut self, new: NewSession, sessions_max: usize) -> Vec<SessionId> {
        self.sessions
            .retain(|_, known| known.user != new.user || known.expires_at > new.created_at);
        let of_user = self.sessions.iter().filter(|(_, known)| known.user == new.user);
        let order = |(token, known): (&TokenHash, &NewSession)| {
            (known.expires_at, known.created_at, *token, known.session)
        };
        let mut others: Vec<_> = of_user.map(order).collect();
        others.sort_unstable_by_key(|(expires_at, created_at, ..)| (*expires_at, *created_at));
        others.truncate((others.len() + 1).saturating_sub(sessions_max.max(1)));
        for (_, _, token, _) in &others {
            self.sessions.remove(token);
        }
        if let Some(address) = new.address {
            self.remember_login(new.user, address, new.created_at);
        }
        self.sessions.insert(new.token_hash, new);
        others.into_iter().map(|(_, _, _, session)| session).collect()
    }

    fn remember_login(&mut self, user: UserId, address: AddressKey, now: Millis) {
        let Some(User { logins, .. }) = self.users.get_mut(&user) else { return };
        logins.remove(&address);
        logins.retain(|_, at| *at >= now.saturating_sub(LOGIN_REMEMBERED_MS));
        while logins.len() >= LOGINS_REMEMBERED_MAX {
            let oldest = logins.iter().min_by_key(|(address, at)| (**at, **address));
            let Some(oldest) = oldest.map(|(address, _)| *address) else { break };
            logins.remove(&oldest);
        }
        logins.insert(address, now);
    }

    fn touch(&mut self, Touch { user, session, expires_at }: Touch) {
        let is_it = |known: &&mut NewSession| (known.user, known.session) == (user, session);
        if let Some(known) = self.sessions.values_mut().find(is_it) {
            known.expires_at = known.expires_at.max(expires_at);
        }
    }

    fn set_display_name(&mut self, user: UserId, display_name: &str) -> Option<Profile> {
        let known = self.users.get_mut(&user)?;
        known.profile.display_name = display_name.to_owned();
        Some(known.profile.clone())
    }

    fn set_password(&mut self, keep: TokenHash, hash: String) -> Option<Vec<SessionId>> {
        let user = self.sessions.get(&keep)?.user;
        self.users.get_mut(&user)?.password_hash = Some(hash);
        let ends = |token: &TokenHash, known: &NewSession| known.user == user && *token != keep;
        let mut ended = Vec::new();
        self.sessions.retain(|token, known| {
            let ends = ends(token, known);
            if ends {
                ended.push(known.session);
            }
            !ends
        });
        ended.sort_unstable();
        Some(ended)
    }
}

#[async_trait]
impl AccountStore for InProcess {
    async fn create_users(&self, users: Vec<NewUser>) -> Result<CreatedUsers, StoreError> {
        let accounts = &mut self.data()?.accounts;
        let mut names = HashSet::new();
        let is_taken = |user: &NewUser| {
            let name = &user.username_folded;
            accounts.usernames.contains_key(name) || !names.insert(name.clone())
        };
        if let Some(index) = users.iter().position(is_taken) {
            return Ok(CreatedUsers::UsernameTaken { index });
        }
        users.iter().for_each(|user| accounts.create(user));
        Ok(CreatedUsers::All)
    }

    async fn credentials(
        &self,
        username_folded: String,
    ) -> Result<Option<Credentials>, StoreError> {
        let accounts = &self.data()?.accounts;
        Ok(accounts.usernames.get(&username_folded).map(|user| Credentials {
            user: *user,
            password_hash: accounts.users[user].password_hash.clone(),
        }))
    }

    async fn profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, StoreError> {
        let accounts = &self.data()?.accounts;
        let users: Vec<UserId> = match which {
            ProfileKeys::Ids(users) => users,
            ProfileKeys::Usernames(names) => {
                names.iter().filter_map(|name| accounts.usernames.get(name).copied()).collect()
            }
        };
        let mut seen = HashSet::new();
        let once = users.iter().filter(|user| seen.insert(**user));
        Ok(once.filter_map(|user| Some(accounts.users.get(user)?.profile.clone())).collect())
    }

    async fn start_session(
        &self,
        session: NewSession,
        sessions_max: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.data()?.accounts.start_session(session, sessions_max))
    }

    async fn start_external_session(
        &self,
        login: ExternalLogin,
        sessions_max: usize,
    ) -> Result<ExternalStarted, StoreError> {
        let accounts = &mut self.data()?.accounts;
        let ExternalLogin { external_id, user: new, display_name } = login;
        if let Some(user) = accounts.external.get(&external_id).copied() {
            if let Some(display_name) = display_name {
                accounts.set_display_name(user, &display_name);
            }
            let session = NewSession { user, ..new.session };
            let ended = accounts.start_session(session, sessions_max);
            return Ok(ExternalStarted::Found { user, ended });
        }
        if accounts.usernames.contains_key(&new.username_folded) {
            return Ok(ExternalStarted::UsernameTaken);
        }
        accounts.create(&new);
        accounts.external.insert(external_id, new.user);
        Ok(ExternalStarted::Made)
    }

    async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let accounts = &self.data()?.accounts;
        let known = accounts.sessions.get(&token_hash).filter(|known| known.expires_at > now);
        Ok(known.map(|NewSession { session, user, expires_at, .. }| Session {
            session: *session,
            user: *user,
            expires_at: *expires_at,
        }))
    }

    async fn ended_sessions(
        &self,
        sessions: Vec<(UserId, SessionId)>,
        now: Millis,
    ) -> Result<Vec<SessionId>, StoreError> {
        let accounts = &self.data()?.accounts;
        let good = accounts.sessions.values().filter(|known| known.expires_at > now);
        let good: HashSet<_> = good.map(|known| (known.user, known.session)).collect();
        let ended = sessions.into_iter().filter(|session| !good.contains(session));
        Ok(ended.map(|(_, session)| session).collect())
    }

    async fn touch_sessions(&self, touches: Vec<Touch>) -> Result<(), StoreError> {
        let accounts = &mut self.data()?.accounts;
        touches.into_iter().for_each(|touch| accounts.touch(touch));
        Ok(())
    }

    async fn end_session(&self, token_hash: TokenHash) -> Result<(), StoreError> {
        self.data()?.accounts.sessions.remove(&token_hash);
        Ok(())
    }

    async fn set_password(
        &self,
        keep: TokenHash,
        password_hash: String,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        Ok(self.data()?.accounts.set_password(keep, password_hash))
    }

    async fn set_display_name(
        &self,
        user: UserId,
        display_name: String,
    ) -> Result<Option<Profile>, StoreError> {
        Ok(self.data()?.accounts.set_display_name(user, &display_name))
    }

    async fn last_login_from(
        &self,
        user: UserId,
        address: AddressKey,
    ) -> Result<Option<Millis>, StoreError> {
        let accounts = &self.data()?.accounts;
        Ok(accounts.users.get(&user).and_then(|known| known.logins.get(&address).copied()))
    }
}
