//! Reads that look at copies first, where the store is far away.

use super::{Query, Reader, refusal};
use crate::hub::Identity;
use madang_protocol::{Millis, Refusal, RoomId, UserId};
use madang_store::{
    Store, StoreError,
    accounts::{Profile, ProfileKeys, Session, TokenHash},
    cache::{Caches, Forget, Membership, Readers},
};

impl Reader {
    /// Looks at these caches before the store, for sessions, profiles and memberships. Not for a
    /// store in this process: a copy is no faster there, only older.
    pub fn beside(mut self, caches: Caches) -> Self {
        self.copies = Some(Readers::new(caches));
        self
    }

    /// To be called behind the commit of whatever made copies untrue; `madang_store::cache` lists
    /// when. What is read here after the call is true. What is returned costs one call to each cache
    /// concerned, at most its deadline, and nothing where there is none.
    pub fn forget(&self, forget: &Forget) -> impl Future<Output = ()> + Send + use<> {
        let forgetting = self.copies.as_ref().map(|copies| copies.forget(forget));
        async move {
            if let Some(forgetting) = forgetting {
                forgetting.await;
            }
        }
    }

    /// The same by those who hear that another node has done it: calls no cache.
    pub(crate) fn disbelieve(&self, forget: &Forget) {
        if let Some(copies) = &self.copies {
            copies.disbelieve(forget);
        }
    }

    /// The same about everything: what was to be forgotten may have been missed.
    pub(crate) fn disbelieve_all(&self) {
        if let Some(copies) = &self.copies {
            copies.disbelieve_all();
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
            Some(copies) => copies.session(token_hash, now, move || stored).await,
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
                let reader = self.clone();
                let load =
                    |users| async move { reader.stored_profiles(ProfileKeys::Ids(users)).await };
                copies.profiles(users, load).await
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
        let reader = self.clone();
        let load = move |rooms| async move {
            let found = reader.access_now(user, rooms).await?.into_iter();
            Ok(found.map(|access| access.map(Membership::from)).collect())
        };
        let found: Result<Vec<_>, StoreError> = match &self.copies {
            Some(copies) => copies.memberships(user, vec![room], load).await,
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
