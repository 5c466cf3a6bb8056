//! What an out-queue keeps its frames in.

use std::collections::VecDeque;

/// Where two wait, more are about to come.
const FURTHER: usize = 15;
/// Beyond so many, what comes is put into a further piece: to move the tens of thousands that may wait for one
/// client would keep everybody else waiting for milliseconds.
const PIECE: usize = 512;

/// A queue whose first place needs no memory of its own: nearly every frame comes to an empty
/// out-queue and leaves it in the same turn, and with a thousand readers a piece of memory for each is
/// a place more that no near cache holds.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    first: Option<T>,
    /// Empty without a first.
    rest: VecDeque<T>,
    /// What comes behind it, in pieces none of which is empty.
    pieces: VecDeque<VecDeque<T>>,
    in_pieces: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        let (rest, pieces) = (VecDeque::new(), VecDeque::new());
        Self { first: None, rest, pieces, in_pieces: 0 }
    }
}

impl<T> Waiting<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) if self.rest.len() < PIECE && self.pieces.is_empty() => {
                if self.rest.capacity() == 0 {
                    self.rest.reserve(FURTHER); // one piece of memory instead of one after the other
                }
                self.rest.push_back(item);
            }
            Some(_) => self.push_to_pieces(item),
        }
    }

    fn push_to_pieces(&mut self, item: T) {
        self.in_pieces += 1;
        match self.pieces.back_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push_back(item),
            None => {
                let mut piece = VecDeque::with_capacity(PIECE);
                piece.push_back(item);
                self.pieces.push_back(piece);
            }
        }
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let second = self.rest.pop_front();
        self.refill();
        std::mem::replace(&mut self.first, second)
    }

    /// The next piece takes the place of one that has become empty.
    fn refill(&mut self) {
        if self.rest.is_empty()
            && let Some(piece) = self.pieces.pop_front()
        {
            self.in_pieces -= piece.len();
            self.rest = piece;
        }
    }

    /// Takes the first, if there is no other, nor memory to give back.
    pub(super) fn take_only(&mut self) -> Option<T> {
        if self.rest.capacity() == 0 { self.first.take() } else { None }
    }

    /// Takes out the one at that place.
    pub(super) fn remove(&mut self, place: usize) -> Option<T> {
        let Some(place) = place.checked_sub(1) else {
            return self.pop();
        };
        let Some(place) = place.checked_sub(self.rest.len()) else {
            let removed = self.rest.remove(place);
            self.refill();
            return removed;
        };
        self.remove_from_pieces(place)
    }

    fn remove_from_pieces(&mut self, mut place: usize) -> Option<T> {
        let index = self.pieces.iter().position(|piece| {
            let is_in = place < piece.len();
            place -= if is_in { 0 } else { piece.len() };
            is_in
        })?;
        let piece = &mut self.pieces[index];
        let removed = piece.remove(place);
        if piece.is_empty() {
            self.pieces.remove(index);
        }
        self.in_pieces -= 1;
        removed
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len() + self.in_pieces
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.first.iter().chain(&self.rest).chain(self.pieces.iter().flatten())
    }

    /// Gives back all memory, and what was there.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether it holds memory.
    #[cfg(test)]
    pub(super) fn is_small(&self) -> bool {
        self.rest.capacity() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes, pops and removes in any order, up to so many, and compares with a queue.
    fn compare(steps: usize, longest: usize) {
        let mut waiting = Waiting::default();
        let mut model = VecDeque::new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut grows = true;
        for number in 0..steps {
            grows = (grows || model.is_empty()) && model.len() < longest;
            match random.u8(..8) {
                0 => {
                    let place = random.usize(..=longest);
                    assert_eq!(waiting.remove(place), model.remove(place));
                }
                1..5 if grows => {
                    waiting.push(number);
                    model.push_back(number);
                }
                1..5 => assert_eq!(waiting.pop(), model.pop_front()),
                _ => {}
            }
            assert_eq!((waiting.first(), waiting.len()), (model.front(), model.len()));
            if model.len() < 10 || random.u8(..) == 0 {
                assert!(waiting.iter().eq(&model));
            }
        }
        assert!(!waiting.is_small());
        waiting.clear();
        assert_eq!((waiting.len(), waiting.is_small()), (0, true));
    }

    #[test]
    fn it_is_a_queue() {
        compare(10_000, 5);
    }

    #[test]
    fn it_is_a_queue_of_pieces() {
        compare(100_000, 5 * PIECE);
    }

    #[test]
    fn a_long_one_is_not_moved_to_grow() {
        let mut waiting = Waiting::default();
        for number in 0..10 * PIECE {
            waiting.push(number);
        }
        assert!(waiting.rest.capacity() <= 2 * PIECE);
        assert!(waiting.pieces.iter().all(|piece| piece.capacity() <= 2 * PIECE));
        assert!((0..10 * PIECE).all(|number| waiting.pop() == Some(number)));
        assert_eq!((waiting.pop(), waiting.len()), (None, 0));
    }

    #[test]
    fn one_that_waits_costs_no_memory() {
        let mut waiting = Waiting::default();
        for _ in 0..3 {
            waiting.push("frame");
            assert_eq!((waiting.pop(), waiting.is_small()), (Some("frame"), true));
        }
    }
}
