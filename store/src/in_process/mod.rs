//! A store in the memory of one process: every trait, nothing on a disk, no thread of its own.
//!
//! For worlds that are simulated, and as the plainest reading of the traits: each call takes effect
//! at once and in one piece, so whoever wants delays, faults or crashes puts
//! [`crate::faulty`] around it. Nothing outlives the process.

mod accounts;
mod log;
mod membership;
mod room;
mod rooms;

use crate::{
    Store, StoreError,
    log::{Appended, Stopped},
    open::{Options, StoreControl},
    rooms::{RoomChange, RoomChanged},
};
use accounts::Accounts;
use async_trait::async_trait;
use madang_protocol::{ClientId, Entry, Millis, RoomId, UserId};
use madang_resilience::{Part, State as Condition};
use room::Room;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Opens an empty one, with the bounds of `options`; its medium is not looked at.
pub fn open(options: &Options) -> Store {
    let store = Arc::new(InProcess::new(options));
    Store {
        log: store.clone(),
        rooms: store.clone(),
        receipts: store.clone(),
        accounts: store.clone(),
        control: store,
    }
}

/// See the module.
pub(crate) struct InProcess {
    data: Mutex<Data>,
    bounds: Bounds,
}

#[derive(Clone, Copy)]
struct Bounds {
    /// Of a room.
    members: u64,
    /// Of a user.
    rooms: u64,
}

/// Everything. Grows with what is stored, as any store does.
#[derive(Clone, Default)]
struct Data {
    rooms: BTreeMap<RoomId, Room>,
    /// Of each user.
    rooms_of: HashMap<UserId, BTreeSet<RoomId>>,
    /// By creator and the creator's name for it.
    created: HashMap<(UserId, ClientId), RoomId>,
    /// By pair, the lower id first.
    direct: HashMap<(UserId, UserId), RoomId>,
    accounts: Accounts,
    is_closed: bool,
}

impl InProcess {
    pub(crate) fn new(options: &Options) -> Self {
        let Options { members_max, rooms_max, .. } = *options;
        let bounds = Bounds { members: members_max, rooms: rooms_max };
        Self { data: Mutex::default(), bounds }
    }

    /// Has from now on what `other` has now.
    pub(crate) fn become_copy_of(&self, other: &Self) {
        let data = other.lock().clone();
        *self.lock() = data;
    }

    /// Knows the users that `other` knows.
    pub(crate) fn know_accounts_of(&self, other: &Self) {
        let accounts = other.lock().accounts.clone();
        self.lock().accounts = accounts;
    }

    /// As [`crate::MessageLog::append`].
    pub(crate) fn append_now(&self, entries: &[Entry]) -> Appended {
        match self.data() {
            Ok(mut data) => log::append(&mut data, entries),
            Err(error) => Appended { committed: 0, stopped: Some(Stopped::Refused(error)) },
        }
    }

    /// As [`crate::RoomStore::change`].
    pub(crate) fn change_now(
        &self,
        room: RoomId,
        by: UserId,
        change: &RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        Ok(membership::change(&mut *self.data()?, room, by, change, at, self.bounds))
    }

    /// The newest message of a room; 0 = none.
    pub(crate) fn last_seq(&self, room: RoomId) -> u64 {
        self.lock().rooms.get(&room).map_or(0, |of_room| of_room.heads.last_seq)
    }

    /// Every change under the lock is complete in itself, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn data(&self) -> Result<MutexGuard<'_, Data>, StoreError> {
        let data = self.lock();
        if data.is_closed {
            return Err(StoreError::Unavailable("closed".into()));
        }
        Ok(data)
    }
}

impl Data {
    /// How many rooms a user is in.
    fn room_count(&self, user: UserId) -> u64 {
        self.rooms_of.get(&user).map_or(0, |rooms| rooms.len() as u64)
    }
}

#[async_trait]
impl StoreControl for InProcess {
    fn health(&self) -> Part {
        let state = if self.lock().is_closed { Condition::Down } else { Condition::Ok };
        Part { state, since: 0 }
    }

    async fn close(&self) {
        self.lock().is_closed = true;
    }
}
