//! What a journal says of itself, whole, damaged, and beside other data.

use super::*;
use ::redb::backends::InMemoryBackend;
use std::sync::Arc;

const HISTORY: u64 = 7;

#[derive(Debug, Clone, Default)]
struct Shared(Arc<InMemoryBackend>);

impl StorageBackend for Shared {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}

fn steps(number: u64) -> Vec<u8> {
    number.to_string().repeat(number as usize % 40).into_bytes()
}

fn journal(storage: &Shared) -> Journal {
    Journal::new(Box::new(storage.clone()), HISTORY, &Beyond::default()).unwrap()
}

/// A journal of the commits `from` to `to`.
fn filled(from: u64, to: u64) -> Shared {
    let storage = Shared::default();
    let mut journal = journal(&storage);
    for number in from..=to {
        assert!(journal.append(number, &steps(number)).unwrap());
    }
    storage
}

fn transactions(storage: &Shared, commits: u64) -> Vec<Vec<u8>> {
    read(storage, HISTORY, commits).unwrap().transactions
}

#[test]
fn what_is_beyond_the_data_is_read() {
    let storage = filled(1, 50);
    let all: Vec<_> = (1..=50).map(steps).collect();
    assert_eq!(transactions(&storage, 0), all);
    assert_eq!(transactions(&storage, 20), all[20..]);
    assert!(transactions(&storage, 50).is_empty());
    assert_eq!(read(&Shared::default(), HISTORY, 9).unwrap(), Beyond::default());
}

#[test]
fn it_goes_on_behind_what_was_read() {
    let storage = filled(1, 50);
    let beyond = read(&storage, HISTORY, 0).unwrap();
    let mut journal = Journal::new(Box::new(storage.clone()), HISTORY, &beyond).unwrap();
    assert!(journal.append(51, &steps(51)).unwrap());
    assert_eq!(transactions(&storage, 0).len(), 51);
}

#[test]
fn what_is_full_begins_anew() {
    let storage = Shared::default();
    let mut journal = journal(&storage);
    let mut last = 0;
    while journal.append(last + 1, &[1; 1_000]).unwrap() {
        last += 1;
    }
    assert_eq!(last, JOURNAL_BYTES / 1_032);
    assert_eq!(transactions(&storage, 0).len() as u64, last);
    journal.begin_anew(HISTORY + 1);
    assert!(journal.is_empty());
    assert_eq!(read(&storage, HISTORY + 1, last).unwrap(), Beyond::default());
    assert!(journal.append(last + 1, &steps(9)).unwrap());
    assert_eq!(read(&storage, HISTORY + 1, last).unwrap().transactions, [steps(9)]);
}

#[test]
fn an_entry_that_was_cut_short_is_none() {
    let storage = filled(1, 20);
    let end = read(&storage, HISTORY, 0).unwrap().end;
    let whole = encode(HISTORY, 21, &steps(39));
    for length in 0..whole.len() - padded_by(&steps(39)) {
        storage.write(end, &vec![0; whole.len()]).unwrap();
        storage.write(end, &whole[..length]).unwrap();
        let beyond = read(&storage, HISTORY, 0).unwrap();
        assert_eq!((beyond.transactions.len(), beyond.end), (20, end), "{length} bytes");
    }
}

/// How many of an entry's last bytes say nothing.
fn padded_by(steps: &[u8]) -> usize {
    padded(steps.len()) - steps.len() + steps.iter().rev().take_while(|byte| **byte == 0).count()
}

#[test]
fn a_flipped_bit_before_a_sound_entry_is_refused() {
    let storage = filled(1, 4);
    let end = read(&storage, HISTORY, 0).unwrap().end;
    let last = encode(HISTORY, 4, &steps(4)).len() as u64;
    for place in 0..end - last {
        for bit in 0..8 {
            let mut byte = [0];
            storage.read(place, &mut byte).unwrap();
            storage.write(place, &[byte[0] ^ 1 << bit]).unwrap();
            match read(&storage, HISTORY, 0) {
                Err(Unusable::Hole { missing }) => assert!((1..=3).contains(&missing)),
                // A bit that fills up.
                Ok(beyond) => assert_eq!(beyond.transactions.len(), 4, "bit {bit} of {place}"),
                Err(other) => panic!("bit {bit} of byte {place}: {other:?}"),
            }
            storage.write(place, &byte).unwrap();
        }
    }
}

#[test]
fn one_that_continues_other_data_is_refused() {
    let storage = filled(10, 12);
    assert!(matches!(read(&storage, HISTORY + 1, 9), Err(Unusable::Foreign)));
    assert!(matches!(read(&storage, HISTORY, 5), Err(Unusable::Hole { missing: 6 })));
    // What a durable commit has taken along is nobody's.
    assert_eq!(read(&storage, HISTORY + 1, 13).unwrap(), Beyond::default());
}

/// What people send stands in the journal, and may look like anything but its history.
#[test]
fn a_message_cannot_pass_for_an_entry() {
    let storage = Shared::default();
    let mut journal = journal(&storage);
    let forged = encode(HISTORY + 1, 2, b"forged");
    journal.append(1, &forged).unwrap();
    storage.write(0, &[1]).unwrap();
    assert_eq!(read(&storage, HISTORY, 0).unwrap(), Beyond::default());
}
