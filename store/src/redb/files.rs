//! The data directory.
//!
//! ```text
//! madang.lock       empty; locked as long as the store is open
//! madang.redb       the data
//! madang.journal    what is not in it yet; removed by an orderly end
//! madang.redb.new   an unfinished creation or import; removed by the next one
//! ```

use crate::open::{Medium, OpenError, StorageKind};
use ::redb::{StorageBackend, backends::FileBackend};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

const LOCK_FILE: &str = "madang.lock";
const DATA_FILE: &str = "madang.redb";
const JOURNAL_FILE: &str = "madang.journal";
const NEW_FILE: &str = "madang.redb.new";

type Storage = Box<dyn StorageBackend>;

/// The files of a store. In use until it is dropped.
pub(super) struct Files {
    medium: Medium,
    /// Keeps other processes out, also while the database is closed to be opened again.
    _lock: Option<File>,
}

impl Files {
    /// Takes files into use that are there already.
    pub(super) fn existing(medium: Medium) -> Result<Self, OpenError> {
        if let Medium::Directory(directory) = &medium {
            let path = directory.join(DATA_FILE);
            path.metadata().map_err(io_error(&path))?;
        }
        Self::lock(medium)
    }

    /// The same, but makes the directory if there is none.
    pub(super) fn to_be_filled(medium: Medium) -> Result<Self, OpenError> {
        if let Medium::Directory(directory) = &medium {
            fs::create_dir_all(directory).map_err(io_error(directory))?;
        }
        Self::lock(medium)
    }

    fn lock(medium: Medium) -> Result<Self, OpenError> {
        let lock = match &medium {
            Medium::Directory(directory) => Some(lock(directory)?),
            Medium::Storage(_) => None,
        };
        Ok(Self { medium, _lock: lock })
    }

    /// The data, for people.
    pub(super) fn data_path(&self) -> PathBuf {
        self.path(DATA_FILE).unwrap_or_else(|| "storage".into())
    }

    /// The journal, for people.
    pub(super) fn journal_path(&self) -> PathBuf {
        self.path(JOURNAL_FILE).unwrap_or_else(|| "storage of the journal".into())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        match &self.medium {
            Medium::Directory(directory) => Some(directory.join(name)),
            Medium::Storage(_) => None,
        }
    }

    /// There is a database, or a storage that is one or becomes one. A journal alone is what is left
    /// of one, and nothing may be made in its place.
    pub(super) fn has_data(&self) -> Result<bool, OpenError> {
        let (Some(data), Some(journal)) = (self.path(DATA_FILE), self.path(JOURNAL_FILE)) else {
            return Ok(true);
        };
        let exists = |path: &Path| path.try_exists().map_err(io_error(path));
        let has_data = exists(&data)?;
        if !has_data && exists(&journal)? {
            let detail = "it is missing, but madang.journal holds what was written to it last; put it \
                          back, or remove the journal to begin anew";
            return Err(OpenError::Damaged { path: data, detail: detail.into() });
        }
        Ok(has_data)
    }

    /// There is data only if somebody has put it there.
    pub(super) fn is_callers(&self) -> bool {
        matches!(self.medium, Medium::Storage(_))
    }

    /// The data.
    pub(super) fn open_data(&self) -> io::Result<Storage> {
        match &self.medium {
            Medium::Directory(directory) => open(&directory.join(DATA_FILE)),
            Medium::Storage(factory) => factory(StorageKind::Data),
        }
    }

    /// The journal, if there is one.
    pub(super) fn open_journal(&self) -> io::Result<Option<Storage>> {
        let opened = match &self.medium {
            Medium::Directory(directory) => open(&directory.join(JOURNAL_FILE)),
            Medium::Storage(factory) => factory(StorageKind::Journal),
        };
        match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// An empty journal, where there is none.
    pub(super) fn make_journal(&self) -> io::Result<Storage> {
        match &self.medium {
            Medium::Directory(directory) => {
                let path = directory.join(JOURNAL_FILE);
                let storage = open_with(OpenOptions::new().create_new(true), &path)?;
                // What is acknowledged from it must not go with its name.
                File::open(directory)?.sync_all()?;
                Ok(Box::new(storage))
            }
            Medium::Storage(factory) => factory(StorageKind::Journal),
        }
    }

    /// Removes the journal of data that has everything.
    pub(super) fn remove_journal(&self) -> io::Result<()> {
        match self.path(JOURNAL_FILE).map(fs::remove_file) {
            Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// An empty file under another name.
    pub(super) fn make_new(&self) -> Result<FileBackend, OpenError> {
        let new = self.new_path()?;
        let make = || {
            if new.try_exists()? {
                fs::remove_file(&new)?;
            }
            open_with(OpenOptions::new().create_new(true), &new)
        };
        make().map_err(io_error(&new))
    }

    /// Gives what was made under another name, and is closed, the name of the data.
    pub(super) fn install_new(&self) -> Result<(), OpenError> {
        let (new, path) = (self.new_path()?, self.data_path());
        let install = || -> io::Result<()> {
            File::open(&new)?.sync_all()?;
            // That of the empty database whose place it takes.
            self.remove_journal()?;
            fs::rename(&new, &path)?;
            path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        };
        install().map_err(io_error(&new))
    }

    /// Removes what nobody wants any more.
    pub(super) fn discard_new(&self) {
        // Left there it only takes room, until the next creation or import.
        if let Ok(new) = self.new_path() {
            let _ = fs::remove_file(new);
        }
    }

    /// Where a database is made.
    pub(super) fn new_path(&self) -> Result<PathBuf, OpenError> {
        let unsupported = || io_error(&self.data_path())(io::ErrorKind::Unsupported.into());
        self.path(NEW_FILE).ok_or_else(unsupported)
    }
}

fn open(path: &Path) -> io::Result<Storage> {
    Ok(Box::new(open_with(&mut OpenOptions::new(), path)?))
}

fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<FileBackend> {
    let file = options.read(true).write(true).open(path)?;
    FileBackend::new(file).map_err(io::Error::other)
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

/// What the system said about `path`.
pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io { path: path.clone(), source }
}
