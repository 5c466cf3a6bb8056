//! Who answers the questions that are asked of this node.

use crate::bus::Serve;
use std::sync::{Arc, Mutex, MutexGuard};

/// The one that answers questions: the latest of those that want to.
#[derive(Default)]
pub(super) struct Serving(Mutex<Option<(u64, Arc<Serve>)>>);

impl Serving {
    /// From now on `serve` answers.
    pub(super) fn begin(&self, number: u64, serve: Serve) {
        *self.current() = Some((number, Arc::new(serve)));
    }

    /// The one of this number does not answer any more. True: nobody does now.
    pub(super) fn end(&self, number: u64) -> bool {
        let mut current = self.current();
        let is_this = current.as_ref().is_some_and(|(other, _)| *other == number);
        if is_this {
            *current = None;
        }
        is_this
    }

    /// Who answers.
    pub(super) fn get(&self) -> Option<Arc<Serve>> {
        self.current().as_ref().map(|(_, serve)| serve.clone())
    }

    fn current(&self) -> MutexGuard<'_, Option<(u64, Arc<Serve>)>> {
        self.0.lock().expect("nothing panics holding it")
    }
}
