//! [`RoomStore`] on MongoDB.
//!
//! | file | holds |
//! |---|---|
//! | [`document`] | rooms and members as documents |
//! | [`pipeline`] | what is asked, one aggregation each |
//! | [`creation`] | the transaction that makes a room |
//! | [`membership`] | the one that changes a room, and [`logic`], what is allowed |

mod creation;
pub(in crate::mongodb) mod document;
mod logic;
mod membership;
pub(in crate::mongodb) mod pipeline;
mod room_count;

use super::{
    Mongo,
    failure::Failure,
    member::MemberRecord,
    schema::{MEMBERS, ROOMS},
};
use crate::{
    RoomStore, StoreError,
    metrics::Call,
    rooms::{Access, Created, ListPlace, Member, NewRoom, RoomChange, RoomChanged, RoomView},
};
use ::mongodb::bson::Document;
use async_trait::async_trait;
use creation::{Creation, Outcome};
use document::{MemberKey, SeenRoom};
use madang_protocol::{Millis, RoomId, UserId};
use membership::Change;
use std::collections::HashMap;

#[async_trait]
impl RoomStore for Mongo {
    async fn create(&self, room: NewRoom) -> Result<Created, StoreError> {
        self.write(Call::CreateRoom, self.create_or_find(&room)).await
    }

    async fn view(&self, room: RoomId, user: UserId) -> Result<Option<RoomView>, StoreError> {
        let stages = pipeline::view(room, user);
        let found = self.read(Call::View, self.seen_rooms(MEMBERS, user, stages)).await?;
        Ok(found.into_iter().find_map(SeenRoom::view))
    }

    async fn list(
        &self,
        user: UserId,
        after: Option<ListPlace>,
        limit: usize,
    ) -> Result<Vec<RoomView>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let stages = pipeline::list(user, after, limit);
        let found = self.read(Call::List, self.seen_rooms(MEMBERS, user, stages)).await?;
        Ok(found.into_iter().filter_map(SeenRoom::view).collect())
    }

    async fn access(
        &self,
        user: UserId,
        rooms: Vec<RoomId>,
    ) -> Result<Vec<Option<Access>>, StoreError> {
        if rooms.is_empty() {
            return Ok(Vec::new());
        }
        let stages = pipeline::access(user, &rooms);
        let found = self.read(Call::Access, self.seen_rooms(ROOMS, user, stages)).await?;
        let found: HashMap<RoomId, Access> =
            found.iter().map(|seen| (seen.room(), seen.access(user))).collect();
        Ok(rooms.iter().map(|room| found.get(room).copied()).collect())
    }

    async fn access_all(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<(RoomId, Access)>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let stages = pipeline::access_all(user, limit);
        let found = self.read(Call::AccessAll, self.seen_rooms(MEMBERS, user, stages)).await?;
        Ok(found.iter().map(|seen| (seen.room(), seen.access(user))).collect())
    }

    async fn change(
        &self,
        room: RoomId,
        by: UserId,
        change: RoomChange,
        at: Millis,
    ) -> Result<RoomChanged, StoreError> {
        let change = Change { store: self, room, by, change: &change, at };
        let _turn = self.room_turns.take(room, self.options.write_timeout).await?;
        self.write(Call::ChangeRoom, self.transact(&change)).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let stages = pipeline::members(room, after, limit);
        self.read(Call::Members, self.seen_members(room, stages)).await
    }

    async fn members_among(
        &self,
        room: RoomId,
        users: Vec<UserId>,
    ) -> Result<Vec<Member>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let stages = pipeline::members_among(room, &users);
        let found = self.read(Call::MembersAmong, self.seen_members(room, stages)).await?;
        let found: HashMap<UserId, Member> =
            found.into_iter().map(|member| (member.user, member)).collect();
        Ok(users.iter().filter_map(|user| found.get(user).copied()).collect())
    }

    async fn rooms_of(
        &self,
        users: Vec<UserId>,
        members_max: u64,
    ) -> Result<Vec<(UserId, Vec<RoomId>)>, StoreError> {
        if users.is_empty() {
            return Ok(Vec::new());
        }
        let stages = pipeline::rooms_of(&users, members_max);
        let found = self.read(Call::RoomsOf, self.aggregate(MEMBERS, stages)).await?;
        let mut rooms: HashMap<UserId, Vec<RoomId>> = HashMap::new();
        for MemberKey { room, user } in found {
            rooms.entry(UserId(user.0)).or_default().push(RoomId(room.0));
        }
        let of_user = |user| (user, rooms.get(&user).cloned().unwrap_or_default());
        Ok(users.into_iter().map(of_user).collect())
    }
}

impl Mongo {
    async fn create_or_find(&self, new: &NewRoom) -> Result<Created, Failure> {
        let existing = match self.transact(&Creation { store: self, new }).await? {
            Outcome::New(view) => return Ok(Created::New(view)),
            Outcome::UnknownUsers(users) => return Ok(Created::UnknownUsers(users)),
            Outcome::TooManyRooms(user) => return Ok(Created::TooManyRooms(user)),
            Outcome::Existing(room) => room,
        };
        let stages = pipeline::view(existing, new.creator);
        let found = self.seen_rooms(MEMBERS, new.creator, stages).await;
        let view = found.map_err(Failure::unwritten)?.into_iter().find_map(SeenRoom::view);
        let left = || StoreError::Unavailable("the creator has just left the room".into());
        Ok(Created::Existing(view.ok_or_else(left)?))
    }

    /// Rooms as `user` sees them, with what this node knows ahead of the database.
    async fn seen_rooms(
        &self,
        collection: &str,
        user: UserId,
        stages: Vec<Document>,
    ) -> Result<Vec<SeenRoom>, Failure> {
        let mut found: Vec<SeenRoom> = self.aggregate(collection, stages.clone()).await?;
        // A message is shown as its changes left it, also if whoever appended one did not come to
        // that.
        let unapplied: Vec<_> = found
            .iter()
            .filter_map(|seen| seen.unapplied().map(|(from, to)| (seen.room(), from, to)))
            .collect();
        for (room, from, to) in &unapplied {
            self.apply_again(*room, *from, *to).await?;
        }
        if !unapplied.is_empty() {
            found = self.aggregate(collection, stages).await?;
        }
        for seen in &mut found {
            seen.has_read(|room, stored| self.positions.ahead(room, user, stored));
        }
        Ok(found)
    }

    /// Members of `room`, likewise.
    async fn seen_members(
        &self,
        room: RoomId,
        stages: Vec<Document>,
    ) -> Result<Vec<Member>, Failure> {
        let found: Vec<MemberRecord> = self.aggregate(MEMBERS, stages).await?;
        let members = found.iter().map(|record| self.member(room, record));
        Ok(members.collect::<Result<_, StoreError>>()?)
    }
}
