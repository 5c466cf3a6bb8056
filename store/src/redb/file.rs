//! Opening the database, and what is beside it: its journal and its witness.

use super::{
    contents::{self, Format, Progress},
    engine::broken_structure,
    files::{Files, io_error},
    held::{Release, hold},
    journal::{self, Beyond, Journal, Unusable},
    tables::FORMAT_NUMBER,
    unsynced::Unsynced,
    witness,
};
use crate::{
    StoreError,
    open::{Medium, OpenError},
};
use ::redb::{Builder, Database, DatabaseError, StorageBackend, StorageError};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Where the database is opened, and opened again. In use until it is dropped.
pub(super) struct Source {
    files: Files,
    cache_bytes: usize,
    unsynced: Unsynced,
    unsynced_journal: Unsynced,
    /// Beneath the database while one is open for writing.
    storage: Mutex<Option<Weak<dyn StorageBackend>>>,
    /// Beside the database while one is open for writing.
    journal: Mutex<Option<Journal>>,
}

/// A database that is known to be ours, and has written nothing so far.
struct Opened {
    database: Database,
    release: Release,
    storage: Arc<dyn StorageBackend>,
}

impl Source {
    /// Takes the medium into use; makes an empty database where there is none.
    pub(super) fn new(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        let source = Self::to_be_filled(medium, cache_bytes)?;
        if !source.exists()? {
            source.install_new(source.make_new()?)?;
        }
        Ok(source)
    }

    /// As [`Source::new`], for data that must be there already.
    pub(super) fn existing(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        Files::existing(medium).map(|files| Self::of(files, cache_bytes))
    }

    /// As [`Source::new`], but makes nothing beside the directory.
    pub(super) fn to_be_filled(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        Files::to_be_filled(medium).map(|files| Self::of(files, cache_bytes))
    }

    fn of(files: Files, cache_bytes: usize) -> Self {
        Self {
            files,
            cache_bytes,
            unsynced: Unsynced::default(),
            unsynced_journal: Unsynced::default(),
            storage: Mutex::default(),
            journal: Mutex::default(),
        }
    }

    /// Opens the database, with what its journal has beyond it; the second is the number of its last
    /// commit, behind which the next one counts on. Unless that succeeds nothing is written.
    pub(super) fn open(&self) -> Result<(Database, u64), OpenError> {
        // Of the opening before: its file is locked until it is dropped.
        *self.journal() = None;
        let Opened { database, release, storage } = self.open_held(false)?;
        let progress = self.carefully(|| contents::progress(&database))?;
        let (journal, beyond) = self.read_journal(&progress)?;
        self.check_witness(&*storage, &progress, &beyond)?;
        let (database, history) = self.bring_up_to_date(database, &beyond)?;
        release.release().map_err(io_error(&self.path()))?;
        *lock(&self.storage) = Some(Arc::downgrade(&storage));
        let journal = journal.map_or_else(|| self.watch_journal(self.files.make_journal()?), Ok);
        let journal = journal.and_then(|journal| Journal::new(journal, history, &beyond));
        *self.journal() = Some(journal.map_err(io_error(&self.files.journal_path()))?);
        Ok((database, beyond.last(progress.commits)))
    }

    /// Opens the database so that nothing is ever written, and with every page verified.
    pub(super) fn examine(&self) -> Result<Database, OpenError> {
        let Opened { database, storage, .. } = self.open_held(true)?;
        // A count that cannot be read is one damaged record among all that are examined.
        let Ok(progress) = self.carefully(|| contents::progress(&database)) else {
            return Ok(database);
        };
        let (_, beyond) = self.read_journal(&progress)?;
        self.check_witness(&*storage, &progress, &beyond)?;
        self.bring_up_to_date(database, &beyond).map(|(database, _)| database)
    }

    /// Makes commit `number` durable in the journal, if it has room.
    pub(super) fn append_to_journal(&self, number: u64, steps: &[u8]) -> Result<bool, StoreError> {
        let appended = self.journal().as_mut().map(|journal| journal.append(number, steps));
        appended.unwrap_or(Ok(false)).map_err(|error| StoreError::Unavailable(error.to_string()))
    }

    /// A durable commit, which drew `history`, has taken along what the journal holds.
    pub(super) fn begin_journal_anew(&self, history: u64) {
        if let Some(journal) = self.journal().as_mut() {
            journal.begin_anew(history);
        }
    }

    /// The data file lacks nothing.
    pub(super) fn is_journal_empty(&self) -> bool {
        self.journal().as_ref().is_some_and(Journal::is_empty)
    }

    /// Removes the journal of a database that is closed and lacks nothing.
    pub(super) fn remove_journal(&self) {
        *self.journal() = None;
        if let Err(error) = self.files.remove_journal() {
            tracing::warn!(%error, "the journal could not be removed");
        }
    }

    /// Notes that commit `number` is durable, before anybody hears of it.
    pub(super) fn witness(&self, number: u64) {
        let storage = lock(&self.storage);
        let Some(storage) = storage.as_ref().and_then(Weak::upgrade) else { return };
        if let Err(error) = witness::write(&*storage, number) {
            // The commit is durable all the same: only damage to it could go unnoticed.
            tracing::warn!(%error, "the witness of the last commit could not be written");
        }
    }

    /// What is opened, for people.
    pub(super) fn path(&self) -> PathBuf {
        self.files.data_path()
    }

    /// There is a database, or a storage that is one or becomes one.
    pub(super) fn exists(&self) -> Result<bool, OpenError> {
        self.files.has_data()
    }

    /// Makes an empty database under another name, so that a crash before it is installed leaves
    /// none rather than half a one.
    pub(super) fn make_new(&self) -> Result<Database, OpenError> {
        let storage = self.files.make_new()?;
        let failed = |error: String| io_error(&self.path())(io::Error::other(error));
        let database = self.builder().create_with_backend(storage);
        let database = database.map_err(|error| failed(error.to_string()))?;
        contents::complete(&database).map_err(|error| failed(error.to_string()))?;
        Ok(database)
    }

    /// Gives the database of [`Source::make_new`] its name. It takes the place of an empty one.
    pub(super) fn install_new(&self, database: Database) -> Result<(), OpenError> {
        let closed = database.close().map_err(io::Error::other);
        closed.map_err(io_error(&self.files.new_path()?))?;
        self.files.install_new()
    }

    /// Removes what [`Source::make_new`] made, and nobody wants any more.
    pub(super) fn discard_new(&self) {
        self.files.discard_new();
    }

    fn open_held(&self, verify: bool) -> Result<Opened, OpenError> {
        let path = self.path();
        let storage = self.files.open_data().map_err(io_error(&path))?;
        self.check_magic(&*storage)?;
        let storage: Arc<dyn StorageBackend> =
            Arc::new(self.unsynced.watch(storage).map_err(io_error(&path))?);
        let (held, release) = hold(storage.clone());
        let mut builder = self.builder();
        builder.set_check_integrity_on_open(verify);
        // redb may panic over a damaged file; the panic says no more than "damaged".
        let database = catch_unwind(AssertUnwindSafe(|| builder.create_with_backend(held)))
            .map_err(|_| damaged(&path, "its structure is broken"))?
            .map_err(|error| self.database_error(error))?;
        self.check_format(&database)?;
        Ok(Opened { database, release, storage })
    }

    /// The journal, if there is one, and what it has beyond a database.
    fn read_journal(
        &self,
        progress: &Progress,
    ) -> Result<(Option<Box<dyn StorageBackend>>, Beyond), OpenError> {
        let path = self.files.journal_path();
        let Some(storage) = self.files.open_journal().map_err(io_error(&path))? else {
            return Ok((None, Beyond::default()));
        };
        let storage = self.watch_journal(storage).map_err(io_error(&path))?;
        // Without a history there is none that could be continued.
        let history = progress.history.unwrap_or_default();
        match journal::read(&*storage, history, progress.commits) {
            Ok(beyond) => Ok((Some(storage), beyond)),
            Err(Unusable::Io(error)) => Err(io_error(&path)(error)),
            Err(Unusable::Hole { missing }) => Err(self.lost(&path, missing, missing - 1)),
            Err(Unusable::Foreign) => Err(damaged(
                &path,
                "it continues other data than what is beside it; put that back, or remove the \
                 journal to go on without what it holds",
            )),
        }
    }

    fn watch_journal(
        &self,
        storage: Box<dyn StorageBackend>,
    ) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(self.unsynced_journal.watch(storage)?))
    }

    /// Writes what a database of this version has, and what its journal has beyond it. Returns its history
    /// as well.
    fn bring_up_to_date(
        &self,
        database: Database,
        beyond: &Beyond,
    ) -> Result<(Database, u64), OpenError> {
        let written = self.carefully(|| {
            let history = contents::complete(&database)?;
            contents::redo(&database, &beyond.transactions)?;
            Ok(history)
        });
        match written {
            Ok(history) => Ok((database, history)),
            Err(error) => {
                let_go(database);
                Err(error)
            }
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }

    /// An empty storage is a database that is yet to be made; an empty file was one once.
    fn check_magic(&self, storage: &dyn StorageBackend) -> Result<(), OpenError> {
        let path = self.path();
        let length = storage.len().map_err(io_error(&path))?;
        if length == 0 && self.files.is_callers() {
            return Ok(());
        }
        let mut magic = [0; MAGIC.len()];
        if length >= MAGIC.len() as u64 {
            storage.read(0, &mut magic).map_err(io_error(&path))?;
        }
        if magic == MAGIC { Ok(()) } else { Err(foreign(&path, "not a redb file")) }
    }

    fn check_format(&self, database: &Database) -> Result<(), OpenError> {
        let path = self.path();
        match self.carefully(|| contents::format(database))? {
            Format::Empty => Ok(()),
            Format::Number(number) if number <= FORMAT_NUMBER => Ok(()),
            Format::Number(found) => {
                Err(OpenError::NewerFormat { path, found, known: FORMAT_NUMBER })
            }
            Format::Other => Err(foreign(&path, "a database of another program")),
        }
    }

    /// Refuses data whose last commit is older than one that was acknowledged.
    fn check_witness(
        &self,
        storage: &dyn StorageBackend,
        progress: &Progress,
        beyond: &Beyond,
    ) -> Result<(), OpenError> {
        let path = self.path();
        let commits = beyond.last(progress.commits);
        match witness::read(storage).map_err(io_error(&path))? {
            Some(acknowledged) if commits < acknowledged => {
                Err(self.lost(&path, acknowledged, commits))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn lost(&self, path: &Path, acknowledged: u64, readable: u64) -> OpenError {
        let detail = format!(
            "commit {acknowledged} was acknowledged, but only {readable} can be read; the data is left \
             as it is, restore it from a backup"
        );
        damaged(path, &detail)
    }

    /// Uses a database that may be damaged: redb may panic over it.
    fn carefully<T>(&self, body: impl FnOnce() -> Result<T, StoreError>) -> Result<T, OpenError> {
        let path = self.path();
        match catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| Err(broken_structure())) {
            Ok(answer) => Ok(answer),
            Err(StoreError::Unavailable(why)) => Err(io_error(&path)(io::Error::other(why))),
            Err(error) => Err(damaged(&path, &error.to_string())),
        }
    }

    fn database_error(&self, error: DatabaseError) -> OpenError {
        let path = self.path();
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                OpenError::InUse { path }
            }
            DatabaseError::Storage(StorageError::Io(source))
                if source.kind() != io::ErrorKind::UnexpectedEof =>
            {
                OpenError::Io { path, source }
            }
            DatabaseError::UpgradeRequired(version) => {
                foreign(&path, &format!("redb file format {version}"))
            }
            other => damaged(&path, &other.to_string()),
        }
    }

    fn journal(&self) -> MutexGuard<'_, Option<Journal>> {
        lock(&self.journal)
    }
}

/// Closes a database in which something failed: where redb has panicked, it may do so once more.
pub(super) fn let_go(database: Database) {
    if catch_unwind(AssertUnwindSafe(|| drop(database))).is_err() {
        tracing::warn!("the database could not be closed");
    }
}

/// Whoever panicked with it left it whole: each holds it for one assignment, or for one entry, after
/// which the database is opened again.
fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn foreign(path: &Path, detail: &str) -> OpenError {
    OpenError::Foreign { path: path.into(), detail: detail.into() }
}

fn damaged(path: &Path, detail: &str) -> OpenError {
    OpenError::Damaged { path: path.into(), detail: detail.into() }
}
