//! How many connections there may be, in all and of one address.

use madang_store::accounts::AddressKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts the connections of a node. Cloning shares the count.
#[derive(Clone)]
pub struct Capacity(Arc<Shared>);

struct Shared {
    /// 0 = off.
    max: usize,
    /// 0 = off.
    max_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    /// Only addresses with connections. Bounded by `max`.
    by_address: HashMap<AddressKey, usize>,
}

/// One connection; gives its place back when dropped.
pub struct Lease {
    shared: Arc<Shared>,
    address: AddressKey,
}

impl Capacity {
    /// At most `max` connections, `max_per_address` of one address; 0 = off.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self(Arc::new(Shared { max, max_per_address, counts: Mutex::default() }))
    }

    /// Counts one more connection of `address`; `None`: there is no place.
    pub fn take(&self, address: AddressKey) -> Option<Lease> {
        let Shared { max, max_per_address, .. } = *self.0;
        let mut counts = self.0.lock();
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        let is_full = |count: usize, max: usize| max > 0 && count >= max;
        if is_full(counts.all, max) || is_full(of_address, max_per_address) {
            return None;
        }
        counts.all += 1;
        counts.by_address.insert(address, of_address + 1);
        Some(Lease { shared: self.0.clone(), address })
    }

    /// How many there are.
    pub fn taken(&self) -> usize {
        self.0.lock().all
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Every change is complete before anything else can panic.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut counts = self.shared.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: AddressKey = [1; 16];
    const B: AddressKey = [2; 16];

    #[test]
    fn no_more_than_there_are_places() {
        let capacity = Capacity::new(3, 2);
        let first = capacity.take(A).unwrap();
        let _second = capacity.take(A).unwrap();
        assert!(capacity.take(A).is_none(), "two of one address");
        let _third = capacity.take(B).unwrap();
        assert!(capacity.take(B).is_none(), "three in all");
        drop(first);
        assert!(capacity.take(A).is_some());
    }

    #[test]
    fn nothing_is_kept_of_addresses_that_left() {
        let capacity = Capacity::new(0, 0);
        let leases: Vec<_> = (0..100).map(|_| capacity.take(A).unwrap()).collect();
        assert_eq!(capacity.taken(), 100);
        drop(leases);
        assert_eq!(capacity.taken(), 0);
        assert!(capacity.0.lock().by_address.is_empty());
    }
}
