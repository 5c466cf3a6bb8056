//! A disk in memory whose faults can be chosen: it forgets what was not synced, runs full, fails
//! single operations, and may lie about having synced. The data and its journal are two files of it.
#![allow(dead_code, reason = "each test crate uses its own part")]

use madang_store::open::{Medium, Options, StorageFactory, StorageKind};
use redb::StorageBackend;
use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
/// What a file system allocates.
const BLOCK: u64 = 4_096;

/// Cloning shares it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    data: Contents,
    journal: Contents,
    /// Operations that change something, syncs included.
    operations: u64,
    syncs: u64,
    faults: Faults,
}

/// One file.
#[derive(Debug, Default)]
struct Contents {
    /// What a power cut leaves.
    durable: Vec<u8>,
    /// What is read: the durable bytes with all steps done.
    present: Vec<u8>,
    /// Done since the last sync, in order.
    unsynced: Vec<Step>,
    /// Blocks that were ever written.
    allocated: BTreeSet<u64>,
}

/// The bytes of both files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Bytes {
    pub(crate) data: Vec<u8>,
    pub(crate) journal: Vec<u8>,
}

/// One of the files, opened.
#[derive(Debug)]
struct Opened {
    disk: Disk,
    kind: StorageKind,
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

/// What goes wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    /// From this operation on nothing works any more.
    pub(crate) dead_from: Option<u64>,
    /// This operation fails; if it is a sync, what was not synced is taken for synced.
    pub(crate) fails_at: Option<u64>,
    /// Blocks that can be allocated.
    pub(crate) blocks_max: Option<usize>,
    /// Syncs answer, and do nothing.
    pub(crate) lies: bool,
}

/// What a power cut does to that which was not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsynced {
    /// All of it is gone.
    Lost,
    /// Each write is there or not.
    SomeKept,
    /// Each sector of each write is there or not.
    Torn,
}

impl Disk {
    /// The medium of a store on this disk.
    pub(crate) fn medium(&self) -> Medium {
        let disk = self.clone();
        let factory: StorageFactory = Arc::new(move |kind| {
            disk.state().alive()?;
            Ok(Box::new(Opened { disk: disk.clone(), kind }))
        });
        Medium::Storage(factory)
    }

    /// Options for a store on this disk that gives up soon.
    pub(crate) fn options(&self) -> Options {
        let doubt_wait = Duration::from_millis(1);
        Options { doubt_wait, ..Options::on(self.medium()) }
    }

    /// Changes what goes wrong.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Syncs so far.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Blocks ever written.
    pub(crate) fn blocks(&self) -> usize {
        self.state().blocks()
    }

    /// What is read now.
    pub(crate) fn bytes(&self) -> Bytes {
        let state = self.state();
        Bytes { data: state.data.present.clone(), journal: state.journal.present.clone() }
    }

    /// A sound disk with these bytes.
    pub(crate) fn with_bytes(bytes: Bytes) -> Self {
        let [data, journal] = [bytes.data, bytes.journal].map(Contents::of);
        Self(Arc::new(Mutex::new(State { data, journal, ..State::default() })))
    }

    /// What is left of it when the power comes back.
    pub(crate) fn after_power_cut(&self, unsynced: Unsynced, random: &mut fastrand::Rng) -> Self {
        let state = self.state();
        let [data, journal] =
            [&state.data, &state.journal].map(|file| file.after_power_cut(unsynced, random));
        Self::with_bytes(Bytes { data, journal })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no fault of the disk panics")
    }
}

/// Writes; what lies behind the end was not kept before it either.
fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let (from, to) = (offset as usize, offset as usize + data.len());
    if bytes.len() < to {
        bytes.resize(to, 0);
    }
    bytes[from..to].copy_from_slice(data);
}

impl Contents {
    fn of(bytes: Vec<u8>) -> Self {
        let allocated = (0..bytes.len() as u64 / BLOCK).collect();
        Self { durable: bytes.clone(), present: bytes, allocated, ..Self::default() }
    }

    fn after_power_cut(&self, unsynced: Unsynced, random: &mut fastrand::Rng) -> Vec<u8> {
        let mut left = self.durable.clone();
        for step in &self.unsynced {
            match (unsynced, step) {
                (Unsynced::Lost, _) => {}
                (_, Step::SetLength(length)) => {
                    if random.bool() {
                        left.resize(*length as usize, 0);
                    }
                }
                (Unsynced::SomeKept, Step::Write(offset, data)) => {
                    if random.bool() {
                        write(&mut left, *offset, data);
                    }
                }
                (Unsynced::Torn, Step::Write(offset, data)) => {
                    for (index, sector) in data.chunks(SECTOR).enumerate() {
                        if random.bool() {
                            write(&mut left, offset + (index * SECTOR) as u64, sector);
                        }
                    }
                }
            }
        }
        left
    }

    fn sync(&mut self) {
        for step in std::mem::take(&mut self.unsynced) {
            match step {
                Step::Write(offset, data) => write(&mut self.durable, offset, &data),
                Step::SetLength(length) => self.durable.resize(length as usize, 0),
            }
        }
    }
}

impl State {
    fn file(&mut self, kind: StorageKind) -> &mut Contents {
        match kind {
            StorageKind::Data => &mut self.data,
            StorageKind::Journal => &mut self.journal,
        }
    }

    fn blocks(&self) -> usize {
        self.data.allocated.len() + self.journal.allocated.len()
    }

    fn alive(&self) -> io::Result<()> {
        match self.faults.dead_from {
            Some(from) if self.operations >= from => Err(io::Error::other("no power")),
            _ => Ok(()),
        }
    }

    /// Counts an operation; `Err`: it fails.
    fn operate(&mut self) -> io::Result<()> {
        self.alive()?;
        self.operations += 1;
        if self.faults.fails_at == Some(self.operations) {
            return Err(io::Error::other("failed once"));
        }
        Ok(())
    }

    fn allocate(&mut self, kind: StorageKind, offset: u64, length: usize) -> io::Result<()> {
        let blocks = offset / BLOCK..(offset + length as u64).div_ceil(BLOCK);
        let known = &self.file(kind).allocated;
        let new = blocks.clone().filter(|block| !known.contains(block)).count();
        match self.faults.blocks_max {
            Some(most) if new > 0 && self.blocks() + new > most => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => {
                self.file(kind).allocated.extend(blocks);
                Ok(())
            }
        }
    }
}

impl StorageBackend for Opened {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.alive()?;
        Ok(state.file(self.kind).present.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.alive()?;
        let from = offset as usize;
        let bytes = state.file(self.kind).present.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        let file = state.file(self.kind);
        file.present.resize(length as usize, 0);
        file.unsynced.push(Step::SetLength(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let operated = state.operate();
        state.alive()?;
        if state.faults.lies {
            return operated;
        }
        if operated.is_err() {
            // As Linux does: what a failed sync did not write is not written by the next one either.
            state.file(self.kind).unsynced.clear();
            return operated;
        }
        state.syncs += 1;
        state.file(self.kind).sync();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state();
        state.operate()?;
        state.allocate(self.kind, offset, data.len())?;
        let file = state.file(self.kind);
        write(&mut file.present, offset, data);
        file.unsynced.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }
}
