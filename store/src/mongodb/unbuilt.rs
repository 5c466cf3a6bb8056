//! What is not built yet: it refuses.

use super::Mongo;
use crate::{AccountStore, RoomStore, StoreError, accounts::*, rooms::*};
use async_trait::async_trait;
use madang_protocol::{Millis, RoomId, SessionId, UserId};

fn unbuilt() -> StoreError {
    StoreError::Unavailable("not built yet".into())
}

#[async_trait]
impl RoomStore for Mongo {
    async fn create(&self, _room: NewRoom) -> Result<Created, StoreError> {
        Err(unbuilt())
    }
    async fn view(&self, _room: RoomId, _user: UserId) -> Result<Option<RoomView>, StoreError> {
        Err(unbuilt())
    }
    async fn list(
        &self,
        _user: UserId,
        _after: Option<ListPlace>,
        _limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        Err(unbuilt())
    }
    async fn access(
        &self,
        _user: UserId,
        _rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        Err(unbuilt())
    }
    async fn access_all(
        &self,
        _user: UserId,
        _limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        Err(unbuilt())
    }
    async fn change(
        &self,
        _room: RoomId,
        _by: UserId,
        _change: RoomChange,
        _at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        Err(unbuilt())
    }
    async fn members(
        &self,
        _room: RoomId,
        _after: Option<UserId>,
        _limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        Err(unbuilt())
    }
    async fn members_among(
        &self,
        _room: RoomId,
        _users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        Err(unbuilt())
    }
    async fn rooms_of(
        &self,
        _users: Vec<UserId>,
        _members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        Err(unbuilt())
    }
}
#[async_trait]
impl AccountStore for Mongo {
    async fn create_users(&self, _users: Vec<NewUser>) -> Result<CreatedUsers, StoreError> {
        Err(unbuilt())
    }
    async fn credentials(
        &self,
        _username_folded: String,
    ) -> Result<Option<Credentials>, StoreError> {
        Err(unbuilt())
    }
    async fn profiles(&self, _which: ProfileKeys) -> Result<Vec<Profile>, StoreError> {
        Err(unbuilt())
    }
    async fn start_session(
        &self,
        _session: NewSession,
        _sessions_max: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        Err(unbuilt())
    }
    async fn start_external_session(
        &self,
        _login: ExternalLogin,
        _sessions_max: usize,
    ) -> Result<ExternalStarted, StoreError> {
        Err(unbuilt())
    }
    async fn session(
        &self,
        _token_hash: TokenHash,
        _now: Millis,
    ) -> Result<Option<Session>, StoreError> {
        Err(unbuilt())
    }
    async fn ended_sessions(
        &self,
        _sessions: Vec<(UserId, SessionId)>,
        _now: Millis,
    ) -> Result<Vec<SessionId>, StoreError> {
        Err(unbuilt())
    }
    async fn touch_sessions(&self, _touches: Vec<Touch>) -> Result<(), StoreError> {
        Err(unbuilt())
    }
    async fn end_session(&self, _token_hash: TokenHash) -> Result<(), StoreError> {
        Err(unbuilt())
    }
    async fn set_password(
        &self,
        _keep: TokenHash,
        _password_hash: String,
    ) -> Result<Option<Vec<SessionId>>, StoreError> {
        Err(unbuilt())
    }
    async fn set_display_name(
        &self,
        _user: UserId,
        _display_name: String,
    ) -> Result<Option<Profile>, StoreError> {
        Err(unbuilt())
    }
    async fn last_login_from(
        &self,
        _user: UserId,
        _address: AddressKey,
    ) -> Result<Option<Millis>, StoreError> {
        Err(unbuilt())
    }
}
