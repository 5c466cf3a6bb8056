//! The conformance suites on the store in memory.

use madang_store::{
    Options,
    conformance::{Subject, bounded},
};

fn subject() -> Subject {
    let store = madang_store::in_process::open(&bounded(Options::in_directory("")));
    Subject { store, keep: Box::new(()) }
}

madang_store::store_conformance!(crate::subject);
