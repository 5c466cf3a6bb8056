//! Rooms, members and read positions.

use super::{Call, Effect, Faulty};
use crate::{
    ReceiptStore, RoomStore, StoreError,
    receipts::Read,
    rooms::{Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomView},
};
use async_trait::async_trait;
use madang_protocol::{Millis, RoomId, UserId};

#[async_trait]
impl RoomStore for Faulty {
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError> {
        let (rooms, script) = (self.inner.rooms.clone(), self.script.clone());
        let create = async move {
            let created = rooms.create(room.clone()).await?;
            script.took_effect(Effect::Created(&room));
            Ok(created)
        };
        self.write(Call::Change, create).await
    }

    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError> {
        self.read(self.inner.rooms.view(room, user)).await
    }

    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        self.read(self.inner.rooms.list(user, after, limit)).await
    }

    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        self.read(self.inner.rooms.access(user, rooms)).await
    }

    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        self.read(self.inner.rooms.access_all(user, limit)).await
    }

    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        let (rooms, script) = (self.inner.rooms.clone(), self.script.clone());
        let write = async move {
            let changed = rooms.change(room, by, change, at).await?;
            script.took_effect(Effect::Changed(room, &changed));
            Ok(changed)
        };
        self.write(Call::Change, write).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.read(self.inner.rooms.members(room, after, limit)).await
    }

    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        self.read(self.inner.rooms.members_among(room, users)).await
    }

    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        self.read(self.inner.rooms.rooms_of(users, members_max)).await
    }
}

#[async_trait]
impl ReceiptStore for Faulty {
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError> {
        let (receipts, script) = (self.inner.receipts.clone(), self.script.clone());
        let write = async move {
            receipts.put_reads(reads.clone()).await?;
            script.took_effect(Effect::Read(&reads));
            Ok(())
        };
        self.write(Call::PutReads, write).await
    }

    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.read(self.inner.receipts.readers(room, seq, after, limit)).await
    }
}
