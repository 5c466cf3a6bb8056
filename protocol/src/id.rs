//! Ids made by the server: 120 random bits, written as 20 characters of base64.
//!
//! The digits are those of base64url in the order of their character codes, so texts sort as ids
//! do: what a store lists by id, clients see sorted. Ids are fixed-size and `Copy`, so comparing, hashing and storing them costs no allocation.
//! Clients see opaque strings matching `[A-Za-z0-9_-]{1,64}`; a string that is not an id of ours
//! names nothing that exists and is answered as unknown, not as malformed.

use base64::{
    Engine,
    alphabet::Alphabet,
    engine::general_purpose::{GeneralPurpose, NO_PAD},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// Bytes of an id.
pub const ID_BYTES: usize = 15;
/// Characters of an id's text form: 15 bytes fill 20 base64 digits exactly, so no two texts
/// mean the same id.
pub const ID_CHARS: usize = 20;

/// The digits, ascending.
const DIGITS: &str = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
static TEXT: GeneralPurpose = {
    let Ok(alphabet) = Alphabet::new(DIGITS) else { panic!("64 different digits") };
    GeneralPurpose::new(&alphabet, NO_PAD)
};

/// The text is not an id made by a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct NotAnId;

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ToSchema)]
        #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,64}$")]
        pub struct $name(pub [u8; ID_BYTES]);

        impl $name {
            /// The text form, written into a buffer of the caller.
            pub fn encode<'a>(&self, text: &'a mut [u8; ID_CHARS]) -> &'a str {
                let length = TEXT
                    .encode_slice(self.0, text)
                    .expect("15 bytes fill 20 base64 digits");
                std::str::from_utf8(&text[..length]).expect("base64 is ASCII")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if text.len() != ID_CHARS {
                    return Err(NotAnId);
                }
                let mut bytes = [0; ID_BYTES];
                match TEXT.decode_slice(text, &mut bytes) {
                    Ok(ID_BYTES) => Ok(Self(bytes)),
                    _ => Err(NotAnId),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.encode(&mut [0; ID_CHARS]))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.encode(&mut [0; ID_CHARS]))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

id_type! {
    /// A room.
    RoomId
}
id_type! {
    /// A user.
    UserId
}
id_type! {
    /// One login of a user: what `logout` ends. Not the token, which is secret.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for byte in [0, 1, 0x7f, 0xfb, 0xff] {
            let id = RoomId([byte; ID_BYTES]);
            let text = id.to_string();
            assert_eq!(text.len(), ID_CHARS);
            assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn texts_sort_as_ids_do() {
        let mut ids: Vec<_> = (0..=255).map(|byte| UserId([byte; ID_BYTES])).collect();
        ids.extend(
            (0..=255).map(|byte| UserId([[7; 8], [byte; 8]].concat()[..15].try_into().unwrap())),
        );
        ids.sort();
        let texts: Vec<_> = ids.iter().map(UserId::to_string).collect();
        assert!(texts.is_sorted(), "{texts:?}");
    }

    #[test]
    fn anything_else_is_not_an_id() {
        for text in
            ["", "abc", "AAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAA+"]
        {
            assert_eq!(text.parse::<UserId>(), Err(NotAnId), "{text:?}");
        }
        assert_eq!("A".repeat(21).parse::<UserId>(), Err(NotAnId));
    }
}
