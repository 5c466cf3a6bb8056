//! Read positions from a receipt to a flush: noted, gathered for one write, and known to be stored.
//! Beside it a map that keeps the latest of each.

use crate::pairs::{Comparison, compare};
use madang_actors::batcher::{Moved, ReadPositions};
use madang_protocol::{RoomId, UserId};
use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

/// Users of a room.
const USERS: u32 = 50;

/// Time for one receipt, where each of so many (user, room) pairs moves `moves` times before a flush.
pub fn receipts(of_pairs: u32, moves: u32, pairs: usize, flushes: u32) -> Comparison {
    let who: Vec<(RoomId, UserId)> = (0..of_pairs).map(pair).collect();
    let noted = |_| note(&who, moves, flushes);
    compare(pairs, of_pairs * moves * flushes, noted, |_| keep(&who, moves, flushes))
}

fn note(who: &[(RoomId, UserId)], moves: u32, flushes: u32) -> Duration {
    let positions = ReadPositions::new();
    for (room, user) in who {
        assert_eq!(positions.advance_from(*room, *user, 0, 0), Moved::To(0));
    }
    let begun = Instant::now();
    for flush in 0..flushes {
        for seq in seqs(flush, moves) {
            for (room, user) in who {
                assert_eq!(positions.advance(*room, *user, seq), Moved::To(seq));
            }
        }
        let reads = positions.pending();
        assert_eq!(reads.len(), who.len(), "each pair is written once");
        for read in reads {
            positions.stored(read.room, read.user, read.seq);
        }
        assert_eq!(positions.waiting(), 0);
    }
    begun.elapsed()
}

fn keep(who: &[(RoomId, UserId)], moves: u32, flushes: u32) -> Duration {
    let mut latest = HashMap::new();
    let begun = Instant::now();
    for flush in 0..flushes {
        for seq in seqs(flush, moves) {
            latest.extend(who.iter().map(|pair| (*pair, seq)));
        }
        black_box(latest.drain().collect::<Vec<_>>());
    }
    begun.elapsed()
}

fn seqs(flush: u32, moves: u32) -> impl Iterator<Item = u64> {
    let first = u64::from(flush * moves);
    first + 1..=first + u64::from(moves)
}

fn pair(number: u32) -> (RoomId, UserId) {
    let id = |number: u32| {
        let mut id = [0; 15];
        id[..4].copy_from_slice(&number.to_le_bytes());
        id
    };
    (RoomId(id(number / USERS)), UserId(id(number % USERS)))
}
