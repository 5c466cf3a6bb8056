//! The data directory, and opening the database in it.
//!
//! ```text
//! madang.lock       empty; locked as long as the store is open
//! madang.redb       the data
//! madang.redb.new   an unfinished creation or import; removed by the next one
//! ```

use super::{
    engine::broken_structure,
    held::{Release, hold},
    tables::{COMMITS, FORMAT, FORMAT_NUMBER, Meta, NAMES, Table},
    transaction::{Read, Snapshot, Tables},
    unsynced::Unsynced,
    witness,
};
use crate::{
    StoreError,
    open::{Medium, OpenError},
};
use ::redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError, TableHandle,
    backends::FileBackend,
};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

const LOCK_FILE: &str = "madang.lock";
const DATA_FILE: &str = "madang.redb";
const NEW_FILE: &str = "madang.redb.new";
/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1a\x0a\xa9\x0d\x0a";

/// Where the database is opened, and opened again. In use until it is dropped.
pub(super) struct Source {
    medium: Medium,
    cache_bytes: usize,
    /// Keeps other processes out, also while the database is closed to be opened again.
    _lock: Option<File>,
    unsynced: Unsynced,
    /// Beneath the database while one is open for writing.
    storage: Mutex<Option<Weak<dyn StorageBackend>>>,
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
        source.create_if_missing()?;
        Ok(source)
    }

    /// As [`Source::new`], for data that must be there already.
    pub(super) fn existing(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        if let Medium::Directory(directory) = &medium {
            let path = directory.join(DATA_FILE);
            path.metadata().map_err(io_error(&path))?;
        }
        Self::lock(medium, cache_bytes)
    }

    fn lock(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        let lock = match &medium {
            Medium::Directory(directory) => Some(lock(directory)?),
            Medium::Storage(_) => None,
        };
        let unsynced = Unsynced::default();
        Ok(Self { medium, cache_bytes, _lock: lock, unsynced, storage: Mutex::default() })
    }

    /// Opens the database. Unless that succeeds nothing is written.
    pub(super) fn open(&self) -> Result<Database, OpenError> {
        let Opened { database, release, storage } = self.open_held(false)?;
        let commits = self.carefully(|| commits(&database))?;
        self.check_witness(&*storage, commits)?;
        release.release().map_err(io_error(&self.path()))?;
        *self.storage.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::downgrade(&storage));
        self.complete(database)
    }

    /// Notes that commit `number` is durable, before anybody hears of it.
    pub(super) fn witness(&self, number: u64) {
        let storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(storage) = storage.as_ref().and_then(Weak::upgrade) else { return };
        if let Err(error) = witness::write(&*storage, number) {
            // The commit is durable all the same: only damage to it could go unnoticed.
            tracing::warn!(%error, "the witness of the last commit could not be written");
        }
    }

    /// Opens the database so that nothing is ever written, and with every page verified.
    pub(super) fn examine(&self) -> Result<Database, OpenError> {
        let Opened { database, storage, .. } = self.open_held(true)?;
        // A count that cannot be read is one damaged record among all that are examined.
        if let Ok(commits) = self.carefully(|| commits(&database)) {
            self.check_witness(&*storage, commits)?;
        }
        self.complete(database)
    }

    /// What is opened, for people.
    pub(super) fn path(&self) -> PathBuf {
        match &self.medium {
            Medium::Directory(directory) => directory.join(DATA_FILE),
            Medium::Storage(_) => PathBuf::from("storage"),
        }
    }

    fn create_if_missing(&self) -> Result<(), OpenError> {
        if self.exists()? { Ok(()) } else { self.install_new(self.make_new()?) }
    }

    /// As [`Source::new`], but makes nothing beside the directory.
    pub(super) fn to_be_filled(medium: Medium, cache_bytes: usize) -> Result<Self, OpenError> {
        if let Medium::Directory(directory) = &medium {
            fs::create_dir_all(directory).map_err(io_error(directory))?;
        }
        Self::lock(medium, cache_bytes)
    }

    /// There is a database, or a storage that is one or becomes one.
    pub(super) fn exists(&self) -> Result<bool, OpenError> {
        match &self.medium {
            Medium::Directory(_) => self.path().try_exists().map_err(io_error(&self.path())),
            Medium::Storage(_) => Ok(true),
        }
    }

    /// Makes an empty database under another name, so that a crash before it is installed leaves
    /// none rather than half a one.
    pub(super) fn make_new(&self) -> Result<Database, OpenError> {
        let new = self.new_path()?;
        let make = || -> io::Result<Database> {
            if new.try_exists()? {
                fs::remove_file(&new)?;
            }
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(&new)?;
            let backend = FileBackend::new(file).map_err(io::Error::other)?;
            let database = self.builder().create_with_backend(backend).map_err(io::Error::other)?;
            initialise(&database).map_err(io::Error::other)?;
            Ok(database)
        };
        make().map_err(io_error(&new))
    }

    /// Gives the database of [`Source::make_new`] its name. It takes the place of an empty one.
    pub(super) fn install_new(&self, database: Database) -> Result<(), OpenError> {
        let (new, path) = (self.new_path()?, self.path());
        let install = || -> io::Result<()> {
            database.close().map_err(io::Error::other)?;
            File::open(&new)?.sync_all()?;
            fs::rename(&new, &path)?;
            path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        };
        install().map_err(io_error(&new))
    }

    /// Removes what [`Source::make_new`] made, and nobody wants any more.
    pub(super) fn discard_new(&self) {
        // Left there it only takes room, until the next creation or import.
        if let Ok(new) = self.new_path() {
            let _ = fs::remove_file(new);
        }
    }

    fn new_path(&self) -> Result<PathBuf, OpenError> {
        match &self.medium {
            Medium::Directory(directory) => Ok(directory.join(NEW_FILE)),
            Medium::Storage(_) => {
                Err(io_error(&self.path())(io::Error::from(io::ErrorKind::Unsupported)))
            }
        }
    }

    fn open_held(&self, verify: bool) -> Result<Opened, OpenError> {
        let path = self.path();
        let storage = self.storage().map_err(io_error(&path))?;
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

    fn storage(&self) -> io::Result<Box<dyn StorageBackend>> {
        match &self.medium {
            Medium::Directory(_) => {
                let file = OpenOptions::new().read(true).write(true).open(self.path())?;
                Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
            }
            Medium::Storage(factory) => factory(),
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
        if length == 0 && matches!(self.medium, Medium::Storage(_)) {
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
        match self.carefully(|| format(database))? {
            Format::Empty => Ok(()),
            Format::Number(number) if number <= FORMAT_NUMBER => Ok(()),
            Format::Number(found) => {
                Err(OpenError::NewerFormat { path, found, known: FORMAT_NUMBER })
            }
            Format::Other => Err(foreign(&path, "a database of another program")),
        }
    }

    /// Refuses a file whose last commit is older than one that was acknowledged.
    fn check_witness(&self, storage: &dyn StorageBackend, commits: u64) -> Result<(), OpenError> {
        let path = self.path();
        match witness::read(storage).map_err(io_error(&path))? {
            Some(acknowledged) if commits < acknowledged => {
                let detail = format!(
                    "commit {acknowledged} was acknowledged, but only {commits} can be read; \
                     the file is left as it is, restore it from a backup"
                );
                Err(damaged(&path, &detail))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Reads from a database that may be damaged: redb may panic over it.
    fn carefully<T>(&self, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, OpenError> {
        catch_unwind(AssertUnwindSafe(read))
            .unwrap_or_else(|_| Err(broken_structure()))
            .map_err(|error| damaged(&self.path(), &error.to_string()))
    }

    /// Gives a database that was just made its tables, and one of an earlier version those that
    /// were added since.
    fn complete(&self, database: Database) -> Result<Database, OpenError> {
        let failed =
            |error: StoreError| io_error(&self.path())(io::Error::other(error.to_string()));
        if matches!(format(&database).map_err(failed)?, Format::Empty) {
            initialise(&database).map_err(failed)?;
        } else if table_names(&database).map_err(failed)?.len() < NAMES.len() {
            add_tables(&database).map_err(failed)?;
        }
        Ok(database)
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
}

/// What a database says about itself.
enum Format {
    /// It holds nothing at all.
    Empty,
    /// It is ours, in this format.
    Number(u64),
    /// It holds something else.
    Other,
}

fn format(database: &Database) -> Result<Format, StoreError> {
    let unavailable = |error: ::redb::TransactionError| StoreError::Unavailable(error.to_string());
    let names = table_names(database)?;
    let transaction = database.begin_read().map_err(unavailable)?;
    if names.is_empty() {
        return Ok(Format::Empty);
    }
    if !names.iter().any(|name| name == Meta::NAME) {
        return Ok(Format::Other);
    }
    match Snapshot::new(transaction).get::<Meta>(&FORMAT.to_owned()) {
        Ok(Some(number)) => Ok(Format::Number(number)),
        Ok(None) => Ok(Format::Other),
        Err(error) => Err(error),
    }
}

/// How many transactions were committed.
fn commits(database: &Database) -> Result<u64, StoreError> {
    if matches!(format(database)?, Format::Empty) {
        return Ok(0);
    }
    let transaction =
        database.begin_read().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    Snapshot::new(transaction).expect::<Meta>(&COMMITS.to_owned())
}

fn table_names(database: &Database) -> Result<Vec<String>, StoreError> {
    let unavailable = |error: ::redb::TransactionError| StoreError::Unavailable(error.to_string());
    let transaction = database.begin_read().map_err(unavailable)?;
    let tables = transaction.list_tables().map_err(super::transaction::storage_error)?;
    Ok(tables.map(|table| table.name().to_owned()).collect())
}

/// Makes the tables that are not there.
fn add_tables(database: &Database) -> Result<(), StoreError> {
    let unavailable = |error: ::redb::Error| StoreError::Unavailable(error.to_string());
    let transaction = database.begin_write().map_err(|error| unavailable(error.into()))?;
    Tables::new(&transaction).make_all()?;
    transaction.commit().map_err(|error| unavailable(error.into()))
}

/// Makes all tables and says that they are ours, in one transaction.
fn initialise(database: &Database) -> Result<(), StoreError> {
    let unavailable = |error: ::redb::Error| StoreError::Unavailable(error.to_string());
    let transaction = database.begin_write().map_err(|error| unavailable(error.into()))?;
    {
        let mut tables = Tables::new(&transaction);
        tables.make_all()?;
        tables.put::<Meta>(&FORMAT.to_owned(), &FORMAT_NUMBER)?;
        tables.put::<Meta>(&COMMITS.to_owned(), &0)?;
    }
    transaction.commit().map_err(|error| unavailable(error.into()))
}

fn lock(directory: &Path) -> Result<File, OpenError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: directory.into() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}

fn foreign(path: &Path, detail: &str) -> OpenError {
    OpenError::Foreign { path: path.into(), detail: detail.into() }
}

fn damaged(path: &Path, detail: &str) -> OpenError {
    OpenError::Damaged { path: path.into(), detail: detail.into() }
}
