//! Reads, off the edge.

use madang_protocol::{Millis, Refusal, RoomId, UserId, operation::Range};
use madang_store::{
    accounts::{AddressKey, Credentials, Profile, ProfileKeys, Session, TokenHash},
    log::Page,
    rooms::{Access, ListPlace, Member, RoomView},
};
use std::sync::Arc;

/// Asks the store reader. Cloning shares it. Every call has a deadline and answers a refusal
/// (`unavailable`, `overloaded`, `internal`) when the store gives no answer.
#[derive(Clone)]
pub struct Reader {}

#[expect(clippy::unused_async, reason = "not wired yet")]
impl Reader {
    /// See `MessageLog::page`.
    pub async fn page(
        &self,
        _room: RoomId,
        _range: Range,
        _limit: usize,
    ) -> Result<Arc<Page>, Refusal> {
        unimplemented!()
    }
    /// See `RoomStore::view`.
    pub async fn view(&self, _room: RoomId, _user: UserId) -> Result<Option<RoomView>, Refusal> {
        unimplemented!()
    }
    /// See `RoomStore::list`.
    pub async fn list(
        &self,
        _user: UserId,
        _after: Option<ListPlace>,
        _limit: usize,
    ) -> Result<Vec<RoomView>, Refusal> {
        unimplemented!()
    }
    /// See `RoomStore::access`.
    pub async fn access(
        &self,
        _user: UserId,
        _rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, Refusal> {
        unimplemented!()
    }
    /// See `RoomStore::access_all`.
    pub async fn access_all(
        &self,
        _user: UserId,
        _limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, Refusal> {
        unimplemented!()
    }
    /// See `RoomStore::members`.
    pub async fn members(
        &self,
        _room: RoomId,
        _after: Option<UserId>,
        _limit: usize,
    ) -> Result<Vec<Member>, Refusal> {
        unimplemented!()
    }
    /// See `AccountStore::profiles`.
    pub async fn profiles(&self, _which: ProfileKeys) -> Result<Vec<Profile>, Refusal> {
        unimplemented!()
    }
    /// See `AccountStore::credentials`.
    pub async fn credentials(
        &self,
        _username_folded: String,
    ) -> Result<Option<Credentials>, Refusal> {
        unimplemented!()
    }
    /// See `AccountStore::session`.
    pub async fn session(
        &self,
        _token_hash: TokenHash,
        _now: Millis,
        _lifetime_ms: Millis,
    ) -> Result<Option<Session>, Refusal> {
        unimplemented!()
    }
    /// See `AccountStore::last_login_from`.
    pub async fn last_login_from(
        &self,
        _user: UserId,
        _address: AddressKey,
    ) -> Result<Option<Millis>, Refusal> {
        unimplemented!()
    }
}
