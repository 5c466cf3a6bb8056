//! What is read while records lie above the tables is what was written.

use super::super::{
    engine::Engine,
    keys::Key,
    tables::{Logins, Table},
    transaction::Tables,
};
use super::*;
use crate::{
    Options,
    conformance::fixtures::user,
    metrics::Call,
    open::{Medium, StorageFactory},
};
use ::redb::{StorageBackend, backends::InMemoryBackend};
use futures_util::FutureExt;
use madang_protocol::UserId;
use std::{
    io,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Any records will do: numbers under a user's numbers.
type Found = Vec<(u64, u8, u64)>;

fn engine() -> Engine {
    let factory: StorageFactory =
        Arc::new(|_| Ok(Box::new(InMemoryBackend::new()) as Box<dyn StorageBackend>));
    Engine::open(&Options::on(Medium::Storage(factory))).unwrap()
}

/// A storage that cannot be read any more once the flag is set.
#[derive(Debug)]
struct Fragile(InMemoryBackend, Arc<AtomicBool>);

impl StorageBackend for Fragile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self.1.load(Ordering::Relaxed) {
            true => Err(io::Error::other("pretended")),
            false => self.0.read(offset, out),
        }
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

fn key(of: u64, place: u8) -> (UserId, [u8; 16]) {
    (user(of), [place; 16])
}

fn put(tables: &mut Tables<'_>, of: u64, place: u8, number: u64) -> Result<(), StoreError> {
    tables.put::<Logins>(&key(of, place), &number)
}

fn get(read: &impl Read, of: u64, place: u8) -> Result<Option<u64>, StoreError> {
    read.get::<Logins>(&key(of, place))
}

fn scan(read: &impl Read, of: u64) -> Result<Found, StoreError> {
    let found = read.scan_prefix::<Logins>(&user(of).to_bytes())?;
    found.map(|item| item.map(|((_, address), number)| (of, address[0], number))).collect()
}

/// Writes in this turn, which nobody else's takes.
fn write<T: Send + 'static>(
    engine: &Engine,
    body: impl FnMut(&mut Tables<'_>) -> Result<T, StoreError> + Send + 'static,
) -> T {
    engine.gather_here(Call::TouchSessions, body).now_or_never().unwrap().unwrap()
}

fn read<T>(engine: &Engine, body: impl FnOnce(&Snapshot) -> Result<T, StoreError>) -> T {
    engine.read(Call::Session, body).unwrap()
}

#[test]
fn what_was_written_lies_there_until_somebody_reads() {
    let engine = engine();
    write(&engine, |tables| put(tables, 1, 1, 10));
    write(&engine, |tables| put(tables, 1, 2, 20));
    write(&engine, |tables| put(tables, 1, 1, 11));
    assert_eq!(engine.overlaid(), 2);
    assert_eq!(write(&engine, |tables| get(tables, 1, 1)), Some(11), "the writer looks there");
    assert_eq!(engine.overlaid(), 2);
    assert_eq!(read(&engine, |snapshot| scan(snapshot, 1)), [(1, 1, 11), (1, 2, 20)]);
    assert_eq!(engine.overlaid(), 0);
    write(&engine, |tables| tables.remove::<Logins>(&key(1, 1)));
    assert_eq!(write(&engine, |tables| get(tables, 1, 1)), None, "what was taken in is hidden");
    assert_eq!(engine.overlaid(), 1);
    assert_eq!(read(&engine, |snapshot| scan(snapshot, 1)), [(1, 2, 20)]);
}

#[test]
fn one_that_asks_for_more_than_single_records_finds_what_lies_there() {
    let engine = engine();
    write(&engine, |tables| put(tables, 1, 1, 10));
    assert_eq!(write(&engine, |tables| scan(tables, 1)), [(1, 1, 10)]);
    write(&engine, |tables| put(tables, 1, 2, 20).and(put(tables, 2, 1, 30)));
    write(&engine, |tables| {
        put(tables, 1, 3, 40)?;
        tables.remove_prefix::<Logins>(&user(1).to_bytes())?;
        put(tables, 1, 4, 50)
    });
    assert_eq!(write(&engine, |tables| get(tables, 1, 2)), None);
    assert_eq!(read(&engine, |snapshot| scan(snapshot, 1)), [(1, 4, 50)]);
    assert_eq!(read(&engine, |snapshot| scan(snapshot, 2)), [(2, 1, 30)]);
}

/// Whatever is done in whatever order, reads say what a map says to which the same is done.
#[test]
fn it_is_as_if_there_were_only_tables() {
    let (engine, mut known) = (engine(), BTreeMap::new());
    let mut random = fastrand::Rng::with_seed(7);
    let mut lay_there = 0;
    for number in 0..3_000_u64 {
        let (of, place) = (random.u64(1..4), random.u8(1..6));
        match random.u8(0..20) {
            0 => {
                write(&engine, move |tables| {
                    tables.remove_prefix::<Logins>(&user(of).to_bytes())?;
                    put(tables, of, place, number)
                });
                known.retain(|(owner, _), _| *owner != of);
                known.insert((of, place), number);
            }
            1..=3 => {
                write(&engine, move |tables| tables.remove::<Logins>(&key(of, place)));
                known.remove(&(of, place));
            }
            4 => {
                let expected: Found = known
                    .range((of, 0)..(of + 1, 0))
                    .map(|((of, place), number)| (*of, *place, *number))
                    .collect();
                assert_eq!(read(&engine, |snapshot| scan(snapshot, of)), expected);
            }
            5..=8 => {
                let found = write(&engine, move |tables| get(tables, of, place));
                assert_eq!(found, known.get(&(of, place)).copied());
            }
            _ => {
                write(&engine, move |tables| put(tables, of, place, number));
                known.insert((of, place), number);
            }
        }
        lay_there += usize::from(engine.overlaid() > 0);
    }
    assert!(lay_there > 1_500, "only {lay_there} times");
}

/// The reader does not wait for a write under way either.
#[test]
fn a_write_under_way_sees_one_state_while_readers_take_it_in() {
    let engine = engine();
    write(&engine, |tables| put(tables, 1, 1, 10));
    let (started, start) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let body = move |tables: &mut Tables<'_>| {
        let before = get(tables, 1, 1)?;
        started.send(()).unwrap();
        released.recv().unwrap();
        put(tables, 1, 2, 20)?;
        Ok((before, get(tables, 1, 1)?))
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&engine, body));
        start.recv().unwrap();
        assert_eq!(read(&engine, |snapshot| scan(snapshot, 1)), [(1, 1, 10)]);
        assert_eq!(engine.overlaid(), 0, "it was taken in meanwhile");
        release.send(()).unwrap();
        assert_eq!(writer.join().unwrap(), (Some(10), Some(10)));
    });
    assert_eq!(engine.overlaid(), 1);
    assert_eq!(
        write(&engine, |tables| Ok((get(tables, 1, 1)?, get(tables, 1, 2)?))),
        (Some(10), Some(20))
    );
    assert_eq!(read(&engine, |snapshot| scan(snapshot, 1)), [(1, 1, 10), (1, 2, 20)]);
}

#[test]
fn so_many_records_lie_there_and_the_writer_takes_them_in() {
    let engine = engine();
    for number in 1..RECORDS_MAX as u64 {
        write(&engine, move |tables| put(tables, number, 1, number));
    }
    write(&engine, |tables| put(tables, 1, 1, 7));
    assert_eq!(engine.overlaid(), RECORDS_MAX - 1, "a record that was replaced counts once");
    write(&engine, |tables| put(tables, 0, 1, 0));
    assert_eq!(engine.overlaid(), 0);
    assert_eq!(read(&engine, |snapshot| get(snapshot, 1, 1)), Some(7));
}

#[test]
fn so_many_bytes_lie_there() {
    let (mut records, mut length) = (Records::default(), 0);
    let (slot, record) = (Logins::SLOT, [0; 1_000]);
    for number in 0.. {
        length += size_of::<u64>() + record.len();
        records.write(slot, &u64::to_be_bytes(number), Some(&record));
        records.write(slot, &u64::to_be_bytes(number), None);
        records.write(slot, &u64::to_be_bytes(number), Some(&record));
        let overlay = Overlay::default();
        overlay.lay(records.clone());
        assert_eq!(overlay.is_full(), length >= OVERLAY_BYTES_MAX, "{number}");
        if overlay.is_full() {
            return;
        }
    }
}

/// Else everybody would learn of it who reads, and the one who was told that it is there never.
#[test]
fn a_record_whose_page_cannot_be_read_is_not_acknowledged() {
    let is_broken = Arc::new(AtomicBool::new(false));
    let flag = is_broken.clone();
    let factory: StorageFactory = Arc::new(move |_| {
        Ok(Box::new(Fragile(InMemoryBackend::new(), flag.clone())) as Box<dyn StorageBackend>)
    });
    let medium = Medium::Storage(factory);
    let options = Options { cache_bytes: 0, doubt_wait: Duration::ZERO, ..Options::on(medium) };
    let engine = Engine::open(&options).unwrap();
    // More than the journal takes, so that it is in the file, and more than the one page of a table that
    // stays in memory.
    write(&engine, |tables| (0..4_000).try_for_each(|number| put(tables, number, 1, number)));
    // Behind a large one the first is whole.
    write(&engine, |tables| put(tables, 7, 1, 8));
    write(&engine, |tables| put(tables, 7, 1, 9));
    assert_eq!(engine.overlaid(), 1);
    is_broken.store(true, Ordering::Relaxed);
    write(&engine, |tables| put(tables, 7, 1, 10));
    let blind = engine.gather_here(Call::TouchSessions, |tables| put(tables, 700, 1, 8));
    let answer = blind.now_or_never().unwrap();
    assert!(answer.is_err(), "it lies there, and can be taken in by nobody");
}
