//! Cursors: opaque to clients, a place in one list to us.
//!
//! ```text
//! rooms    'r' | user 15 | active_at 8, big endian | room 15
//! members  'm' | room 15 | user 15
//! readers  's' | room 15 | seq 8, big endian | user 15
//! ```
//! as base64url. Whose list it is stands in it, so that a cursor of another list is refused.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use madang_protocol::{Refusal, RoomId, UserId, id::ID_BYTES};
use madang_store::rooms::ListPlace;

/// The place behind which the next page of `user`'s rooms begins.
pub(super) fn of_rooms(user: UserId, place: ListPlace) -> String {
    encode(&[b"r", &user.0, &place.active_at.to_be_bytes(), &place.room.0])
}

/// Reads [`of_rooms`] of the same user; anything else is `invalid`.
pub(super) fn rooms(user: UserId, cursor: &str) -> Result<ListPlace, Refusal> {
    let bytes = decode(cursor)?;
    let place = bytes.strip_prefix(b"r").and_then(|rest| rest.strip_prefix(&user.0));
    let (active_at, room) =
        place.and_then(|place| place.split_first_chunk()).ok_or_else(foreign)?;
    let room = <[u8; ID_BYTES]>::try_from(room).map_err(|_| foreign())?;
    Ok(ListPlace { active_at: u64::from_be_bytes(*active_at), room: RoomId(room) })
}

/// The member behind which the next page of `room`'s members begins.
pub(super) fn of_members(room: RoomId, user: UserId) -> String {
    encode(&[b"m", &room.0, &user.0])
}

/// Reads [`of_members`] of the same room; anything else is `invalid`.
pub(super) fn members(room: RoomId, cursor: &str) -> Result<UserId, Refusal> {
    let bytes = decode(cursor)?;
    let user = bytes.strip_prefix(b"m").and_then(|rest| rest.strip_prefix(&room.0));
    user.and_then(|user| user.try_into().ok()).map(UserId).ok_or_else(foreign)
}

/// The member behind which the next page of those who read a message begins.
pub(super) fn of_readers(room: RoomId, seq: u64, user: UserId) -> String {
    encode(&[b"s", &room.0, &seq.to_be_bytes(), &user.0])
}

/// Reads [`of_readers`] of the same message; anything else is `invalid`.
pub(super) fn readers(room: RoomId, seq: u64, cursor: &str) -> Result<UserId, Refusal> {
    let bytes = decode(cursor)?;
    let user = bytes.strip_prefix(b"s").and_then(|rest| rest.strip_prefix(&room.0));
    let user = user.and_then(|rest| rest.strip_prefix(&seq.to_be_bytes()));
    user.and_then(|user| user.try_into().ok()).map(UserId).ok_or_else(foreign)
}

fn encode(parts: &[&[u8]]) -> String {
    URL_SAFE_NO_PAD.encode(parts.concat())
}

fn decode(cursor: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(cursor).map_err(|_| foreign())
}

fn foreign() -> Refusal {
    Refusal::invalid("cursor", "must be one of an earlier page of the same list")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: UserId = UserId([1; ID_BYTES]);
    const BOB: UserId = UserId([2; ID_BYTES]);
    const ROOM: RoomId = RoomId([3; ID_BYTES]);
    const OTHER: RoomId = RoomId([4; ID_BYTES]);

    #[test]
    fn there_and_back() {
        let place = ListPlace { active_at: 1_700_000_000_123, room: ROOM };
        assert_eq!(rooms(ANN, &of_rooms(ANN, place)), Ok(place));
        assert_eq!(members(ROOM, &of_members(ROOM, BOB)), Ok(BOB));
        assert_eq!(readers(ROOM, 7, &of_readers(ROOM, 7, BOB)), Ok(BOB));
    }

    #[test]
    fn foreign_ones_are_refused() {
        let place = ListPlace { active_at: 1, room: ROOM };
        let (in_rooms, in_members) = (of_rooms(ANN, place), of_members(ROOM, ANN));
        assert!(rooms(BOB, &in_rooms).is_err());
        assert!(members(OTHER, &in_members).is_err());
        let of_seven = of_readers(ROOM, 7, BOB);
        assert!(readers(ROOM, 8, &of_seven).is_err() && readers(OTHER, 7, &of_seven).is_err());
        assert!(members(ROOM, &of_seven).is_err() && readers(ROOM, 7, &in_members).is_err());
        for cursor in ["", "!", "AAAA", &in_members, &in_rooms[1..], &format!("{in_rooms}AAAA")] {
            assert!(rooms(ANN, cursor).is_err(), "{cursor}");
        }
        for cursor in ["", &in_rooms, &in_members[..20]] {
            assert!(members(ROOM, cursor).is_err(), "{cursor}");
        }
    }
}
