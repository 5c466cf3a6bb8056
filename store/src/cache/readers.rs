//! The caches of a node, as those who read use them.

use super::{Caches, Forget, LookAside, MemberKey, Membership, TokenKey, marks::Marks};
use crate::{
    StoreError,
    accounts::{Profile, Session, TokenHash},
};
use madang_protocol::{Millis, RoomId, SessionId, UserId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::{Duration, Instant};

/// Longer than any copy of a session that has ended.
const ENDED_REMEMBERED: Duration = Duration::from_secs(60);

/// Reads sessions, profiles and memberships beside the store. Cloning shares it.
#[derive(Clone)]
pub struct Readers {
    sessions: LookAside<TokenKey>,
    profiles: LookAside<UserId>,
    members: LookAside<MemberKey>,
    /// Sessions that have ended, as far as this node was told: their copies stand under tokens,
    /// which those who end a session mostly do not know.
    ended: Arc<Mutex<Marks<SessionId>>>,
}

impl Readers {
    /// Beside these caches.
    pub fn new(caches: Caches) -> Self {
        Self {
            sessions: LookAside::new(caches.sessions),
            profiles: LookAside::new(caches.profiles),
            members: LookAside::new(caches.members),
            ended: Arc::new(Mutex::new(Marks::new())),
        }
    }

    /// See `AccountStore::session`, which is what `load` asks.
    pub async fn session<L>(
        &self,
        token_hash: TokenHash,
        now: Millis,
        load: impl FnOnce() -> L + Send + 'static,
    ) -> Result<Option<Session>, StoreError>
    where
        L: Future<Output = Result<Option<Session>, StoreError>> + Send + 'static,
    {
        let ended = self.ended.clone();
        // A copy does not know that its session was used since: whether it is over, the store says.
        let good = move |session: &Session| {
            session.expires_at > now && !lock(&ended).has(&session.session, Instant::now())
        };
        let load = move |_| {
            let found = load();
            async move { Ok(vec![found.await?]) }
        };
        let mut found = self.sessions.get(vec![TokenKey(token_hash)], good, load).await?;
        Ok(found.pop().flatten())
    }

    /// See `AccountStore::profiles` by ids, which is what `load` asks.
    pub async fn profiles<L>(
        &self,
        users: Vec<UserId>,
        load: impl FnOnce(Vec<UserId>) -> L + Send + 'static,
    ) -> Result<Vec<Profile>, StoreError>
    where
        L: Future<Output = Result<Vec<Profile>, StoreError>> + Send + 'static,
    {
        let mut once = Vec::with_capacity(users.len());
        for user in users {
            if !once.contains(&user) {
                once.push(user);
            }
        }
        let load = move |users: Vec<UserId>| {
            let found = load(users.clone());
            async move {
                let found = found.await?.into_iter().map(|profile| (profile.user, profile));
                let mut found: HashMap<_, _> = found.collect();
                Ok(users.iter().map(|user| found.remove(user)).collect())
            }
        };
        Ok(self.profiles.get(once, |_| true, load).await?.into_iter().flatten().collect())
    }

    /// What `user` is in each of `rooms`, in the order asked; `None`: no such room. `load` asks
    /// `RoomStore::access`. That somebody is no member is always said by the store: who has just
    /// become one must not be turned away.
    pub async fn memberships<L>(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
        load: impl FnOnce(Vec<RoomId>) -> L + Send + 'static,
    ) -> Result<Vec<Option<Membership>>, StoreError>
    where
        L: Future<Output = Result<Vec<Option<Membership>>, StoreError>> + Send + 'static,
    {
        let keys = rooms.into_iter().map(|room| MemberKey { room, user }).collect();
        let load = move |keys: Vec<MemberKey>| load(keys.iter().map(|key| key.room).collect());
        self.members.get(keys, |member| member.role.is_some(), load).await
    }

    /// To be called behind the commit that made these untrue. From the moment of the call this node
    /// believes no copy of them; when what is returned has ended, the shared cache has none either, if
    /// it answers.
    pub fn forget(&self, forget: &Forget) -> impl Future<Output = ()> + Send + use<> {
        self.disbelieve(forget);
        let (readers, forget) = (self.clone(), forget.clone());
        async move {
            tokio::join!(
                readers.sessions.forget(&forget.tokens),
                readers.profiles.forget(&forget.profiles),
                readers.members.forget(&forget.members),
            );
        }
    }

    /// From now on this node believes no copy of these that is there already. Asks no cache: for
    /// those who hear that another node has had them forgotten.
    pub fn disbelieve(&self, Forget { sessions, profiles, members, tokens }: &Forget) {
        if !sessions.is_empty() {
            let now = Instant::now();
            let mut ended = lock(&self.ended);
            sessions.iter().for_each(|session| ended.set(*session, now + ENDED_REMEMBERED, now));
            drop(ended);
            self.sessions.part();
        }
        self.sessions.disbelieve(tokens);
        self.profiles.disbelieve(profiles);
        self.members.disbelieve(members);
    }

    /// From now on this node believes no copy at all that is there already: it may have missed which
    /// were to be forgotten.
    pub fn disbelieve_all(&self) {
        self.sessions.disbelieve_all();
        self.profiles.disbelieve_all();
        self.members.disbelieve_all();
    }
}

/// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
