//! Who may post, as far as the room knows, and what waits until it knows.

use super::pending::Pending;
use madang_protocol::{Refusal, Role, UserId};
use madang_store::rooms::{Access, RoomChange};
use std::collections::{BTreeMap, VecDeque};
use tokio::time::Instant;

/// Known standings kept at most; beyond that those nobody waits for are forgotten and asked for
/// again.
pub(super) const KNOWN_MAX: usize = 4_096;

/// Changes that wait for one user at most. Beyond: `overloaded`.
const CHANGES_MAX: usize = 16;

/// What a user is to the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// In it.
    Member(Role),
    /// Not in it, but may know of it.
    Outsider,
    /// Not in it, and must not learn of it.
    Stranger,
}

impl Standing {
    /// As the store tells it; `None`: there is no such room.
    pub fn from_access(access: Option<Access>) -> Self {
        match access {
            Some(Access { role: Some(role), .. }) => Self::Member(role),
            Some(Access { private: false, .. }) => Self::Outsider,
            _ => Self::Stranger,
        }
    }

    /// The role of a member; of others, what they are told.
    pub fn role(self) -> Result<Role, Refusal> {
        match self {
            Self::Member(role) => Ok(role),
            Self::Outsider => Err(Refusal::not_a_member()),
            Self::Stranger => Err(Refusal::no_room()),
        }
    }
}

/// A change as it reaches the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Who asks.
    pub by: UserId,
    /// For what.
    pub change: RoomChange,
}

impl Change {
    /// Whose sends it waits for.
    pub fn user(&self) -> UserId {
        self.change.concerns(self.by)
    }
}

/// Everything about the users that this room heard of.
pub struct Standings<S, M> {
    users: BTreeMap<UserId, User<S, M>>,
    waiting: usize,
    changing: usize,
}

struct User<S, M> {
    known: Option<Standing>,
    /// The standing was asked for.
    asked: bool,
    /// What was asked for may be the standing before a change.
    is_stale: bool,
    /// A change was made or not, nobody knows: to be found out, whether sends wait or not.
    in_doubt: bool,
    /// Sends that wait for the standing, or for changes to be over; counted in `waiting`.
    sends: Vec<Pending<S>>,
    /// In the order they came; at most `CHANGES_MAX`; counted in `changing`.
    changes: VecDeque<Changing<M>>,
}

struct Changing<M> {
    change: Change,
    /// Given to the store; before that it waits for the user's sends to be settled. Only the
    /// first of a user.
    started: bool,
    reply: M,
}

impl<S, M> Standings<S, M> {
    /// Nobody known.
    pub fn new() -> Self {
        Self { users: BTreeMap::new(), waiting: 0, changing: 0 }
    }

    /// Sends that wait here.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// No send waits, and no change.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.changing == 0
    }

    /// The user's standing, if it is known and not about to change.
    pub fn known(&self, user: UserId) -> Option<Standing> {
        let user = self.users.get(&user)?;
        if user.changes.is_empty() { user.known } else { None }
    }

    /// Keeps a send until the standing is known. True: it has to be asked for.
    pub fn wait(&mut self, pending: Pending<S>) -> bool {
        self.forget_if_many();
        self.waiting += 1;
        let user = self.users.entry(pending.submit.sender).or_insert_with(User::unknown);
        user.sends.push(pending);
        user.changes.is_empty() && user.ask()
    }

    /// Takes a change: the sends of its user wait from now on. Gives it back when too many wait.
    pub fn begin_change(&mut self, change: Change, reply: M) -> Result<(), M> {
        self.forget_if_many();
        let user = self.users.entry(change.user()).or_insert_with(User::unknown);
        if user.changes.len() >= CHANGES_MAX {
            return Err(reply);
        }
        user.changes.push_back(Changing { change, started: false, reply });
        self.changing += 1;
        Ok(())
    }

    /// The users whose next change waits to be started.
    pub fn changing(&self) -> Vec<UserId> {
        if self.changing == 0 {
            return Vec::new(); // nearly always, and asked after every batch
        }
        let waits = |user: &User<S, M>| user.changes.front().is_some_and(|next| !next.started);
        self.users.iter().filter(|(_, user)| waits(user)).map(|(id, _)| *id).collect()
    }

    /// Some change was given to the store and is not answered.
    pub fn is_changing(&self) -> bool {
        let is_started = |user: &User<S, M>| user.changes.front().is_some_and(|next| next.started);
        self.changing > 0 && self.users.values().any(is_started)
    }

    /// Starts the next change of `user`, unless one is under way.
    pub fn start_change(&mut self, user: UserId) -> Option<Change> {
        let next = self.users.get_mut(&user)?.changes.front_mut()?;
        (!std::mem::replace(&mut next.started, true)).then(|| next.change.clone())
    }

    /// The change of `user` that was started is over: who waits for it.
    pub fn end_change(&mut self, user: UserId) -> Option<M> {
        self.forget(user);
        let ended = self.users.get_mut(&user)?.changes.pop_front()?;
        self.changing -= 1;
        Some(ended.reply)
    }

    /// What is known of a user, or was asked for, may not be so any more.
    pub fn forget(&mut self, user: UserId) {
        if let Some(user) = self.users.get_mut(&user) {
            user.known = None;
            user.is_stale = user.asked;
        }
    }

    /// What is known of anybody may not be so any more.
    pub fn forget_all(&mut self) {
        for user in self.users.values_mut() {
            user.known = None;
            user.is_stale = user.asked;
        }
    }

    /// True: the standing of `user` has to be asked for, because sends wait for it, or `anyway`.
    pub fn must_ask(&mut self, user: UserId, anyway: bool) -> bool {
        let user = self.users.entry(user).or_insert_with(User::unknown);
        user.in_doubt |= anyway;
        let is_waited_for = !user.sends.is_empty() && user.changes.is_empty();
        (is_waited_for || anyway) && user.ask()
    }

    /// Users whose last change is in doubt and who were not asked about.
    pub fn in_doubt(&self) -> Vec<UserId> {
        let is_meant = |user: &User<S, M>| user.in_doubt && !user.asked;
        self.users.iter().filter(|(_, user)| is_meant(user)).map(|(id, _)| *id).collect()
    }

    /// What became of a change in doubt is known now. True: there was one.
    pub fn end_doubt(&mut self, user: UserId) -> bool {
        self.users.get_mut(&user).is_some_and(|user| std::mem::take(&mut user.in_doubt))
    }

    /// What was asked for came. False: it may be what was before a change.
    pub fn take_answer(&mut self, user: UserId) -> bool {
        let Some(user) = self.users.get_mut(&user) else {
            return true;
        };
        user.asked = false;
        !std::mem::take(&mut user.is_stale)
    }

    /// The user's standing became known: the sends that waited for it.
    pub fn learn(&mut self, user: UserId, standing: Standing) -> Vec<Pending<S>> {
        let user = self.users.entry(user).or_insert_with(User::unknown);
        user.known = Some(standing);
        let sends = std::mem::take(&mut user.sends);
        self.release(sends)
    }

    /// Users whose standing sends wait for, and that was not asked for.
    pub fn unasked(&self) -> Vec<UserId> {
        let is_meant = |user: &User<S, M>| !user.sends.is_empty() && !user.asked;
        self.users.iter().filter(|(_, user)| is_meant(user)).map(|(id, _)| *id).collect()
    }

    /// Takes out the sends whose wait is over.
    pub fn expire(&mut self, now: Instant) -> Vec<Pending<S>> {
        if self.waiting == 0 {
            return Vec::new(); // nearly always
        }
        let mut late = Vec::new();
        for user in self.users.values_mut() {
            late.extend(user.sends.extract_if(.., |send| send.submit.deadline <= now));
        }
        self.release(late)
    }

    /// The user's standing could not be learnt: the sends that waited for it.
    pub fn give_up(&mut self, user: UserId) -> Vec<Pending<S>> {
        let user = self.users.get_mut(&user);
        let sends = user.map(|user| std::mem::take(&mut user.sends)).unwrap_or_default();
        self.release(sends)
    }

    /// Empties it: the sends and the changes that waited.
    pub fn drain(&mut self) -> (Vec<Pending<S>>, Vec<M>) {
        (self.waiting, self.changing) = (0, 0);
        let (mut sends, mut changes) = (Vec::new(), Vec::new());
        for user in std::mem::take(&mut self.users).into_values() {
            sends.extend(user.sends);
            changes.extend(user.changes.into_iter().map(|changing| changing.reply));
        }
        (sends, changes)
    }

    fn release(&mut self, sends: Vec<Pending<S>>) -> Vec<Pending<S>> {
        self.waiting -= sends.len();
        sends
    }

    fn forget_if_many(&mut self) {
        if self.users.len() >= KNOWN_MAX {
            self.users.retain(|_, user| {
                !user.sends.is_empty() || !user.changes.is_empty() || user.in_doubt
            });
        }
    }
}

impl<S, M> Default for Standings<S, M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S, M> User<S, M> {
    fn unknown() -> Self {
        let (sends, changes) = (Vec::new(), VecDeque::new());
        Self { known: None, asked: false, is_stale: false, in_doubt: false, sends, changes }
    }

    /// True: it was not asked for yet.
    fn ask(&mut self) -> bool {
        !std::mem::replace(&mut self.asked, true)
    }
}
