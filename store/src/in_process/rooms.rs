//! [`RoomStore`] and [`ReceiptStore`] in memory.

use super::{Bounds, Data, InProcess, room::Room};
use crate::{
    ReceiptStore, RoomStore, StoreError,
    receipts::Read,
    rooms::{Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomView},
};
use async_trait::async_trait;
use madang_protocol::{Heads, Millis, Role, RoomId, RoomKind, UserId};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Bound::{Excluded, Unbounded},
};

#[async_trait]
impl RoomStore for InProcess {
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError> {
        Ok(create(&mut *self.data()?, &room, self.bounds))
    }

    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError> {
        Ok(self.data()?.rooms.get(&room).and_then(|of_room| of_room.view(user)))
    }

    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        let data = self.data()?;
        let views = latest(&data, user, after, limit).into_iter();
        Ok(views.filter_map(|of_room| of_room.view(user)).collect())
    }

    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        let data = self.data()?;
        let access = |room| data.rooms.get(room).map(|of_room: &Room| of_room.access(user));
        Ok(rooms.iter().map(access).collect())
    }

    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        let data = self.data()?;
        let rooms = latest(&data, user, None, limit).into_iter();
        Ok(rooms.map(|of_room| (of_room.room, of_room.access(user))).collect())
    }

    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        self.change_now(room, by, &change, at)
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        Ok(members(&*self.data()?, room, after, limit, |_| true))
    }

    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        let data = self.data()?;
        let of_room = data.rooms.get(&room);
        Ok(users.iter().filter_map(|user| of_room?.members.get(user).copied()).collect())
    }

    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        let data = self.data()?;
        let is_small = |room: &&RoomId| {
            let of_room = data.rooms.get(*room);
            of_room.is_some_and(|of_room| of_room.members.len() as u64 <= members_max)
        };
        let rooms = |user: UserId| {
            let of_user = data.rooms_of.get(&user).into_iter().flatten();
            (user, of_user.filter(is_small).copied().collect())
        };
        Ok(users.into_iter().map(rooms).collect())
    }
}

#[async_trait]
impl ReceiptStore for InProcess {
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError> {
        let mut data = self.data()?;
        for Read { room, user, seq } in reads {
            if let Some(of_room) = data.rooms.get_mut(&room) {
                of_room.read(user, seq);
            }
        }
        Ok(())
    }

    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        Ok(members(&*self.data()?, room, after, limit, |member| member.read_seq >= seq))
    }
}

fn members(
    data: &Data,
    room: RoomId,
    after: Option<UserId>,
    limit: usize,
    is_meant: impl Fn(&Member) -> bool,
) -> Vec<Member> {
    let Some(of_room) = data.rooms.get(&room) else { return Vec::new() };
    let later = of_room.members.range((after.map_or(Unbounded, Excluded), Unbounded));
    later.map(|(_, member)| *member).filter(is_meant).take(limit).collect()
}

/// The rooms of a user, latest activity first, ties by id, behind `after`.
fn latest(data: &Data, user: UserId, after: Option<ListPlace>, limit: usize) -> Vec<&Room> {
    let order = |active_at: Millis, room: RoomId| (Reverse(active_at), room);
    let of_user = data.rooms_of.get(&user).into_iter().flatten();
    let mut rooms: Vec<&Room> = of_user.filter_map(|room| data.rooms.get(room)).collect();
    rooms.sort_unstable_by_key(|of_room| order(of_room.active_at, of_room.room));
    let is_behind = |of_room: &&Room| {
        let place = order(of_room.active_at, of_room.room);
        after.is_none_or(|after| order(after.active_at, after.room) < place)
    };
    rooms.into_iter().filter(is_behind).take(limit).collect()
}

/// Makes a room, or finds the one that is there.
fn create(data: &mut Data, new: &NewRoom, bounds: Bounds) -> Created {
    if let Some(existing) = find_existing(data, new) {
        return Created::Existing(existing);
    }
    let users = new.users();
    let unknown = users.iter().filter(|user| !data.accounts.is_user(**user));
    let unknown: Vec<UserId> = unknown.copied().collect();
    if !unknown.is_empty() {
        return Created::UnknownUsers(unknown);
    }
    if let Some(user) = users.iter().find(|user| data.room_count(**user) >= bounds.rooms) {
        return Created::TooManyRooms(*user);
    }
    if let Some(client_id) = &new.client_id {
        data.created.insert((new.creator, client_id.clone()), new.room);
    }
    if let Some(pair) = new.pair() {
        data.direct.insert(pair, new.room);
    }
    let mut made = empty(new);
    for user in users {
        let is_owner = user == new.creator && new.kind != RoomKind::Direct;
        let role = if is_owner { Role::Owner } else { Role::Member };
        made.put_member(user, role, new.created_at);
        data.rooms_of.entry(user).or_default().insert(new.room);
    }
    let view = made.view(new.creator).expect("the creator is a member");
    data.rooms.insert(new.room, made);
    Created::New(view)
}

fn empty(new: &NewRoom) -> Room {
    Room {
        room: new.room,
        kind: new.kind,
        name: new.name.clone(),
        private: new.private,
        created_at: new.created_at,
        heads: Heads::default(),
        active_at: new.created_at,
        members: BTreeMap::new(),
        bans: BTreeSet::new(),
        removed: Vec::new(),
        messages: Vec::new(),
        sent: HashMap::new(),
        marks: Vec::new(),
        latest: BTreeMap::new(),
        reactions: BTreeSet::new(),
        uncounted: BTreeSet::new(),
    }
}

/// The room of the creator's `client_id`, or of the pair, unless the creator has left it.
fn find_existing(data: &Data, new: &NewRoom) -> Option<RoomView> {
    let by_name = new.client_id.clone().and_then(|name| data.created.get(&(new.creator, name)));
    let room = by_name.or_else(|| data.direct.get(&new.pair()?))?;
    data.rooms.get(room)?.view(new.creator)
}
