//! Which sessions were used, ahead of the store.

use super::{PENDING_SEEN_MAX, TOUCHES_MAX};
use crate::{hub::Identity, kernel::Clock};
use madang_protocol::Millis;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// When sessions were used last, as far as that is not stored yet. Whoever finds the session of a
/// request notes it, and a hub does when a connection ends; one that is open is used all the time
/// and need not be noted. Cloning shares it.
///
/// Times only move up. At most [`PENDING_SEEN_MAX`] sessions wait to be stored; beyond that a use is
/// not noted, and the next one may be.
#[derive(Clone)]
pub struct LastSeen(Option<Arc<Inner>>);

struct Inner {
    clock: Clock,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    pending: BTreeMap<Identity, Millis>,
    /// The last session handed out to be stored: the next ones are those behind it.
    reached: Option<Identity>,
}

impl LastSeen {
    /// Nothing was used yet.
    pub fn new(clock: Clock) -> Self {
        Self(Some(Arc::new(Inner { clock, noted: Mutex::default() })))
    }

    /// Use is of no interest: nothing is noted, nothing is to be stored.
    pub fn off() -> Self {
        Self(None)
    }

    /// A session is used now.
    pub fn note(&self, identity: Identity) {
        let Some(inner) = &self.0 else { return };
        let now = inner.clock.now();
        let mut noted = inner.noted();
        let is_full = noted.pending.len() >= PENDING_SEEN_MAX;
        if let Some(at) = noted.pending.get_mut(&identity) {
            *at = now.max(*at);
        } else if !is_full {
            noted.pending.insert(identity, now);
        }
    }

    /// What is to be stored: what was noted, and those that are `open`, which are used now. At most
    /// [`TOUCHES_MAX`], each once; where there are more, each has its turn. Say with `stored` that
    /// they were.
    pub fn due(&self, open: Vec<Identity>) -> Vec<(Identity, Millis)> {
        let Some(inner) = &self.0 else { return Vec::new() };
        let now = inner.clock.now();
        let mut noted = inner.noted();
        let mut seen = noted.pending.clone();
        for identity in open {
            let at = seen.entry(identity).or_default();
            *at = now.max(*at);
        }
        let mut seen: Vec<_> = seen.into_iter().collect();
        let next = seen.partition_point(|(identity, _)| Some(*identity) <= noted.reached);
        seen.rotate_left(next);
        seen.truncate(TOUCHES_MAX);
        noted.reached = seen.last().map(|(identity, _)| *identity);
        seen
    }

    /// These are stored, and wait no more unless they were used since.
    pub fn stored(&self, seen: &[(Identity, Millis)]) {
        let Some(inner) = &self.0 else { return };
        let pending = &mut inner.noted().pending;
        for (identity, stored) in seen {
            if pending.get(identity).is_some_and(|at| at <= stored) {
                pending.remove(identity);
            }
        }
    }
}

impl Inner {
    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use madang_protocol::{SessionId, UserId};
    use std::time::Duration;

    const ANN: Identity = identity(1);
    const BEN: Identity = identity(2);

    const fn identity(number: u8) -> Identity {
        Identity { user: UserId([number; 15]), session: SessionId([number; 15]) }
    }

    fn at(time: Millis) -> LastSeen {
        LastSeen::new(Clock::following_runtime(time))
    }

    async fn pass(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_use_is_stored_once() {
        let seen = at(1_000);
        seen.note(BEN);
        seen.note(ANN);
        pass(5).await;
        seen.note(ANN);
        let due = seen.due(vec![]);
        assert_eq!(due, [(ANN, 1_005), (BEN, 1_000)]);
        assert_eq!(seen.due(vec![]), due, "not stored yet");
        seen.stored(&due);
        assert_eq!(seen.due(vec![]), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_used_meanwhile_waits_still() {
        let seen = at(1_000);
        seen.note(ANN);
        let due = seen.due(vec![]);
        pass(5).await;
        seen.note(ANN);
        seen.stored(&due);
        assert_eq!(seen.due(vec![]), [(ANN, 1_005)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_connection_is_used_now() {
        let seen = at(1_000);
        seen.note(ANN);
        pass(5).await;
        let due = seen.due(vec![BEN, ANN, ANN]);
        assert_eq!(due, [(ANN, 1_005), (BEN, 1_005)]);
        seen.stored(&due);
        assert_eq!(seen.due(vec![]), [], "noted by nobody");
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_moves_nothing_back() {
        let time = Arc::new(Mutex::new(1_000));
        let told = time.clone();
        let seen = LastSeen::new(Clock::from_fn(move || *told.lock().unwrap()));
        seen.note(ANN);
        *time.lock().unwrap() = 900;
        seen.note(ANN);
        assert_eq!(seen.due(vec![ANN, BEN]), [(ANN, 1_000), (BEN, 900)]);
    }

    #[tokio::test(start_paused = true)]
    async fn of_too_many_each_has_its_turn() {
        let seen = at(1_000);
        let session = |number: usize| {
            let mut identity = identity(3);
            identity.session.0[..8].copy_from_slice(&(number as u64).to_be_bytes());
            identity
        };
        let open: Vec<_> = (0..TOUCHES_MAX + 2).map(session).collect();
        seen.note(open[0]);
        let first = seen.due(open.clone());
        assert_eq!((first.len(), first[0].0), (TOUCHES_MAX, open[0]));
        seen.stored(&first);
        let second = seen.due(open.clone());
        assert_eq!((second.len(), second[0].0), (TOUCHES_MAX, open[TOUCHES_MAX]));
        assert_eq!(second[2].0, open[0], "and from the beginning");
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_bounded_and_what_waits_already_moves_on() {
        let seen = at(1_000);
        for number in 0..=PENDING_SEEN_MAX as u64 {
            let mut user = UserId([0; 15]);
            user.0[..8].copy_from_slice(&number.to_be_bytes());
            seen.note(Identity { user, ..ANN });
        }
        let pending = |seen: &LastSeen| seen.0.as_ref().unwrap().noted().pending.clone();
        assert_eq!(pending(&seen).len(), PENDING_SEEN_MAX);
        pass(5).await;
        seen.note(Identity { user: UserId([0; 15]), ..ANN });
        assert_eq!(pending(&seen).first_key_value().map(|(_, at)| *at), Some(1_005));
        seen.stored(&seen.due(vec![]));
        assert_eq!(pending(&seen).len(), PENDING_SEEN_MAX - TOUCHES_MAX);
    }

    #[test]
    fn what_is_off_notes_nothing() {
        let seen = LastSeen::off();
        seen.note(ANN);
        assert_eq!(seen.due(vec![ANN]), []);
    }
}
