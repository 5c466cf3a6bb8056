//! A storage backend that makes up for a sync that failed.
//!
//! When `fdatasync` fails, Linux marks the pages it could not write as clean: they can still be
//! read, as long as they stay in memory, and a second `fdatasync` succeeds without writing them.
//! A database that is opened again after such a failure would read its last commit, believe it
//! durable, and lose it with the power. So what was written since the last good sync is
//! remembered, and after a failed one it is read back, written again, and synced, before the
//! database is opened on it.

use super::locks::forward_locks;
use ::redb::StorageBackend;
use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is not known to be durable. Outlives the backends that are opened one after the other.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsynced(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Where was written since the last good sync.
    written: Vec<Range<u64>>,
    /// A sync failed since the last good one.
    failed: bool,
}

/// The backend.
#[derive(Debug)]
pub(super) struct Remembering {
    storage: Box<dyn StorageBackend>,
    unsynced: Unsynced,
}

impl Unsynced {
    /// Wraps a storage that was just opened, and repairs what an earlier sync may have left out.
    pub(super) fn watch(&self, storage: Box<dyn StorageBackend>) -> io::Result<Remembering> {
        let mut state = self.state();
        if state.failed {
            write_again(&*storage, &state.written)?;
            *state = State::default();
        }
        Ok(Remembering { storage, unsynced: self.clone() })
    }

    /// Every change is complete in itself, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_again(storage: &dyn StorageBackend, written: &[Range<u64>]) -> io::Result<()> {
    let length = storage.len()?;
    for range in written {
        let to = range.end.min(length);
        if range.start < to {
            let mut bytes = vec![0; (to - range.start) as usize];
            storage.read(range.start, &mut bytes)?;
            storage.write(range.start, &bytes)?;
        }
    }
    storage.sync_data()
}

impl StorageBackend for Remembering {
    fn len(&self) -> io::Result<u64> {
        self.storage.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.storage.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.storage.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.storage.sync_data();
        let mut state = self.unsynced.state();
        match &synced {
            Ok(()) => *state = State::default(),
            Err(_) => state.failed = true,
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let end = offset + data.len() as u64;
        let mut state = self.unsynced.state();
        // Before the write, for it may do a part and fail.
        match state.written.last_mut() {
            // Also the same place again, as the witness does with each entry of the journal.
            Some(last) if (last.start..=last.end).contains(&offset) => last.end = last.end.max(end),
            _ => state.written.push(offset..end),
        }
        drop(state);
        self.storage.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.storage.close()
    }

    forward_locks!(storage);
}
