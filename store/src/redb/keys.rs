//! Keys as bytes.
//!
//! The parts of a key are written one behind the other, without separators: every part but the
//! last has a fixed width, so no two keys are the same bytes, and bytes sort as the parts do.
//!
//! ```text
//! id         15 bytes as they are
//! seq         8 bytes, big endian
//! token hash 32 bytes, address 16 bytes as they are
//! client id, emoji, username   UTF-8, only ever the last part
//! ```

use crate::accounts::{AddressKey, TokenHash};
use madang_protocol::{ClientId, Emoji, RoomId, SessionId, UserId};

/// A key, or a part of one.
pub(super) trait Key: Sized {
    /// Appends the bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Takes the key off the front of `bytes`; `None`: these are not the bytes of such a key.
    fn read(bytes: &mut &[u8]) -> Option<Self>;

    /// The whole key.
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(KEY_BYTES_USUAL);
        self.write(&mut bytes);
        bytes
    }

    /// The whole key, with nothing behind it.
    fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let key = Self::read(&mut bytes)?;
        bytes.is_empty().then_some(key)
    }
}

/// Room for two ids and a short text without growing.
const KEY_BYTES_USUAL: usize = 64;

macro_rules! fixed_width_key {
    ($($name:ty: $wrap:expr, $unwrap:expr;)*) => {$(
        impl Key for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&$unwrap(self));
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (front, rest) = bytes.split_first_chunk()?;
                *bytes = rest;
                Some($wrap(*front))
            }
        }
    )*};
}

fixed_width_key! {
    RoomId: RoomId, |id: &RoomId| id.0;
    UserId: UserId, |id: &UserId| id.0;
    SessionId: SessionId, |id: &SessionId| id.0;
    u64: u64::from_be_bytes, |number: &u64| number.to_be_bytes();
    TokenHash: |hash| hash, |hash: &TokenHash| *hash;
    AddressKey: |address| address, |address: &AddressKey| *address;
}

macro_rules! text_key {
    ($($name:ty)*) => {$(
        impl Key for $name {
            fn write(&self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(self.as_str().as_bytes());
            }

            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Self::new(std::str::from_utf8(std::mem::take(bytes)).ok()?)
            }
        }
    )*};
}

text_key! { ClientId Emoji }

impl Key for String {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        std::str::from_utf8(std::mem::take(bytes)).ok().map(Self::from)
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?))
    }
}

impl<A: Key, B: Key, C: Key> Key for (A, B, C) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
        self.2.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?))
    }
}

impl<A: Key, B: Key, C: Key, D: Key> Key for (A, B, C, D) {
    fn write(&self, bytes: &mut Vec<u8>) {
        self.0.write(bytes);
        self.1.write(bytes);
        self.2.write(bytes);
        self.3.write(bytes);
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some((A::read(bytes)?, B::read(bytes)?, C::read(bytes)?, D::read(bytes)?))
    }
}

/// The first bytes that sort behind every key that begins with `prefix`; `None`: there are none.
pub(super) fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut bytes = prefix[..=last].to_vec();
    bytes[last] += 1;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let sent = (RoomId([1; 15]), UserId([2; 15]), ClientId::new("한글").unwrap());
        assert_eq!(Key::from_bytes(&sent.to_bytes()), Some(sent));
        let reaction = (RoomId([1; 15]), 7_u64, UserId([2; 15]), Emoji::new("👍🏽").unwrap());
        assert_eq!(Key::from_bytes(&reaction.to_bytes()), Some(reaction));
        let message = (RoomId([9; 15]), 7_u64);
        assert_eq!(message.to_bytes().len(), 23);
        assert_eq!(Key::from_bytes(&message.to_bytes()), Some(message));
    }

    #[test]
    fn other_bytes_are_no_key() {
        let bytes = (RoomId([9; 15]), 7_u64).to_bytes();
        assert_eq!(<(RoomId, u64)>::from_bytes(&bytes[..22]), None);
        assert_eq!(RoomId::from_bytes(&bytes), None);
        assert_eq!(String::from_bytes(&[0xff]), None);
    }

    #[test]
    fn messages_sort_by_seq() {
        let room = RoomId([9; 15]);
        assert!((room, 255_u64).to_bytes() < (room, 256_u64).to_bytes());
    }

    #[test]
    fn the_end_of_a_prefix() {
        assert_eq!(behind_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(behind_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(behind_prefix(&[255, 255]), None);
    }
}
