//! The journal: small transactions, one behind the other, each made durable by one write and one sync.
//!
//! To commit one message durably redb writes 12 to 14 pages. So a small transaction is made durable here,
//! and redb only takes it in for those who read ([`super::overlay`]), without writing a page; the first one
//! that finds no room here is committed durably, which takes all before it along, and the journal begins
//! anew at its beginning. After a crash the file is as of the last durable commit, and what the journal has beyond
//! that is done again. A large transaction is committed durably at once: it has fewer pages a message, and
//! writing it twice would cost more than it spares.
//!
//! ```text
//! | length of the steps, 8 bytes | history, 8 | number, 8 | checksum, 8 | steps | up to a multiple of 8 |
//! ```
//!
//! Numbers are little endian, the number is that of the commit, the checksum is XXH3-64 over all but itself.
//! *History* is a random number that each durable commit draws anew and keeps in the data file: an
//! entry continues the commit that drew it and no other. So nothing has to be erased to begin anew, what
//! somebody sends as a message cannot pass for an entry, and a journal beside a file it does not
//! belong to is found out.
//!
//! The sync of one entry has ended before the next is written, behind it, perhaps into the same sector of the
//! disk, which must then hold what it held or what was written. So an entry that cannot be read, with
//! a later one behind it, was acknowledged, and the data is refused. With none behind it, it was cut short,
//! unless the witness says otherwise ([`super::witness`]).

use ::redb::StorageBackend;
use std::io;
use xxhash_rust::xxh3::Xxh3Default;

/// The length of the file: some thousand messages. So many it takes to make up for what redb writes with a
/// durable commit, and so much is kept in memory and done again after a crash.
pub(super) const JOURNAL_BYTES: u64 = 2 * 1024 * 1024;
const HEADER: usize = 32;
const ALIGNMENT: usize = 8;

/// Where transactions are appended.
#[derive(Debug)]
pub(super) struct Journal {
    storage: Box<dyn StorageBackend>,
    history: u64,
    /// Behind the last entry.
    end: u64,
}

/// What a journal holds beyond the data file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beyond {
    /// The steps of each transaction, in order.
    pub(super) transactions: Vec<Vec<u8>>,
    end: u64,
}

impl Beyond {
    /// The number of the last transaction, where that of the data file is `commits`.
    pub(super) fn last(&self, commits: u64) -> u64 {
        commits + self.transactions.len() as u64
    }
}

/// Why a journal is not done again.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// Commit `missing` was acknowledged, for a later one is there.
    Hole { missing: u64 },
    /// It continues other data than this.
    Foreign,
}

impl Journal {
    /// The journal in `storage`, of which `beyond` was read; gives it its length if it has not got it.
    pub(super) fn new(
        storage: Box<dyn StorageBackend>,
        history: u64,
        beyond: &Beyond,
    ) -> io::Result<Self> {
        let length = storage.len()?;
        if length < JOURNAL_BYTES {
            // Written, not only long: a sync of what is allocated already is cheaper.
            storage.set_len(JOURNAL_BYTES)?;
            storage.write(length, &vec![0; (JOURNAL_BYTES - length) as usize])?;
            storage.sync_data()?;
        }
        Ok(Self { storage, history, end: beyond.end })
    }

    /// Makes commit `number` durable; `false`: it has no room. After an error nobody knows whether it is
    /// there, until the journal is read again.
    pub(super) fn append(&mut self, number: u64, steps: &[u8]) -> io::Result<bool> {
        let entry = encode(self.history, number, steps);
        let end = self.end + entry.len() as u64;
        if end > JOURNAL_BYTES {
            return Ok(false);
        }
        self.storage.write(self.end, &entry)?;
        self.storage.sync_data()?;
        self.end = end;
        Ok(true)
    }

    /// Everything in it is durable elsewhere, as of the commit that drew `history`.
    pub(super) fn begin_anew(&mut self, history: u64) {
        self.history = history;
        self.end = 0;
    }

    /// Nothing was appended since it began anew.
    pub(super) fn is_empty(&self) -> bool {
        self.end == 0
    }
}

/// What is there beyond `commits`, the last one of the data file, which drew `history`.
pub(super) fn read(
    storage: &dyn StorageBackend,
    history: u64,
    commits: u64,
) -> Result<Beyond, Unusable> {
    let length = storage.len().map_err(Unusable::Io)?.min(JOURNAL_BYTES);
    let mut bytes = vec![0; length as usize];
    storage.read(0, &mut bytes).map_err(Unusable::Io)?;
    if entry(&bytes).is_some_and(|first| first.history != history && first.number > commits) {
        return Err(Unusable::Foreign);
    }
    let (mut beyond, mut missing) = (Beyond::default(), commits + 1);
    let mut place = 0;
    while place < bytes.len() {
        // Behind a damaged entry the next sound one is looked for: it must not be passed over in silence.
        let Some(found) = entry_of(history, &bytes[place..]) else {
            place += ALIGNMENT;
            continue;
        };
        place += padded(HEADER + found.steps.len());
        beyond.end = place as u64;
        if found.number > missing {
            return Err(Unusable::Hole { missing });
        }
        if found.number == missing {
            beyond.transactions.push(found.steps.to_vec());
            missing += 1;
        }
    }
    Ok(beyond)
}

/// A sound entry.
struct Entry<'a> {
    history: u64,
    number: u64,
    steps: &'a [u8],
}

/// The entry at the beginning of `bytes`, if it is of this history: what is not is passed by without
/// a look at its checksum.
fn entry_of(history: u64, bytes: &[u8]) -> Option<Entry<'_>> {
    let stated = bytes.get(ALIGNMENT..2 * ALIGNMENT)?;
    (stated == history.to_le_bytes()).then(|| entry(bytes)).flatten()
}

fn entry(bytes: &[u8]) -> Option<Entry<'_>> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let [length, history, number, checksum] = [0, 1, 2, 3].map(|field| {
        let from = field * ALIGNMENT;
        header[from..from + ALIGNMENT].try_into().map(u64::from_le_bytes).unwrap_or_default()
    });
    let steps = rest.get(..usize::try_from(length).ok()?)?;
    let is_sound = checksum == checksum_of(history, number, steps);
    is_sound.then_some(Entry { history, number, steps })
}

fn encode(history: u64, number: u64, steps: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(padded(HEADER + steps.len()));
    let checksum = checksum_of(history, number, steps);
    for field in [steps.len() as u64, history, number, checksum] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(steps);
    bytes.resize(padded(bytes.len()), 0);
    bytes
}

fn checksum_of(history: u64, number: u64, steps: &[u8]) -> u64 {
    let mut hasher = Xxh3Default::new();
    hasher.update(b"madang journal");
    for field in [steps.len() as u64, history, number] {
        hasher.update(&field.to_le_bytes());
    }
    hasher.update(steps);
    hasher.digest()
}

fn padded(length: usize) -> usize {
    length.next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests;
