//! Read positions of senders, ahead of the database.
//!
//! Whoever sends has read what they sent. Writing that with every message would double the writes,
//! so it is noted here, seen by every answer of this node at once, and written with the next bulk
//! of receipts or after [`positions_interval`](crate::ClusterOptions::positions_interval). A crash
//! loses what was noted since: the sender then seems to have read less than they have.

use crate::receipts::Read;
use madang_protocol::{RoomId, UserId};
use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Positions noted at once, at most. Beyond: a new sender's is not noted, and stays where their
/// last receipt has it.
const NOTED_MAX: usize = 100_000;

/// See the module.
#[derive(Default)]
pub(super) struct Positions(Mutex<HashMap<(RoomId, UserId), Position>>);

#[derive(Clone, Copy)]
struct Position {
    seq: u64,
    /// The database has this, or more.
    stored: u64,
    /// It was there at the last [`Positions::tidy`] already.
    is_old: bool,
}

impl Positions {
    /// These messages are committed: their senders have read them.
    pub(super) fn note(&self, sent: impl IntoIterator<Item = (RoomId, UserId, u64)>) {
        let mut noted = self.lock();
        for (room, user, seq) in sent {
            let is_full = noted.len() >= NOTED_MAX;
            match noted.get_mut(&(room, user)) {
                Some(known) => known.seq = known.seq.max(seq),
                None if is_full => {}
                None => {
                    noted.insert((room, user), Position { seq, stored: 0, is_old: false });
                }
            }
        }
    }

    /// How far a member has read of whom the database has `stored`.
    pub(super) fn ahead(&self, room: RoomId, user: UserId, stored: u64) -> u64 {
        self.lock().get(&(room, user)).map_or(stored, |known| known.seq.max(stored))
    }

    /// Users who have read `room` up to `seq` or beyond, by what is noted here.
    pub(super) fn readers(&self, room: RoomId, seq: u64) -> Vec<UserId> {
        let noted = self.lock();
        let readers = noted.iter().filter(|((of, _), known)| *of == room && known.seq >= seq);
        readers.map(|((_, user), _)| *user).collect()
    }

    /// What is not stored yet.
    pub(super) fn pending(&self) -> Vec<Read> {
        let noted = self.lock();
        let pending = noted.iter().filter(|(_, known)| known.seq > known.stored);
        pending
            .map(|((room, user), known)| Read { room: *room, user: *user, seq: known.seq })
            .collect()
    }

    /// The database has these.
    pub(super) fn stored(&self, reads: &[Read]) {
        let mut noted = self.lock();
        for read in reads {
            if let Some(known) = noted.get_mut(&(read.room, read.user)) {
                known.stored = known.stored.max(read.seq);
                known.is_old = false;
            }
        }
    }

    /// Forgets what has been stored for a while: a question that was asked before it was stored
    /// may still be answered from here.
    pub(super) fn tidy(&self) {
        self.lock().retain(|_, known| {
            let is_stored = known.seq <= known.stored;
            let is_kept = !(is_stored && known.is_old);
            known.is_old = is_stored;
            is_kept
        });
    }

    /// Every change is complete in itself, so a panic elsewhere spoils nothing.
    fn lock(&self) -> MutexGuard<'_, HashMap<(RoomId, UserId), Position>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each pair once, with its highest seq.
pub(super) fn highest(reads: impl IntoIterator<Item = Read>) -> Vec<Read> {
    let mut highest: HashMap<(RoomId, UserId), u64> = HashMap::new();
    for Read { room, user, seq } in reads {
        let known = highest.entry((room, user)).or_default();
        *known = seq.max(*known);
    }
    highest.into_iter().map(|((room, user), seq)| Read { room, user, seq }).collect()
}

/// The rooms of `reads`, each once.
pub(super) fn rooms(reads: &[Read]) -> Vec<RoomId> {
    let rooms: HashSet<RoomId> = reads.iter().map(|read| read.room).collect();
    rooms.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([9; 15]);
    const ANN: UserId = UserId([1; 15]);

    #[test]
    fn what_was_sent_is_read_until_the_database_has_it_and_a_while_longer() {
        let positions = Positions::default();
        positions.note([(ROOM, ANN, 4), (ROOM, ANN, 3)]);
        assert_eq!(positions.ahead(ROOM, ANN, 2), 4);
        assert_eq!(positions.ahead(ROOM, ANN, 5), 5);
        let read = Read { room: ROOM, user: ANN, seq: 4 };
        assert_eq!(positions.pending(), [read]);
        positions.tidy();
        positions.stored(&[read]);
        assert_eq!(positions.pending(), []);
        positions.tidy();
        assert_eq!(positions.ahead(ROOM, ANN, 2), 4, "asked before it was stored");
        positions.tidy();
        assert_eq!(positions.ahead(ROOM, ANN, 2), 2);
    }

    #[test]
    fn what_moved_on_while_it_was_stored_is_still_to_be_stored() {
        let positions = Positions::default();
        positions.note([(ROOM, ANN, 4)]);
        positions.note([(ROOM, ANN, 5)]);
        positions.stored(&[Read { room: ROOM, user: ANN, seq: 4 }]);
        assert_eq!(positions.pending(), [Read { room: ROOM, user: ANN, seq: 5 }]);
    }

    #[test]
    fn so_many_positions_are_noted_and_those_move_on() {
        let positions = Positions::default();
        let user = |number: u32| {
            let mut id = [0; 15];
            id[..4].copy_from_slice(&number.to_be_bytes());
            UserId(id)
        };
        let all = 0..NOTED_MAX as u32 + 1;
        positions.note(all.map(|number| (ROOM, user(number), 1)));
        positions.note([(ROOM, user(7), 2)]);
        assert_eq!(positions.pending().len(), NOTED_MAX);
        assert_eq!(positions.ahead(ROOM, user(NOTED_MAX as u32), 0), 0);
        assert_eq!(positions.ahead(ROOM, user(7), 0), 2);
    }

    #[test]
    fn each_pair_is_written_once() {
        let reads = [1, 3, 2].map(|seq| Read { room: ROOM, user: ANN, seq });
        assert_eq!(highest(reads), [reads[1]]);
    }
}
