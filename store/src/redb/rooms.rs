//! [`RoomStore`] on redb: what is asked about rooms. [`super::creation`] makes them,
//! [`super::membership`] changes them.

use super::{
    Redb, creation,
    keys::Key,
    log::{heads, message},
    membership,
    record::Raw,
    tables::{HeadsRecord, MemberRecord, Members, RoomHeads, Rooms, UserRooms},
    transaction::{Read, Tables},
};
use crate::{
    RoomStore, StoreError,
    metrics::Call,
    rooms::{Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomView},
};
use async_trait::async_trait;
use madang_protocol::{Millis, RoomId, UserId};
use std::cmp::Reverse;

#[async_trait]
impl RoomStore for Redb {
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError> {
        let bounds = self.bounds;
        self.engine
            .write(Call::CreateRoom, move |tables| creation::create(tables, &room, bounds))
            .await
    }

    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError> {
        self.engine.read(Call::View, |snapshot| view(snapshot, room, user))
    }

    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        self.engine.read(Call::List, |snapshot| {
            latest(snapshot, user, after, limit)?
                .into_iter()
                .map(|place| expect_view(snapshot, place.room, user))
                .collect()
        })
    }

    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        self.engine.read(Call::Access, |snapshot| {
            rooms.into_iter().map(|room| access(snapshot, room, user)).collect()
        })
    }

    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        self.engine.read(Call::AccessAll, |snapshot| {
            let mut answer = Vec::new();
            for place in latest(snapshot, user, None, limit)? {
                if let Some(access) = access(snapshot, place.room, user)? {
                    answer.push((place.room, access));
                }
            }
            Ok(answer)
        })
    }

    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        let bounds = self.bounds;
        let write = move |tables: &mut Tables<'_>| {
            membership::change(tables, room, by, &change, at, bounds)
        };
        self.engine.write(Call::ChangeRoom, write).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.engine.read(Call::Members, |snapshot| {
            scan_members(snapshot, room, after)?.take(limit).collect()
        })
    }

    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        self.engine.read(Call::MembersAmong, |snapshot| {
            let found = users.into_iter().map(|user| {
                let found = snapshot.get::<Members>(&(room, user))?;
                Ok(found.map(|record| member(user, record)))
            });
            found.filter_map(Result::transpose).collect()
        })
    }

    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        self.engine.read(Call::RoomsOf, |snapshot| {
            let rooms = |user| Ok((user, rooms_of(snapshot, user, members_max)?));
            users.into_iter().map(rooms).collect()
        })
    }
}

/// The room as `user` sees it, if it is a member.
pub(super) fn view(
    read: &impl Read,
    room: RoomId,
    user: UserId,
) -> Result<Option<RoomView>, StoreError> {
    match read.get::<Members>(&(room, user))? {
        Some(member) => view_of(read, room, &member).map(Some),
        None => Ok(None),
    }
}

/// As [`view`], for one who is a member by another record.
fn expect_view(read: &impl Read, room: RoomId, user: UserId) -> Result<RoomView, StoreError> {
    view_of(read, room, &read.expect::<Members>(&(room, user))?)
}

fn view_of(read: &impl Read, room: RoomId, member: &MemberRecord) -> Result<RoomView, StoreError> {
    let record = read.expect::<Rooms>(&room)?;
    let known = read.expect::<RoomHeads>(&room)?;
    let last_message = match known.last_seq {
        0 => None,
        seq => Some(message(read, room, seq)?),
    };
    Ok(RoomView {
        room,
        kind: record.kind,
        name: record.name,
        private: record.private,
        role: member.role,
        created_at: record.created_at,
        heads: heads(&known),
        read_seq: member.read_seq,
        members: known.members,
        last_message,
    })
}

fn access(read: &impl Read, room: RoomId, user: UserId) -> Result<Option<Access>, StoreError> {
    let Some(record) = read.get::<Rooms>(&room)? else { return Ok(None) };
    let known = read.expect::<RoomHeads>(&room)?;
    let member = read.get::<Members>(&(room, user))?;
    Ok(Some(Access {
        kind: record.kind,
        private: record.private,
        role: member.map(|member| member.role),
        heads: heads(&known),
        read_seq: member.map_or(0, |member| member.read_seq),
        was_removed: record.removed.contains(&Raw(user.0)),
    }))
}

/// The places of a user's rooms in their order, behind `after`: two small records for each room
/// of the user, however few are asked for.
fn latest(
    read: &impl Read,
    user: UserId,
    after: Option<ListPlace>,
    limit: usize,
) -> Result<Vec<ListPlace>, StoreError> {
    let mut places = Vec::new();
    for item in read.scan_prefix::<UserRooms>(&user.to_bytes())? {
        let ((_, room), _) = item?;
        let HeadsRecord { active_at, .. } = read.expect::<RoomHeads>(&room)?;
        let place = ListPlace { active_at, room };
        if after.is_none_or(|after| list_order(&after) < list_order(&place)) {
            places.push(place);
        }
    }
    places.sort_unstable_by_key(list_order);
    places.truncate(limit);
    Ok(places)
}

/// Latest activity first, ties by id.
fn list_order(place: &ListPlace) -> (Reverse<Millis>, RoomId) {
    (Reverse(place.active_at), place.room)
}

/// The members of a room behind the user `after`.
pub(super) fn scan_members(
    read: &impl Read,
    room: RoomId,
    after: Option<UserId>,
) -> Result<impl Iterator<Item = Result<Member, StoreError>>, StoreError> {
    let prefix = room.to_bytes();
    let scan = match after {
        Some(user) => read.scan_after::<Members>(&prefix, &(room, user).to_bytes()),
        None => read.scan_prefix::<Members>(&prefix),
    }?;
    Ok(scan.map(|item| {
        let ((_, user), record) = item?;
        Ok(member(user, record))
    }))
}

fn member(user: UserId, record: MemberRecord) -> Member {
    let MemberRecord { role, joined_at, read_seq } = record;
    Member { user, role, joined_at, read_seq }
}

fn rooms_of(read: &impl Read, user: UserId, members_max: u64) -> Result<Vec<RoomId>, StoreError> {
    let mut rooms = Vec::new();
    for item in read.scan_prefix::<UserRooms>(&user.to_bytes())? {
        let ((_, room), _) = item?;
        if read.expect::<RoomHeads>(&room)?.members <= members_max {
            rooms.push(room);
        }
    }
    Ok(rooms)
}
