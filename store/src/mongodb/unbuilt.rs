//! What is not built yet: it refuses.

use super::Mongo;
use crate::{MessageLog, StoreError, log::*};
use async_trait::async_trait;
use madang_protocol::{
    ClientId, Emoji, Entry, Heads, RoomId, UserId, operation::Range,
};

fn unbuilt() -> StoreError {
    StoreError::Unavailable("not built yet".into())
}

#[async_trait]
impl MessageLog for Mongo {
    async fn append(&self, _entries: Vec<Entry>) -> Appended {
        Appended { committed: 0, stopped: Some(Stopped::Refused(unbuilt())) }
    }
    async fn activate(
        &self,
        _room: RoomId,
        _window: usize,
    ) -> Result<Option<Activation>, StoreError> {
        Err(unbuilt())
    }
    async fn find_sent(
        &self,
        _room: RoomId,
        _sent: Vec<(UserId, ClientId)>,
    ) -> Result<Vec<Option<Sent>>, StoreError> {
        Err(unbuilt())
    }
    async fn page(
        &self,
        _room: RoomId,
        _range: Range,
        _limit: usize,
        _bytes_max: usize,
    ) -> Result<Page, StoreError> {
        Err(unbuilt())
    }
    async fn changed(
        &self,
        _room: RoomId,
        _after_rev: u64,
        _to_seq: u64,
        _limit: usize,
        _bytes_max: usize,
    ) -> Result<ChangedPage, StoreError> {
        Err(unbuilt())
    }
    async fn marks(
        &self,
        _room: RoomId,
        _after_rev: u64,
        _limit: usize,
    ) -> Result<Vec<Mark>, StoreError> {
        Err(unbuilt())
    }
    async fn target(
        &self,
        _room: RoomId,
        _seq: u64,
        _user: UserId,
    ) -> Result<Option<Target>, StoreError> {
        Err(unbuilt())
    }
    async fn my_reactions(
        &self,
        _room: RoomId,
        _user: UserId,
        _seqs: Vec<u64>,
    ) -> Result<Vec<Vec<Emoji>>, StoreError> {
        Err(unbuilt())
    }
    async fn news(&self, _known: Vec<(RoomId, Heads)>) -> Result<Vec<(RoomId, Heads)>, StoreError> {
        Err(unbuilt())
    }
}
