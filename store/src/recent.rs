//! A bounded map of what was used recently.

use std::{collections::HashMap, hash::Hash};

/// A map that keeps what was used recently, in two generations: when the younger is half of the
/// bound, the older is dropped and the younger takes its place. So every step costs the same, and
/// nothing needs to be swept.
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    generation_max: usize,
}

impl<K: Eq + Hash, V: Default> Recent<K, V> {
    pub(crate) fn new(remembered_max: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            generation_max: (remembered_max / 2).max(1),
        }
    }

    /// What is remembered of `key`, or a fresh value.
    pub(crate) fn entry(&mut self, key: K) -> &mut V {
        if !self.young.contains_key(&key) && self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        let known = self.old.remove(&key);
        self.young.entry(key).or_insert_with(|| known.unwrap_or_default())
    }

    pub(crate) fn get<Q>(&mut self, key: &Q) -> Option<&V>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(crate) fn remove<Q>(&mut self, key: &Q)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.young.remove(key);
        self.old.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_recent_half_and_never_more_than_the_bound() {
        let mut recent: Recent<u32, u32> = Recent::new(8);
        for key in 0..1_000 {
            *recent.entry(7_777) += 1;
            *recent.entry(key) = key;
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        assert_eq!(recent.get(&7_777), Some(&1_000));
        assert_eq!(recent.get(&999), Some(&999));
        assert_eq!(recent.get(&900), None);
    }

    #[test]
    fn an_entry_that_moves_between_generations_is_not_lost() {
        let mut recent: Recent<u32, u32> = Recent::new(4);
        *recent.entry(1) = 10;
        *recent.entry(2) = 20;
        *recent.entry(3) = 30;
        assert_eq!((recent.young.len(), recent.old.len()), (1, 2));
        assert_eq!(*recent.entry(1), 10);
    }
}
