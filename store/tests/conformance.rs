//! The conformance suites on what an embedded node uses.

use madang_store::{
    LoginLimits, Options, PresenceStore,
    conformance::{Subject, bounded},
    limits::{InProcess, Rules},
};
use std::sync::Arc;

fn subject() -> Subject {
    let directory = tempfile::tempdir().expect("a directory");
    let options = bounded(Options::in_directory(directory.path()));
    let store = madang_store::open(options).expect("an empty store");
    Subject { store, keep: Box::new(directory) }
}

fn limits(rules: Rules) -> Arc<dyn LoginLimits> {
    Arc::new(InProcess::new(rules))
}

fn presence_store() -> Arc<dyn PresenceStore> {
    Arc::new(madang_store::presence::InProcess::new())
}

madang_store::store_conformance!(crate::subject);
madang_store::login_limits_conformance!(crate::limits);
madang_store::presence_conformance!(crate::presence_store);
madang_store::cache_conformance!(madang_store::cache::Caches::in_process);
