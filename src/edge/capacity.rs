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
    _of_address: Option<AddressLease>,
}

/// One connection of an address; counted until it is dropped.
pub struct AddressLease {
    shared: Arc<Shared>,
    address: AddressKey,
}

impl Capacity {
    /// At most `max` connections, `max_per_address` of one address; 0 = off.
    pub fn new(max: usize, max_per_address: usize) -> Self {
        Self(Arc::new(Shared { max, max_per_address, counts: Mutex::default() }))
    }

    /// Counts one more connection, of `address` if it is known whose it is; `None`: there is no
    /// place.
    pub fn take(&self, address: Option<AddressKey>) -> Option<Lease> {
        let mut counts = self.0.lock();
        if self.0.max > 0 && counts.all >= self.0.max {
            return None;
        }
        let of_address = match address {
            Some(address) => Some(self.count(&mut counts, address)?),
            None => None,
        };
        counts.all += 1;
        Some(Lease { shared: self.0.clone(), _of_address: of_address })
    }

    /// Counts a connection that was taken before as one of `address`; `None`: there is no place.
    pub fn take_of(&self, address: AddressKey) -> Option<AddressLease> {
        self.count(&mut self.0.lock(), address)
    }

    fn count(&self, counts: &mut Counts, address: AddressKey) -> Option<AddressLease> {
        let of_address = counts.by_address.get(&address).copied().unwrap_or(0);
        if self.0.max_per_address > 0 && of_address >= self.0.max_per_address {
            return None;
        }
        counts.by_address.insert(address, of_address + 1);
        Some(AddressLease { shared: self.0.clone(), address })
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
        self.shared.lock().all -= 1;
    }
}

impl Drop for AddressLease {
    fn drop(&mut self) {
        let mut counts = self.shared.lock();
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
        let first = capacity.take(Some(A)).unwrap();
        let _second = capacity.take(Some(A)).unwrap();
        assert!(capacity.take(Some(A)).is_none(), "two of one address");
        let _third = capacity.take(Some(B)).unwrap();
        assert!(capacity.take(Some(B)).is_none(), "three in all");
        drop(first);
        assert!(capacity.take(Some(A)).is_some());
    }

    #[test]
    fn whose_a_connection_is_may_be_learnt_later() {
        let capacity = Capacity::new(3, 1);
        let _unknown = [capacity.take(None).unwrap(), capacity.take(None).unwrap()];
        let of_address = capacity.take_of(A).unwrap();
        assert!(capacity.take_of(A).is_none() && capacity.take(Some(A)).is_none());
        assert_eq!(capacity.taken(), 2, "what is refused is not counted");
        drop(of_address);
        assert!(capacity.take(Some(A)).is_some());
    }

    #[test]
    fn nothing_is_kept_of_addresses_that_left() {
        let capacity = Capacity::new(0, 0);
        let leases: Vec<_> = (0..100).map(|_| capacity.take(Some(A)).unwrap()).collect();
        let of_address = capacity.take_of(B).unwrap();
        assert_eq!(capacity.taken(), 100);
        drop((leases, of_address));
        assert_eq!(capacity.taken(), 0);
        assert!(capacity.0.lock().by_address.is_empty());
    }
}
