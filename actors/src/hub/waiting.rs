//! What an out-queue keeps its frames in.

use std::collections::VecDeque;

/// Where two wait, more are about to come.
const FURTHER: usize = 15;

/// A queue whose first place needs no memory of its own: nearly every frame comes to an empty
/// out-queue and leaves it in the same turn, and with a thousand readers a piece of memory for each is
/// a place more that no near cache holds.
#[derive(Debug)]
pub(super) struct Waiting<T> {
    first: Option<T>,
    /// Empty without a first.
    rest: VecDeque<T>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { first: None, rest: VecDeque::new() }
    }
}

impl<T> Waiting<T> {
    pub(super) fn push(&mut self, item: T) {
        match self.first {
            None => self.first = Some(item),
            Some(_) => {
                if self.rest.capacity() == 0 {
                    self.rest.reserve(FURTHER); // one piece of memory instead of one after the other
                }
                self.rest.push_back(item);
            }
        }
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        std::mem::replace(&mut self.first, self.rest.pop_front())
    }

    /// Takes the first, if there is no other, nor memory to give back.
    pub(super) fn take_only(&mut self) -> Option<T> {
        if self.rest.capacity() == 0 { self.first.take() } else { None }
    }

    /// Takes out the one at that place.
    pub(super) fn remove(&mut self, place: usize) -> Option<T> {
        match place.checked_sub(1) {
            None => self.pop(),
            Some(place) => self.rest.remove(place),
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.first.iter().chain(&self.rest)
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

    #[test]
    fn it_is_a_queue() {
        let mut waiting = Waiting::default();
        let mut model = VecDeque::new();
        let mut random = fastrand::Rng::with_seed(1);
        for number in 0..10_000 {
            match random.u8(..4) {
                0 | 1 if model.len() < 5 => {
                    waiting.push(number);
                    model.push_back(number);
                }
                2 => assert_eq!(waiting.pop(), model.pop_front()),
                _ => {
                    let place = random.usize(..6);
                    assert_eq!(waiting.remove(place), model.remove(place));
                }
            }
            assert_eq!(waiting.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
            assert_eq!((waiting.first(), waiting.len()), (model.front(), model.len()));
        }
        assert!(!waiting.is_small());
        waiting.clear();
        assert_eq!((waiting.len(), waiting.is_small()), (0, true));
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
