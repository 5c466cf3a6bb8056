//! Making rooms: the transaction behind [`super::rooms`]. All that is needed is read before
//! anything is written, so a creation that is refused has written nothing.

use super::{
    Bounds,
    membership::write_member,
    record::Raw,
    rooms::view,
    tables::{
        CreatedRooms, DirectRooms, HeadsRecord, MemberRecord, RoomCounts, RoomHeads, RoomRecord,
        Rooms, Users,
    },
    transaction::{Read, Tables},
};
use crate::{
    StoreError,
    rooms::{Created, NewRoom, RoomView},
};
use madang_protocol::{Role, RoomId, RoomKind, UserId};

/// Makes a room, or finds the one that is there.
pub(super) fn create(
    tables: &mut Tables<'_>,
    new: &NewRoom,
    bounds: Bounds,
) -> Result<Created, StoreError> {
    if let Some(existing) = find_existing(tables, new)? {
        return Ok(Created::Existing(existing));
    }
    let users = new.users();
    let mut unknown = Vec::new();
    for user in &users {
        if tables.get::<Users>(user)?.is_none() {
            unknown.push(*user);
        }
    }
    if !unknown.is_empty() {
        return Ok(Created::UnknownUsers(unknown));
    }
    let mut room_counts = Vec::with_capacity(users.len());
    for user in &users {
        let count = tables.get::<RoomCounts>(user)?.unwrap_or(0);
        if count >= bounds.rooms_max {
            return Ok(Created::TooManyRooms(*user));
        }
        room_counts.push(count);
    }
    write_room(tables, new, users.len() as u64)?;
    for (user, count) in users.iter().zip(room_counts) {
        let role = role_of(new, *user);
        let member = MemberRecord { role, joined_at: new.created_at, read_seq: 0 };
        write_member(tables, new.room, *user, &member, count)?;
    }
    let made = view(tables, new.room, new.creator)?;
    Ok(Created::New(made.expect("the creator is a member")))
}

/// The room of the creator's `client_id`, or of the pair. One the creator has left meanwhile is
/// not theirs to see, so it does not count.
fn find_existing(tables: &Tables<'_>, new: &NewRoom) -> Result<Option<RoomView>, StoreError> {
    let mut known = None;
    if let Some(client_id) = &new.client_id {
        known = tables.get::<CreatedRooms>(&(new.creator, client_id.clone()))?;
    }
    if known.is_none()
        && let Some(pair) = new.pair()
    {
        known = tables.get::<DirectRooms>(&pair)?;
    }
    match known {
        Some(room) => view(tables, RoomId(room.0), new.creator),
        None => Ok(None),
    }
}

fn role_of(new: &NewRoom, user: UserId) -> Role {
    let owner = user == new.creator && new.kind != RoomKind::Direct;
    if owner { Role::Owner } else { Role::Member }
}

fn write_room(tables: &mut Tables<'_>, new: &NewRoom, members: u64) -> Result<(), StoreError> {
    let record = RoomRecord {
        kind: new.kind,
        name: new.name.clone(),
        private: new.private,
        created_at: new.created_at,
        creator: Raw(new.creator.0),
        removed: Vec::new(),
    };
    let heads =
        HeadsRecord { last_seq: 0, last_rev: 0, member_rev: 0, members, active_at: new.created_at };
    tables.put::<Rooms>(&new.room, &record)?;
    tables.put::<RoomHeads>(&new.room, &heads)?;
    if let Some(client_id) = &new.client_id {
        tables.put::<CreatedRooms>(&(new.creator, client_id.clone()), &Raw(new.room.0))?;
    }
    if let Some(pair) = new.pair() {
        tables.put::<DirectRooms>(&pair, &Raw(new.room.0))?;
    }
    Ok(())
}
