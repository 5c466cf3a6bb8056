//! The witness: how many commits were acknowledged, said outside of them.
//!
//! What a process that was killed has acknowledged is in the data and, behind that, in the journal. An
//! entry at its end that does not match its checksum looks like one that was cut short. After a power
//! cut that is right. But a flipped bit looks the same, and so does a journal that is missing, and then
//! messages that were acknowledged would be gone in silence.
//!
//! The witness tells the two apart. After the sync of a commit, be it of the journal or of the data, and
//! before anybody hears of it, the commit's number is written to a place that no commit touches; an
//! opening that arrives at a lower number is refused. It costs a write of some bytes into memory, not a
//! sync, since whatever happens to it, it is never wrong:
//!
//! - A process that is killed leaves it exact: the operating system has what was written.
//! - A power cut may leave an older one, never a newer one, for the commit was durable before it.
//!   So what it refuses was acknowledged. The sync of the next durable commit of the data takes it to the
//!   disk, unless the system does so before; for the last commits before a power cut it may be missing.
//! - A damaged or missing one matches no checksum and says nothing; the next commit renews it.
//!
//! Its place is the file's first page, of which redb uses the first 320 bytes and never touches the
//! others. So a copy of the file has the witness that belongs to it.

use ::redb::StorageBackend;
use std::io;
use xxhash_rust::xxh3::xxh3_64;

/// Where it stands: in another sector of the first page than redb's own header.
pub(super) const PLACE: u64 = 2_048;
/// A number and a checksum.
const LENGTH: usize = 16;

/// The commit that is known to have been acknowledged, if one is.
pub(super) fn read(storage: &dyn StorageBackend) -> io::Result<Option<u64>> {
    if storage.len()? < PLACE + LENGTH as u64 {
        return Ok(None);
    }
    let mut bytes = [0; LENGTH];
    storage.read(PLACE, &mut bytes)?;
    let (number, _) = bytes.split_at(LENGTH / 2);
    let number = number.try_into().map(u64::from_le_bytes).map_err(io::Error::other)?;
    Ok((encode(number) == bytes).then_some(number))
}

/// Says that commit `number` is durable. Not synced: the next commit's sync does that.
pub(super) fn write(storage: &dyn StorageBackend, number: u64) -> io::Result<()> {
    storage.write(PLACE, &encode(number))
}

fn encode(number: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    let number = number.to_le_bytes();
    let checksum = xxh3_64(&[b"madang witness".as_slice(), &number].concat());
    bytes[..LENGTH / 2].copy_from_slice(&number);
    bytes[LENGTH / 2..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::redb::backends::InMemoryBackend;

    #[test]
    fn it_says_what_was_written_or_nothing() {
        let storage = InMemoryBackend::new();
        assert_eq!(read(&storage).unwrap(), None);
        storage.set_len(4_096).unwrap();
        assert_eq!(read(&storage).unwrap(), None);
        for number in [0, 1, u64::MAX] {
            write(&storage, number).unwrap();
            assert_eq!(read(&storage).unwrap(), Some(number));
        }
        for bit in 0..LENGTH * 8 {
            let mut bytes = encode(7);
            bytes[bit / 8] ^= 1 << (bit % 8);
            storage.write(PLACE, &bytes).unwrap();
            assert_eq!(read(&storage).unwrap(), None);
        }
    }
}
