//! Reads that look at copies first, where the store is far away.

use super::{Query, Reader, refusal};
use crate::{
    hub::Identity,
    metrics::{Cache, Metrics},
};
use madang_protocol::{Millis, Refusal, RoomId, UserId};
use madang_store::{
    Store, StoreError,
    accounts::{Profile, ProfileKeys, Session, TokenHash},
    cache::{Caches, Forget, Membership, Readers},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// What is looked at before the store, and how often that spared a read.
#[derive(Clone)]
pub(super) struct Copies {
    readers: Readers,
    metrics: Arc<Metrics>,
}

impl Copies {
    /// Counts a look-up by whether the read it came with, which says so by this, was begun.
    async fn counted<T>(&self, cache: Cache, found: impl Future<Output = T>, read: &Begun) -> T {
        let found = found.await;
        self.metrics.looked_up(cache, !read.0.load(Ordering::Relaxed));
        found
    }
}

/// Whether a read was begun.
#[derive(Clone, Default)]
struct Begun(Arc<AtomicBool>);

impl Begun {
    fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Reader {
    /// Looks at these caches before the store, for sessions, profiles and memberships. Not for a
    /// store in this process: a copy is no faster there, only older.
    pub fn beside(mut self, caches: Caches, metrics: Arc<Metrics>) -> Self {
        self.copies = Some(Copies { readers: Readers::new(caches), metrics });
        self
    }

    /// To be called behind the commit of whatever made copies untrue; `madang_store::cache` lists
    /// when. What is read here after the call is true. What is returned costs one call to each cache
    /// concerned, at most its deadline, and nothing where there is none.
    pub fn forget(&self, forget: &Forget) -> impl Future<Output = ()> + Send + use<> {
        let forgetting = self.copies.as_ref().map(|copies| copies.readers.forget(forget));
        async move {
            if let Some(forgetting) = forgetting {
                forgetting.await;
            }
        }
    }

    /// The same by those who hear that another node has done it: calls no cache.
    pub(crate) fn disbelieve(&self, forget: &Forget) {
        if let Some(copies) = &self.copies {
            copies.readers.disbelieve(forget);
        }
    }

    /// The same about everything: what was to be forgotten may have been missed.
    pub(crate) fn disbelieve_all(&self) {
        if let Some(copies) = &self.copies {
            copies.readers.disbelieve_all();
        }
    }

    /// Whether there are any copies to be forgotten.
    pub(crate) fn has_copies(&self) -> bool {
        self.copies.is_some()
    }

    /// See `AccountStore::session`. Whoever asks uses it, which is noted. One that has ended may be
    /// there for as long as nobody has told this node, at most a minute.
    pub async fn session(
        &self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, Refusal> {
        let stored = self.clone().stored_session(token_hash, now);
        let found = match &self.copies {
            Some(copies) => {
                let read = Begun::default();
                let begun = read.clone();
                let load = move || {
                    begun.now();
                    stored
                };
                let found = copies.readers.session(token_hash, now, load);
                copies.counted(Cache::Sessions, found, &read).await
            }
            None => stored.await,
        };
        let found = found.map_err(|error| refusal(&error))?;
        if let Some(Session { user, session, .. }) = found {
            self.last_seen.note(Identity { user, session });
        }
        Ok(found)
    }

    /// See `AccountStore::profiles`. By ids: as they were within the last minute.
    pub async fn profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, Refusal> {
        let found = match (&self.copies, which) {
            (Some(copies), ProfileKeys::Ids(users)) => {
                let (reader, read) = (self.clone(), Begun::default());
                let begun = read.clone();
                let load = move |users| async move {
                    begun.now();
                    reader.stored_profiles(ProfileKeys::Ids(users)).await
                };
                let found = copies.readers.profiles(users, load);
                copies.counted(Cache::Profiles, found, &read).await
            }
            (_, which) => self.stored_profiles(which).await,
        };
        found.map_err(|error| refusal(&error))
    }

    /// What `user` is in `room`; `None`: no such room. For whoever wants to read what is there
    /// already: a member who was removed may be one for as long as nobody has told this node, at
    /// most a minute. Whoever is to receive what comes asks [`Reader::access`].
    pub async fn membership(
        &self,
        user: UserId,
        room: RoomId,
    ) -> Result<Option<Membership>, Refusal> {
        let (reader, read) = (self.clone(), Begun::default());
        let begun = read.clone();
        let load = move |rooms| async move {
            begun.now();
            let found = reader.access_now(user, rooms).await?.into_iter();
            Ok(found.map(|access| access.map(Membership::from)).collect())
        };
        let found: Result<Vec<_>, StoreError> = match &self.copies {
            Some(copies) => {
                let found = copies.readers.memberships(user, vec![room], load);
                copies.counted(Cache::Members, found, &read).await
            }
            None => load(vec![room]).await,
        };
        Ok(found.map_err(|error| refusal(&error))?.pop().flatten())
    }

    async fn stored_session(
        self,
        token_hash: TokenHash,
        now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        let read = async move |store: Store| store.accounts.session(token_hash, now).await;
        self.read(Query::Session(token_hash), read).await
    }

    async fn stored_profiles(&self, which: ProfileKeys) -> Result<Vec<Profile>, StoreError> {
        let query = Query::Profiles(which.clone());
        let read = async move |store: Store| store.accounts.profiles(which).await;
        self.read(query, read).await
    }
}
