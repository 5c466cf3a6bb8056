//! A cache beside the store.

use super::{Cache, FORGOTTEN, Key, LOAD_LONGEST, TTL, marks::Marks};
use crate::StoreError;
use futures_util::{FutureExt, future::Shared};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

/// Different reads under way at most. Beyond: `Overloaded`, at once.
const FLIGHTS_MAX: usize = 4_096;
/// A copy that could not be taken out is gone by itself after this.
const COPIES_GONE: Duration = Duration::from_secs(60);

/// Reads through a cache: what it lacks is asked of the store and put in. Identical reads at once are
/// one, also while the cache gives no answer, so a cache that dies does not send a crowd to the
/// store. Cloning shares it.
///
/// Whoever asks after [`LookAside::forget`] has begun sees what was committed before: they join
/// no read that was under way, and copies of that key are not looked at for a while.
pub struct LookAside<K: Key> {
    inner: Arc<Inner<K>>,
}

struct Inner<K: Key> {
    cache: Arc<dyn Cache<K>>,
    state: Mutex<State<K>>,
}

struct State<K: Key> {
    /// Reads under way that others may join.
    flights: HashMap<Vec<K>, Flight<K>>,
    /// Tells a read from the one before it under the same keys.
    last_flight: u64,
    /// Keys whose copies are not to be believed.
    forgotten: Marks<K>,
}

struct Flight<K: Key> {
    number: u64,
    answer: Awaited<K>,
}

/// What was found of each key, in the order asked.
type Answer<K> = Result<Arc<Vec<Option<<K as Key>::Value>>>, StoreError>;

/// Wakes those who wait in the same order each time, which a `watch` does not, so that a simulated
/// world repeats itself.
type Awaited<K> = Shared<oneshot::Receiver<Answer<K>>>;

impl<K: Key> Clone for LookAside<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K: Key> LookAside<K> {
    /// Beside `cache`.
    pub fn new(cache: Arc<dyn Cache<K>>) -> Self {
        let state = State { flights: HashMap::new(), last_flight: 0, forgotten: Marks::new() };
        Self { inner: Arc::new(Inner { cache, state: Mutex::new(state) }) }
    }

    /// The value of each key, in the order asked. `load` reads from the store those that the cache
    /// has no copy of, or none that is `good`, and has to end by itself in bounded time. Copies are
    /// made of what is `good`. The read goes on, for the others, when its caller goes away.
    pub async fn get<L>(
        &self,
        keys: Vec<K>,
        good: impl Fn(&K::Value) -> bool + Send + 'static,
        load: impl FnOnce(Vec<K>) -> L + Send + 'static,
    ) -> Result<Vec<Option<K::Value>>, StoreError>
    where
        L: Future<Output = Result<Vec<Option<K::Value>>, StoreError>> + Send + 'static,
    {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.join_or_begin(keys, good, load)?.await;
        let gone = |_| StoreError::Unavailable("the read was dropped".to_owned());
        answer.map_err(gone)?.map(Arc::unwrap_or_clone)
    }

    /// To be called behind the commit that made the copies of these keys untrue.
    pub async fn forget(&self, keys: &[K]) {
        if keys.is_empty() {
            return;
        }
        self.disbelieve(keys);
        match self.inner.cache.forget(keys).await {
            Ok(()) => self.stop_believing(keys, FORGOTTEN),
            Err(error) => tracing::debug!(%error, kind = K::KIND, "copies are left to end"),
        }
    }

    /// Believes no copy of these keys until those that are there now are gone.
    pub fn disbelieve(&self, keys: &[K]) {
        if !keys.is_empty() {
            self.stop_believing(keys, COPIES_GONE);
        }
    }

    /// Believes no copy at all until those that are there now are gone.
    pub fn disbelieve_all(&self) {
        let mut state = self.inner.state();
        state.flights.clear();
        state.forgotten.set_all(Instant::now() + COPIES_GONE);
    }

    /// Lets nobody join a read that is under way.
    pub fn part(&self) {
        self.inner.state().flights.clear();
    }

    fn stop_believing(&self, keys: &[K], time: Duration) {
        let mut state = self.inner.state();
        state.flights.retain(|asked, _| !asked.iter().any(|key| keys.contains(key)));
        let now = Instant::now();
        keys.iter().for_each(|key| state.forgotten.set(key.clone(), now + time, now));
    }

    fn join_or_begin<L>(
        &self,
        keys: Vec<K>,
        good: impl Fn(&K::Value) -> bool + Send + 'static,
        load: impl FnOnce(Vec<K>) -> L + Send + 'static,
    ) -> Result<Awaited<K>, StoreError>
    where
        L: Future<Output = Result<Vec<Option<K::Value>>, StoreError>> + Send + 'static,
    {
        let mut state = self.inner.state();
        if let Some(flight) = state.flights.get(&keys) {
            return Ok(flight.answer.clone());
        }
        if state.flights.len() >= FLIGHTS_MAX {
            return Err(StoreError::Overloaded);
        }
        let (sender, answer) = oneshot::channel();
        let answer = answer.shared();
        state.last_flight += 1;
        let number = state.last_flight;
        state.flights.insert(keys.clone(), Flight { number, answer: answer.clone() });
        drop(state);
        let landing = Landing { inner: self.inner.clone(), keys, number };
        tokio::spawn(fly(landing, sender, good, load));
        Ok(answer)
    }
}

impl<K: Key> Inner<K> {
    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies that may be believed; none where the cache gives no answer, and whether it gave one.
    async fn copies(&self, keys: &[K]) -> (Vec<Option<K::Value>>, bool) {
        let believed = self.believed(keys);
        let asked: Vec<K> = of(keys, &believed).cloned().collect();
        let found = if asked.is_empty() { Ok(Vec::new()) } else { self.cache.get(&asked).await };
        let is_there = found.is_ok();
        let mut found = found.unwrap_or_default().into_iter();
        let mut copy = |is: &bool| is.then(|| found.next().flatten()).flatten();
        (believed.iter().map(&mut copy).collect(), is_there)
    }

    async fn fill(&self, loaded: Vec<(K, K::Value)>) {
        let keys: Vec<K> = loaded.iter().map(|(key, _)| key.clone()).collect();
        let believed = self.believed(&keys).into_iter();
        let copies: Vec<_> =
            loaded.into_iter().zip(believed).filter(|(_, is)| *is).map(|(copy, _)| copy).collect();
        if !copies.is_empty() && self.cache.put(copies, TTL).await.is_err() {
            tracing::trace!(kind = K::KIND, "no copy was put in");
        }
    }

    fn believed(&self, keys: &[K]) -> Vec<bool> {
        let (state, now) = (self.state(), Instant::now());
        keys.iter().map(|key| !state.forgotten.has(key, now)).collect()
    }
}

/// Takes a read off the list when it has ended, by a panic as well.
struct Landing<K: Key> {
    inner: Arc<Inner<K>>,
    keys: Vec<K>,
    number: u64,
}

impl<K: Key> Drop for Landing<K> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if state.flights.get(&self.keys).is_some_and(|flight| flight.number == self.number) {
            state.flights.remove(&self.keys);
        }
    }
}

async fn fly<K: Key, L>(
    landing: Landing<K>,
    sender: oneshot::Sender<Answer<K>>,
    good: impl Fn(&K::Value) -> bool + Send + 'static,
    load: impl FnOnce(Vec<K>) -> L + Send + 'static,
) where
    L: Future<Output = Result<Vec<Option<K::Value>>, StoreError>> + Send + 'static,
{
    let (inner, keys) = (landing.inner.clone(), landing.keys.clone());
    let (mut values, has_cache) = inner.copies(&keys).await;
    values.iter_mut().for_each(|value| *value = value.take().filter(&good));
    let missing: Vec<bool> = values.iter().map(Option::is_none).collect();
    let wanted: Vec<K> = of(&keys, &missing).cloned().collect();
    let count = wanted.len();
    let began = Instant::now();
    let loaded = if wanted.is_empty() { Ok(Vec::new()) } else { load(wanted.clone()).await };
    let (answer, new) = match loaded {
        Ok(loaded) => {
            let places = values.iter_mut().filter(|value| value.is_none());
            places.zip(loaded.iter()).for_each(|(place, value)| place.clone_from(value));
            let new = wanted.into_iter().zip(loaded);
            let new: Vec<_> =
                new.filter_map(|(key, value)| Some((key, value.filter(&good)?))).collect();
            (Ok(Arc::new(values)), new)
        }
        Err(error) => (Err(error), Vec::new()),
    };
    // Whoever comes before the copies are there joins this read instead of beginning another, unless
    // it found something that is not to be copied.
    let is_copied = began.elapsed() < LOAD_LONGEST && new.len() == count;
    let landing = (has_cache && is_copied).then_some(landing);
    // Whoever asked may have gone away; and nobody waits for what follows.
    let _ = sender.send(answer);
    if began.elapsed() < LOAD_LONGEST {
        inner.fill(new).await;
    }
    drop(landing);
}

/// Those of `keys` that are marked.
fn of<'a, K>(keys: &'a [K], marked: &'a [bool]) -> impl Iterator<Item = &'a K> {
    keys.iter().zip(marked).filter(|(_, marked)| **marked).map(|(key, _)| key)
}

#[cfg(test)]
mod tests;
