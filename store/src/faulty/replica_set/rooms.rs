//! Rooms, members and read positions: every machine has them at once.

use super::Machines;
use crate::{
    ReceiptStore, RoomStore, StoreError,
    open::StoreControl,
    receipts::Read,
    rooms::{Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomView},
};
use async_trait::async_trait;
use madang_protocol::{Millis, RoomId, UserId};
use madang_resilience::Part;

#[async_trait]
impl RoomStore for Machines {
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError> {
        self.primary.know_accounts_of(&self.majority);
        self.primary.create(room.clone()).await?;
        self.majority().create(room).await
    }

    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError> {
        self.majority().view(room, user).await
    }

    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        self.majority().list(user, after, limit).await
    }

    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        self.majority().access(user, rooms).await
    }

    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        self.majority().access_all(user, limit).await
    }

    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        self.primary.know_accounts_of(&self.majority);
        self.primary.change_now(room, by, &change, at)?;
        self.majority().change_now(room, by, &change, at)
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.majority().members(room, after, limit).await
    }

    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        self.majority().members_among(room, users).await
    }

    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        self.majority().rooms_of(users, members_max).await
    }
}

#[async_trait]
impl ReceiptStore for Machines {
    async fn put_reads(&self, reads: Vec<Read>) -> Result<(), StoreError> {
        self.majority().put_reads(reads.clone()).await?;
        self.primary.put_reads(reads).await
    }

    async fn readers(
        &self,
        room: RoomId,
        seq: u64,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        self.majority().readers(room, seq, after, limit).await
    }
}

#[async_trait]
impl StoreControl for Machines {
    fn health(&self) -> Part {
        self.majority().health()
    }

    async fn close(&self) {
        self.majority().close().await;
    }
}
