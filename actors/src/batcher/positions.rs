//! How far users have read, ahead of the store.

use super::{
    PENDING_READS_MAX, REMEMBERED_READS_MAX,
    awaited::{Awaited, Awaiting},
};
use dashmap::{DashMap, Entry};
use madang_protocol::{RoomId, UserId};
use madang_store::receipts::Read;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The read positions that were moved on this node, and are not stored yet or were so lately.
/// Everything on a node that moves or tells a read position shares them, so that whatever was
/// answered `ok` shows at once. Cloning shares it.
///
/// A position only moves up. At most [`PENDING_READS_MAX`] wait to be stored; of those that are
/// stored about [`REMEMBERED_READS_MAX`] are remembered, so that the next receipt needs no read.
#[derive(Clone, Default)]
pub struct ReadPositions(Arc<Inner>);

#[derive(Default)]
struct Inner {
    rooms: DashMap<RoomId, Room>,
    awaited: Awaited,
    /// Pairs that are here, and those of them that are not stored yet.
    known: AtomicUsize,
    pending: AtomicUsize,
}

#[derive(Default)]
struct Room {
    users: HashMap<UserId, Position>,
    pending: usize,
}

#[derive(Clone, Copy)]
struct Position {
    seq: u64,
    /// The store has this, or more.
    stored: u64,
}

impl Position {
    fn is_pending(self) -> bool {
        self.seq > self.stored
    }
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// The user has read up to here now.
    To(u64),
    /// Nothing is known of this user there: [`ReadPositions::advance_from`] what is stored.
    Unknown,
    /// Too much waits to be stored.
    Full,
}

impl ReadPositions {
    /// Nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// A user has read up to `seq`, which is there.
    pub fn advance(&self, room: RoomId, user: UserId, seq: u64) -> Moved {
        let Some(mut of_room) = self.0.rooms.get_mut(&room) else {
            return Moved::Unknown;
        };
        match of_room.users.get(&user).copied() {
            Some(known) => self.raise(&mut of_room, user, known, seq),
            None => Moved::Unknown,
        }
    }

    /// The same for one of whom the store has `stored`. Of one that is known already that says
    /// nothing: what was answered to the caller may have been part of what is known.
    pub fn advance_from(&self, room: RoomId, user: UserId, stored: u64, seq: u64) -> Moved {
        let mut of_room = self.0.rooms.entry(room).or_default();
        let found = of_room.users.get(&user).copied();
        let known = found.unwrap_or(Position { seq: stored, stored });
        let moved = self.raise(&mut of_room, user, known, seq);
        if found.is_none() && moved != Moved::Full {
            self.0.known.fetch_add(1, Ordering::Relaxed);
            of_room.users.entry(user).or_insert(known);
        }
        moved
    }

    fn raise(&self, of_room: &mut Room, user: UserId, known: Position, seq: u64) -> Moved {
        mutate!(ReceiptGoesDown, {
            if seq < known.seq {
                of_room.users.insert(user, Position { seq, ..known });
                return Moved::To(seq);
            }
        });
        if seq <= known.seq {
            return Moved::To(known.seq);
        }
        if !known.is_pending() {
            if self.0.pending.load(Ordering::Relaxed) >= PENDING_READS_MAX {
                return Moved::Full;
            }
            of_room.pending += 1;
            self.0.pending.fetch_add(1, Ordering::Relaxed);
        }
        of_room.users.insert(user, Position { seq, ..known });
        Moved::To(seq)
    }

    /// The store has `stored`: by a write of ours, or because the user sent a message. Returns how
    /// far the user has read.
    pub fn stored(&self, room: RoomId, user: UserId, stored: u64) -> u64 {
        self.0.awaited.heard(room, user, stored);
        let Some(of_room) = self.0.rooms.get(&room) else {
            return stored; // most rooms, most of the time
        };
        match of_room.users.get(&user) {
            None => return stored,
            Some(known) if known.stored >= stored => return known.seq,
            Some(_) => drop(of_room),
        }
        let Some(mut of_room) = self.0.rooms.get_mut(&room) else {
            return stored;
        };
        self.settle(&mut of_room, user, stored).map_or(stored, |known| known.seq)
    }

    /// What the store has of a user is being read, to begin from there: what is heard of it until
    /// that is dropped counts as well, for the read may be older.
    pub fn awaiting(&self, room: RoomId, user: UserId) -> Awaiting {
        self.0.awaited.begin(room, user)
    }

    fn settle(&self, of_room: &mut Room, user: UserId, stored: u64) -> Option<Position> {
        let known = of_room.users.get_mut(&user)?;
        let was_pending = known.is_pending();
        known.stored = known.stored.max(stored);
        known.seq = known.seq.max(stored);
        let known = *known;
        if was_pending && !known.is_pending() {
            of_room.pending -= 1;
            self.0.pending.fetch_sub(1, Ordering::Relaxed);
        }
        Some(known)
    }

    /// How many are not stored yet.
    pub fn waiting(&self) -> usize {
        self.0.pending.load(Ordering::Relaxed)
    }

    /// What is not stored yet, each pair once.
    pub fn pending(&self) -> Vec<Read> {
        if self.waiting() == 0 {
            return Vec::new();
        }
        let mut reads = Vec::new();
        for of_room in self.0.rooms.iter().filter(|of_room| of_room.pending > 0) {
            let pending = of_room.users.iter().filter(|(_, known)| known.is_pending());
            let room = *of_room.key();
            reads.extend(pending.map(|(user, known)| Read { room, user: *user, seq: known.seq }));
        }
        reads
    }

    /// Users who have read `room` up to `seq` or beyond, by what is not stored yet, after the user
    /// `after`, at most `limit`.
    pub fn pending_in(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Vec<(UserId, u64)> {
        let Some(of_room) = self.0.rooms.get(&room).filter(|of_room| of_room.pending > 0) else {
            return Vec::new();
        };
        let is_meant = |user: &UserId, known: &Position| {
            known.is_pending() && known.seq >= seq && after.is_none_or(|after| *user > after)
        };
        let meant = of_room.users.iter().filter(|(user, known)| is_meant(user, known));
        let mut found: Vec<_> = meant.map(|(user, known)| (*user, known.seq)).collect();
        found.sort_unstable();
        found.truncate(limit);
        found
    }

    /// Forgets what is stored, once it is much.
    pub fn tidy(&self) {
        if self.0.known.load(Ordering::Relaxed) > REMEMBERED_READS_MAX {
            self.forget_stored();
        }
    }

    fn forget_stored(&self) {
        let rooms: Vec<RoomId> = self.0.rooms.iter().map(|of_room| *of_room.key()).collect();
        for room in rooms {
            let Entry::Occupied(mut of_room) = self.0.rooms.entry(room) else {
                continue;
            };
            let before = of_room.get().users.len();
            of_room.get_mut().users.retain(|_, known| known.is_pending());
            let after = of_room.get().users.len();
            self.0.known.fetch_sub(before - after, Ordering::Relaxed);
            if after == 0 {
                of_room.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId([9; 15]);
    const ANN: UserId = UserId([1; 15]);
    const BEN: UserId = UserId([2; 15]);

    fn read(user: UserId, seq: u64) -> Read {
        Read { room: ROOM, user, seq }
    }

    #[test]
    fn the_first_receipt_begins_at_what_is_stored_the_next_ones_go_on() {
        let positions = ReadPositions::new();
        assert_eq!(positions.advance(ROOM, ANN, 4), Moved::Unknown);
        assert_eq!(positions.advance_from(ROOM, ANN, 3, 4), Moved::To(4));
        assert_eq!(positions.advance(ROOM, ANN, 7), Moved::To(7));
        assert_eq!(positions.advance(ROOM, ANN, 5), Moved::To(7), "never down");
        assert_eq!(positions.advance_from(ROOM, ANN, 3, 6), Moved::To(7));
        assert_eq!(positions.pending(), [read(ANN, 7)]);
        assert_eq!(positions.stored(ROOM, ANN, 3), 7, "ahead of the store");
        assert_eq!(positions.stored(ROOM, BEN, 3), 3);
    }

    #[test]
    fn what_is_heard_while_the_store_is_read_counts_although_the_read_is_older() {
        let positions = ReadPositions::new();
        let (first, second) = (positions.awaiting(ROOM, ANN), positions.awaiting(ROOM, ANN));
        assert_eq!(positions.stored(ROOM, ANN, 9), 9, "told to somebody");
        positions.stored(ROOM, BEN, 20);
        assert_eq!((first.latest(3), first.latest(12)), (9, 12));
        drop(first);
        assert_eq!(positions.advance_from(ROOM, ANN, second.latest(3), 5), Moved::To(9));
        drop(second);
        assert_eq!(positions.awaiting(ROOM, ANN).latest(3), 3, "as long as it is awaited");
    }

    #[test]
    fn what_was_answered_ahead_of_the_store_still_has_to_be_stored() {
        let positions = ReadPositions::new();
        positions.advance_from(ROOM, ANN, 0, 4);
        assert_eq!(positions.advance_from(ROOM, ANN, 4, 4), Moved::To(4));
        assert_eq!(positions.pending(), [read(ANN, 4)]);
    }

    #[test]
    fn a_receipt_below_what_is_stored_changes_nothing() {
        let positions = ReadPositions::new();
        assert_eq!(positions.advance_from(ROOM, ANN, 8, 4), Moved::To(8));
        assert_eq!(positions.pending(), []);
        assert_eq!(positions.advance(ROOM, ANN, 8), Moved::To(8));
    }

    #[test]
    fn what_is_stored_waits_no_more_unless_it_moved_meanwhile() {
        let positions = ReadPositions::new();
        positions.advance_from(ROOM, ANN, 0, 4);
        positions.advance_from(ROOM, BEN, 0, 4);
        positions.advance(ROOM, BEN, 5);
        assert_eq!((positions.stored(ROOM, ANN, 4), positions.stored(ROOM, BEN, 4)), (4, 5));
        assert_eq!(positions.pending(), [read(BEN, 5)]);
        positions.stored(ROOM, BEN, 5);
        assert_eq!(positions.pending(), []);
        assert_eq!(positions.0.pending.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_message_of_ones_own_moves_the_position_too() {
        let positions = ReadPositions::new();
        positions.advance_from(ROOM, ANN, 0, 4);
        assert_eq!(positions.stored(ROOM, ANN, 9), 9);
        assert_eq!(positions.advance(ROOM, ANN, 6), Moved::To(9));
        assert_eq!(positions.pending(), []);
    }

    #[test]
    fn those_who_read_a_message_are_found_in_order() {
        let positions = ReadPositions::new();
        for (number, seq) in [(3, 9), (1, 4), (2, 5), (4, 6)] {
            positions.advance_from(ROOM, UserId([number; 15]), 0, seq);
        }
        positions.stored(ROOM, UserId([4; 15]), 6);
        let found = |after, limit| positions.pending_in(ROOM, 5, after, limit);
        assert_eq!(found(None, 9), [(BEN, 5), (UserId([3; 15]), 9)]);
        assert_eq!(found(None, 1), [(BEN, 5)]);
        assert_eq!(found(Some(BEN), 9), [(UserId([3; 15]), 9)]);
        assert_eq!(positions.pending_in(RoomId([8; 15]), 0, None, 9), []);
    }

    #[test]
    fn what_waits_is_bounded_and_what_waits_already_moves_on() {
        let positions = ReadPositions::new();
        positions.advance_from(ROOM, ANN, 0, 1);
        positions.0.pending.store(PENDING_READS_MAX, Ordering::Relaxed);
        assert_eq!(positions.advance(ROOM, ANN, 2), Moved::To(2));
        assert_eq!(positions.advance_from(ROOM, BEN, 0, 2), Moved::Full);
        assert_eq!(positions.advance_from(ROOM, BEN, 3, 2), Moved::To(3));
    }

    #[test]
    fn only_what_is_stored_is_forgotten() {
        let positions = ReadPositions::new();
        positions.advance_from(ROOM, ANN, 0, 4);
        positions.advance_from(ROOM, BEN, 3, 3);
        positions.advance_from(RoomId([8; 15]), BEN, 3, 3);
        positions.forget_stored();
        assert_eq!(positions.advance(ROOM, BEN, 4), Moved::Unknown);
        assert_eq!(positions.pending(), [read(ANN, 4)]);
        assert_eq!(positions.0.known.load(Ordering::Relaxed), 1);
        assert_eq!(positions.0.rooms.len(), 1);
    }
}
