//! Who may post, as far as the room knows, and what waits until it knows.

use super::pending::Pending;
use madang_protocol::{Refusal, Role, UserId};
use madang_store::rooms::Access;
use std::collections::HashMap;

/// Known standings kept at most; beyond that those nobody waits for are forgotten and asked for
/// again.
const KNOWN_MAX: usize = 4_096;

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

    /// Why this user may not post; `None`: it may.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Member(_) => None,
            Self::Outsider => Some(Refusal::not_a_member()),
            Self::Stranger => Some(Refusal::no_room()),
        }
    }
}

/// A membership change as it reaches the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// Become a member.
    Join,
    /// Stop being one.
    Leave,
}

/// Everything about the users that this room heard of.
pub struct Standings<S, M> {
    users: HashMap<UserId, User<S, M>>,
    waiting: usize,
    changing: usize,
}

struct User<S, M> {
    known: Option<Standing>,
    /// Sends that wait for the standing, or for a change to be over; counted in `waiting`.
    sends: Vec<Pending<S>>,
    change: Option<Changing<M>>,
}

struct Changing<M> {
    change: Change,
    /// Given to the store; before that it waits for the user's sends to be settled.
    started: bool,
    reply: M,
}

impl<S, M> Standings<S, M> {
    /// Nobody known.
    pub fn new() -> Self {
        Self { users: HashMap::new(), waiting: 0, changing: 0 }
    }

    /// Sends that wait here.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// No send and no change waits.
    pub fn is_idle(&self) -> bool {
        self.waiting == 0 && self.changing == 0
    }

    /// The user's standing, if it is known and not about to change.
    pub fn known(&self, user: UserId) -> Option<Standing> {
        let user = self.users.get(&user)?;
        if user.change.is_some() { None } else { user.known }
    }

    /// Keeps a send until the standing is known. True: nobody has asked for it yet.
    pub fn wait(&mut self, pending: Pending<S>) -> bool {
        self.forget_if_many();
        self.waiting += 1;
        let user = self.users.entry(pending.submit.sender).or_insert_with(User::unknown);
        user.sends.push(pending);
        user.sends.len() == 1 && user.change.is_none()
    }

    /// Puts a change of `user` first: its sends wait from now on. Gives it back when one is under
    /// way already.
    pub fn begin_change(&mut self, user: UserId, change: Change, reply: M) -> Result<(), M> {
        self.forget_if_many();
        let user = self.users.entry(user).or_insert_with(User::unknown);
        if user.change.is_some() {
            return Err(reply);
        }
        user.change = Some(Changing { change, started: false, reply });
        self.changing += 1;
        Ok(())
    }

    /// The users whose change waits to be started.
    pub fn changing(&self) -> Vec<UserId> {
        if self.changing == 0 {
            return Vec::new(); // nearly always, and asked after every batch
        }
        let waits = |user: &User<S, M>| user.change.as_ref().is_some_and(|change| !change.started);
        self.users.iter().filter(|(_, user)| waits(user)).map(|(id, _)| *id).collect()
    }

    /// Starts the change that waits for `user`.
    pub fn start_change(&mut self, user: UserId) -> Option<Change> {
        let changing = self.users.get_mut(&user)?.change.as_mut()?;
        (!std::mem::replace(&mut changing.started, true)).then_some(changing.change)
    }

    /// A change is over: who waits for it. The standing has to be asked for, or told, again.
    pub fn end_change(&mut self, user: UserId) -> Option<M> {
        let user = self.users.get_mut(&user)?;
        user.known = None;
        let changing = user.change.take()?;
        self.changing -= 1;
        Some(changing.reply)
    }

    /// The user's standing became known: the sends that waited for it.
    pub fn learn(&mut self, user: UserId, standing: Standing) -> Vec<Pending<S>> {
        let user = self.users.entry(user).or_insert_with(User::unknown);
        user.known = Some(standing);
        let sends = std::mem::take(&mut user.sends);
        self.release(sends)
    }

    /// The user's standing could not be learnt: the sends that waited for it.
    pub fn give_up(&mut self, user: UserId) -> Vec<Pending<S>> {
        let user = self.users.get_mut(&user);
        let sends = user.map(|user| std::mem::take(&mut user.sends)).unwrap_or_default();
        self.release(sends)
    }

    /// Some send of `user` waits here.
    pub fn has_waiting(&self, user: UserId) -> bool {
        self.users.get(&user).is_some_and(|user| !user.sends.is_empty())
    }

    /// Empties it: the sends and the changes that waited.
    pub fn drain(&mut self) -> (Vec<Pending<S>>, Vec<M>) {
        (self.waiting, self.changing) = (0, 0);
        let (mut sends, mut changes) = (Vec::new(), Vec::new());
        for (_, user) in self.users.drain() {
            sends.extend(user.sends);
            changes.extend(user.change.map(|changing| changing.reply));
        }
        (sends, changes)
    }

    fn release(&mut self, sends: Vec<Pending<S>>) -> Vec<Pending<S>> {
        self.waiting -= sends.len();
        sends
    }

    fn forget_if_many(&mut self) {
        if self.users.len() >= KNOWN_MAX {
            self.users.retain(|_, user| !user.sends.is_empty() || user.change.is_some());
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
        Self { known: None, sends: Vec::new(), change: None }
    }
}
