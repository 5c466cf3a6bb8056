//! What a client is told when a change is refused.

use madang_protocol::{ErrorCode, Refusal};
use madang_store::rooms::RoomRefusal;

/// The refusal for a reason of the store's.
pub fn of(why: RoomRefusal) -> Refusal {
    let (code, message) = match why {
        RoomRefusal::NoRoom => return Refusal::no_room(),
        RoomRefusal::NotMember => return Refusal::not_a_member(),
        RoomRefusal::UnknownUser => return Refusal::invalid("user", "no such user"),
        RoomRefusal::NoSuchMember => (ErrorCode::NotFound, "no such member"),
        RoomRefusal::NotAllowed => (ErrorCode::Forbidden, "your role does not allow this"),
        RoomRefusal::Banned => (ErrorCode::Forbidden, "kept out of this room"),
        RoomRefusal::Direct => (ErrorCode::Conflict, "a direct room is always the same two"),
        RoomRefusal::OwnerLeaves => {
            (ErrorCode::Conflict, "the owner must give the room away first")
        }
        RoomRefusal::Full => (ErrorCode::Full, "the room, or the user, has as many as may be"),
    };
    Refusal::new(code, message)
}
