//! Records as bytes, and the checksum that every record carries.
//!
//! ```text
//! | version, 1 byte | fields: MessagePack array | checksum, 8 bytes |
//! ```
//!
//! The checksum is XXH3-64, little endian, over the table's name, a zero byte, the key's length as
//! four bytes little endian, the key, and everything of the record before the checksum. So a
//! flipped bit is found, and also a sound record that stands under a wrong key or in a wrong
//! table. It is verified by every read: pages of the file are only verified when it is examined.
//!
//! Fields are added at the end, with a default; whoever reads an older record finds the default.
//! `version` changes when that is not enough.

use crate::StoreError;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _, Visitor},
};
use std::fmt;
use xxhash_rust::xxh3::Xxh3Default;

/// The version this code writes.
const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
/// Room for a short message without growing.
const RECORD_BYTES_USUAL: usize = 256;

/// The bytes of a record of `table` under `key`.
pub(super) fn seal<R: Serialize>(table: &'static str, key: &[u8], record: &R) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
    bytes.push(VERSION);
    rmp_serde::encode::write(&mut bytes, record)
        .expect("a record is plain data and memory takes any write");
    let checksum = checksum(table, key, &bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The record of `table` under `key` in `bytes`, once its checksum is verified.
pub(super) fn unseal<R: DeserializeOwned>(
    table: &'static str,
    key: &[u8],
    bytes: &[u8],
) -> Result<R, StoreError> {
    let damaged = |what: &str| damaged(table, key, what);
    let (sealed, stated) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or_else(|| damaged("too short"))?;
    if checksum(table, key, sealed) != u64::from_le_bytes(*stated) {
        return Err(damaged("checksum"));
    }
    match sealed.split_first() {
        Some((&VERSION, fields)) => {
            rmp_serde::from_slice(fields).map_err(|_| damaged("cannot be decoded"))
        }
        _ => Err(damaged("unknown version")),
    }
}

/// The error for a record that cannot be trusted. Names the record by a hash of its key, since
/// keys hold names that users chose.
pub(super) fn damaged(table: &'static str, key: &[u8], what: &str) -> StoreError {
    let name = xxhash_rust::xxh3::xxh3_64(key);
    StoreError::Damaged { table, detail: format!("{what}, key hash {name:016x}") }
}

fn checksum(table: &'static str, key: &[u8], sealed: &[u8]) -> u64 {
    let length = u32::try_from(key.len()).expect("keys are shorter than 4 GiB");
    let mut hasher = Xxh3Default::new();
    hasher.update(table.as_bytes());
    hasher.update(&[0]);
    hasher.update(&length.to_le_bytes());
    hasher.update(key);
    hasher.update(sealed);
    hasher.digest()
}

/// Bytes of fixed length, written as MessagePack `bin`: an id costs 17 bytes, not 21 as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Raw<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Serialize for Raw<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Raw<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes<const N: usize>;

        impl<const N: usize> Visitor<'_> for Bytes<N> {
            type Value = Raw<N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Raw<N>, E> {
                bytes.try_into().map(Raw).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes::<N>).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct Old(u64, Raw<15>);

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    struct New(u64, Raw<15>, #[serde(default)] Option<String>);

    const KEY: &[u8] = b"key";

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = seal("table", KEY, &Old(7, Raw([9; 15])));
        assert_eq!(unseal("table", KEY, &bytes), Ok(Old(7, Raw([9; 15]))));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let answer = unseal::<Old>("table", KEY, &flipped);
            assert!(matches!(answer, Err(StoreError::Damaged { .. })), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(unseal::<Old>("table", KEY, &bytes[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn a_record_in_a_wrong_place_is_found() {
        let bytes = seal("table", KEY, &Old(7, Raw([9; 15])));
        assert!(unseal::<Old>("other", KEY, &bytes).is_err());
        assert!(unseal::<Old>("table", b"yek", &bytes).is_err());
    }

    #[test]
    fn fields_may_be_added_at_the_end() {
        let bytes = seal("table", KEY, &Old(7, Raw([9; 15])));
        assert_eq!(unseal("table", KEY, &bytes), Ok(New(7, Raw([9; 15]), None)));
    }
}
