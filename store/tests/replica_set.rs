//! The conformance suites on the store of several machines in memory.

use madang_protocol::Entry;
use madang_store::{
    Options,
    conformance::{Subject, bounded},
    faulty::replica_set::{Reads, ReplicaSet, Weather},
};
use std::{sync::Arc, time::Duration};

/// Nothing goes wrong, and nothing is quite at once.
struct Fair;

impl Weather for Fair {
    fn lag(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn pause(&self) -> Duration {
        Duration::ZERO
    }

    fn names_place(&self) -> bool {
        false
    }

    fn secondary_stays(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn committed(&self, _entry: &Entry) {}
}

fn subject() -> Subject {
    let options = bounded(Options::in_directory(""));
    let set = ReplicaSet::open(&options, Reads::Majority, Arc::new(Fair));
    Subject { store: set.store(), keep: Box::new(()) }
}

madang_store::store_conformance!(crate::subject);
