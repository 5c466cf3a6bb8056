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
    open::{Options, StoreControl},
};
use accounts::Accounts;
use async_trait::async_trait;
use madang_protocol::{ClientId, RoomId, UserId};
use madang_resilience::{Part, State as Condition};
use room::Room;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Opens an empty one, with the bounds of `options`; its medium is not looked at.
pub fn open(options: &Options) -> Store {
    let Options { members_max, rooms_max, .. } = *options;
    let store = Arc::new(InProcess {
        data: Mutex::default(),
        bounds: Bounds { members: members_max, rooms: rooms_max },
    });
    Store {
        log: store.clone(),
        rooms: store.clone(),
        receipts: store.clone(),
        accounts: store.clone(),
        control: store,
    }
}

/// See the module.
struct InProcess {
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
#[derive(Default)]
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
