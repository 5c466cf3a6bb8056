//! A storage backend that keeps its hands off the storage until it is told to go on.
//!
//! Opening a redb file writes to it: it is repaired after a crash, and marked as being open. But a
//! file that turns out to be foreign, newer or damaged must stay as it was, byte for byte, and
//! whether it is can only be said once it is open. So it is opened through this backend, which
//! notes what redb would do to the storage, lets redb read it as if it were done, and does it, in
//! the same order and with the same syncs, on [`Release::release`]. Without a release it is never
//! done: that is also how a file is examined.

use super::locks::forward_locks;
use ::redb::StorageBackend;
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Wraps `storage`; the second half lets what was held back go through.
pub(super) fn hold(storage: Arc<dyn StorageBackend>) -> (Held, Release) {
    let shared = Arc::new(Shared {
        storage,
        length: OnceLock::new(),
        released: AtomicBool::new(false),
        journal: Mutex::new(Vec::new()),
    });
    (Held(shared.clone()), Release(shared))
}

/// The backend.
#[derive(Debug)]
pub(super) struct Held(Arc<Shared>);

/// What lets the backend go on.
pub(super) struct Release(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: Arc<dyn StorageBackend>,
    /// Of the storage, while nothing is done to it. Asked for with every read, and a repair reads
    /// every page.
    length: OnceLock<u64>,
    released: AtomicBool,
    /// What redb has done since the opening, in order. A repair and a creation write some pages of
    /// bookkeeping, never user data, so this stays small.
    journal: Mutex<Vec<Step>>,
}

#[derive(Debug)]
enum Step {
    Write { offset: u64, data: Vec<u8> },
    SetLength(u64),
    Sync,
}

impl Release {
    /// Does what was held back; from now on the backend writes through. After an error the storage
    /// is as after a crash at that point, which the next opening repairs.
    pub(super) fn release(&self) -> io::Result<()> {
        let mut journal = self.0.journal();
        for step in journal.drain(..) {
            match step {
                Step::Write { offset, data } => self.0.storage.write(offset, &data)?,
                Step::SetLength(length) => self.0.storage.set_len(length)?,
                Step::Sync => self.0.storage.sync_data()?,
            }
        }
        self.0.released.store(true, Ordering::Release);
        Ok(())
    }
}

impl Shared {
    /// The journal, if it is still in use.
    fn held(&self) -> Option<MutexGuard<'_, Vec<Step>>> {
        if self.released.load(Ordering::Acquire) {
            return None;
        }
        let journal = self.journal();
        // Released while this thread waited for the lock?
        (!self.released.load(Ordering::Acquire)).then_some(journal)
    }

    fn journal(&self) -> MutexGuard<'_, Vec<Step>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_length(&self, journal: &[Step]) -> io::Result<u64> {
        let set = journal.iter().rev().find_map(|step| match step {
            Step::SetLength(length) => Some(*length),
            Step::Write { .. } | Step::Sync => None,
        });
        set.map_or_else(|| self.stored_length(), Ok)
    }

    fn stored_length(&self) -> io::Result<u64> {
        match self.length.get() {
            Some(length) => Ok(*length),
            None => self.storage.len().map(|length| *self.length.get_or_init(|| length)),
        }
    }

    fn read_held(&self, journal: &[Step], offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 > self.held_length(journal)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        let present = within(self.stored_length()?, offset, out.len());
        if present > 0 {
            self.storage.read(offset, &mut out[..present])?;
        }
        for step in journal {
            match step {
                Step::Write { offset: at, data } => overlay(offset, out, *at, data),
                Step::SetLength(length) => {
                    let kept = within(*length, offset, out.len());
                    out[kept..].fill(0);
                }
                Step::Sync => {}
            }
        }
        Ok(())
    }
}

/// How many of the `count` bytes from `offset` lie below `length`.
fn within(length: u64, offset: u64, count: usize) -> usize {
    length.saturating_sub(offset).min(count as u64) as usize
}

/// Copies the part of `data`, written at `at`, that falls into `out`, read at `offset`.
fn overlay(offset: u64, out: &mut [u8], at: u64, data: &[u8]) {
    let from = at.max(offset);
    let to = (at + data.len() as u64).min(offset + out.len() as u64);
    if from < to {
        let source = &data[(from - at) as usize..(to - at) as usize];
        out[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
    }
}

impl StorageBackend for Held {
    fn len(&self) -> io::Result<u64> {
        match self.0.held() {
            Some(journal) => self.0.held_length(&journal),
            None => self.0.storage.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.0.held() {
            Some(journal) => self.0.read_held(&journal, offset, out),
            None => self.0.storage.read(offset, out),
        }
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        match self.0.held() {
            Some(mut journal) => journal.push(Step::SetLength(length)),
            None => self.0.storage.set_len(length)?,
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        match self.0.held() {
            Some(mut journal) => journal.push(Step::Sync),
            None => self.0.storage.sync_data()?,
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self.0.held() {
            Some(mut journal) => journal.push(Step::Write { offset, data: data.to_vec() }),
            None => self.0.storage.write(offset, data)?,
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.0.storage.close()
    }

    forward_locks!(0.storage);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::redb::backends::InMemoryBackend;

    fn storage(bytes: &[u8]) -> Arc<InMemoryBackend> {
        let storage = InMemoryBackend::new();
        storage.set_len(bytes.len() as u64).unwrap();
        storage.write(0, bytes).unwrap();
        Arc::new(storage)
    }

    fn bytes(backend: &dyn StorageBackend) -> Vec<u8> {
        let mut bytes = vec![0; backend.len().unwrap() as usize];
        backend.read(0, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn reads_as_if_done_and_does_it_on_release() {
        let (held, release) = hold(storage(b"0123456789"));
        held.write(2, b"ab").unwrap();
        held.set_len(6).unwrap();
        held.sync_data().unwrap();
        held.set_len(8).unwrap();
        held.write(3, b"xyz").unwrap();
        assert_eq!(bytes(&held), b"01axyz\0\0");
        assert_eq!(bytes(&*held.0.storage), b"0123456789");
        let mut part = [0; 2];
        held.read(4, &mut part).unwrap();
        assert_eq!(&part, b"yz");
        assert!(held.read(7, &mut part).is_err());

        release.release().unwrap();
        assert_eq!(bytes(&held), b"01axyz\0\0");
        assert_eq!(bytes(&*held.0.storage), b"01axyz\0\0");
        held.write(0, b"!").unwrap();
        assert_eq!(bytes(&*held.0.storage), b"!1axyz\0\0");
    }
}
