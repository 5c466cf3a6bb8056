//! Ids as the database has them: 15 bytes, generic binary.

use ::mongodb::bson::{Binary, Bson, spec::BinarySubtype};
use madang_protocol::{RoomId, SessionId, UserId};

/// An id, in a query or a document.
pub(super) trait Id {
    /// As a value.
    fn bson(&self) -> Bson;
}

macro_rules! ids {
    ($($id:ident)*) => {
        $(
            impl Id for $id {
                fn bson(&self) -> Bson {
                    Bson::Binary(binary(&self.0))
                }
            }
        )*
    };
}

ids! { RoomId UserId SessionId }

/// Ids, for a query that looks for any of them.
pub(super) fn values<T: Id>(ids: &[T]) -> Vec<Bson> {
    ids.iter().map(Id::bson).collect()
}

/// The bytes of an id, or of a hash.
pub(super) fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// The bytes again. `None`: it is no id.
pub(super) fn bytes<const N: usize>(binary: &Binary) -> Option<[u8; N]> {
    binary.bytes.as_slice().try_into().ok()
}
