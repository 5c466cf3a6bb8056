//! Making rooms: the transaction behind [`super`]. The unique indexes `creator_client` and `pair`
//! see to it that there is one room each, also when several ask at once: the insert of all but
//! one fails, and what they find when they begin anew is the room.

use super::{
    document::{MemberDocument, RoomDocument, pair_of},
    room_count,
};
use crate::{
    mongodb::{
        Mongo,
        bytes::Bytes,
        ids::{Id, values},
        schema::{MEMBERS, ROOMS, USERS},
        transaction::{Work, Worked},
    },
    rooms::{NewRoom, RoomView},
};
use ::mongodb::{
    ClientSession,
    bson::{Document, doc},
};
use async_trait::async_trait;
use madang_protocol::{Heads, Role, RoomId, RoomKind, UserId};
use serde::Deserialize;
use std::collections::HashMap;

/// A room to be made.
pub(super) struct Creation<'a> {
    pub(super) store: &'a Mongo,
    pub(super) new: &'a NewRoom,
}

/// What became of it.
pub(super) enum Outcome {
    New(RoomView),
    /// The creator is a member of it.
    Existing(RoomId),
    UnknownUsers(Vec<UserId>),
    TooManyRooms(UserId),
}

/// A room that may be meant.
#[derive(Deserialize)]
struct Candidate {
    #[serde(rename = "_id")]
    room: Bytes<15>,
    /// It is the one of the client id.
    named: bool,
    /// Its creator is a member still.
    present: bool,
}

/// A user who is to be a member.
#[derive(Deserialize)]
struct Account {
    #[serde(rename = "_id")]
    user: Bytes<15>,
    /// Absent: never in any.
    rooms: Option<u64>,
}

#[async_trait]
impl Work for Creation<'_> {
    type Answer = Outcome;

    async fn run(&self, session: &mut ClientSession) -> Worked<Outcome> {
        let candidates = self.candidates(session).await?;
        // One the creator has left is not theirs to see, so it does not count. The one of the
        // client id goes before that of the pair.
        let found = candidates.iter().filter(|candidate| candidate.present);
        if let Some(found) = found.max_by_key(|candidate| candidate.named) {
            return Ok(Outcome::Existing(RoomId(found.room.0)));
        }
        let users = self.new.users();
        let rooms = self.rooms(session, &users).await?;
        let unknown: Vec<UserId> =
            users.iter().filter(|user| !rooms.contains_key(*user)).copied().collect();
        if !unknown.is_empty() {
            return Ok(Outcome::UnknownUsers(unknown));
        }
        let count = |user: &UserId| rooms.get(user).copied().flatten();
        let rooms_max = self.store.options.rooms_max;
        if let Some(user) = users.iter().find(|user| count(user).unwrap_or(0) >= rooms_max) {
            return Ok(Outcome::TooManyRooms(*user));
        }
        if let Some(left) = candidates.iter().find(|candidate| candidate.named) {
            self.unname(session, left.room).await?;
        }
        let counted: Vec<UserId> =
            users.iter().filter(|user| count(user).is_some()).copied().collect();
        self.write(session, &users).await?;
        room_count::add_all(self.store, session, &users, &counted).await?;
        Ok(Outcome::New(self.view(users.len() as u64)))
    }
}

impl Creation<'_> {
    /// The rooms of the client id and of the pair.
    async fn candidates(&self, session: &mut ClientSession) -> Worked<Vec<Candidate>> {
        let rooms = self.store.collection::<RoomDocument>(ROOMS);
        let Some(stages) = candidates(self.new) else { return Ok(Vec::new()) };
        let mut cursor = rooms.aggregate(stages).with_type().session(&mut *session).await?;
        let mut found = Vec::new();
        while let Some(candidate) = cursor.next(session).await {
            found.push(candidate?);
        }
        Ok(found)
    }

    /// Those of `users` that exist, with how many rooms they are in.
    async fn rooms(
        &self,
        session: &mut ClientSession,
        users: &[UserId],
    ) -> Worked<HashMap<UserId, Option<u64>>> {
        let accounts = self.store.collection::<Document>(USERS);
        let stages = accounts_of(users);
        let mut cursor =
            accounts.aggregate(stages).with_type::<Account>().session(&mut *session).await?;
        let mut found = HashMap::with_capacity(users.len());
        while let Some(account) = cursor.next(session).await {
            let Account { user, rooms } = account?;
            found.insert(UserId(user.0), rooms);
        }
        Ok(found)
    }

    /// Takes the client id from a room that its creator has left.
    async fn unname(&self, session: &mut ClientSession, room: Bytes<15>) -> Worked<()> {
        let rooms = self.store.collection::<RoomDocument>(ROOMS);
        let update = doc! { "$unset": { "client_id": "" } };
        rooms.update_one(doc! { "_id": room.bson() }, update).session(session).await?;
        Ok(())
    }

    async fn write(&self, session: &mut ClientSession, users: &[UserId]) -> Worked<()> {
        let rooms = self.store.collection::<RoomDocument>(ROOMS);
        let room = RoomDocument::new(self.new, users.len() as u64);
        rooms.insert_one(&room).session(&mut *session).await?;
        let NewRoom { room, created_at, .. } = *self.new;
        let member =
            |user: &UserId| MemberDocument::new(room, *user, self.role(*user), created_at, 0);
        let members: Vec<_> = users.iter().map(member).collect();
        self.store
            .collection::<MemberDocument>(MEMBERS)
            .insert_many(&members)
            .session(session)
            .await?;
        Ok(())
    }

    fn role(&self, user: UserId) -> Role {
        let owner = user == self.new.creator && self.new.kind != RoomKind::Direct;
        if owner { Role::Owner } else { Role::Member }
    }

    fn view(&self, members: u64) -> RoomView {
        let NewRoom { room, kind, private, creator, created_at, .. } = *self.new;
        RoomView {
            room,
            kind,
            name: self.new.name.clone(),
            private,
            role: self.role(creator),
            created_at,
            heads: Heads::default(),
            read_seq: 0,
            members,
            last_message: None,
        }
    }
}

/// Finds [`Candidate`]s; `None`: none is meant.
fn candidates(new: &NewRoom) -> Option<Vec<Document>> {
    let creator = new.creator.bson();
    let mut wanted = Vec::new();
    // A literal: a client id may begin with a dollar.
    let mut named = doc! { "$literal": false };
    if let Some(client_id) = &new.client_id {
        let client_id = client_id.as_str();
        wanted.push(doc! { "creator": creator.clone(), "client_id": client_id });
        let is_it = doc! { "$eq": ["$client_id", { "$literal": client_id }] };
        named = doc! { "$and": [{ "$eq": ["$creator", creator.clone()] }, is_it] };
    }
    if let Some(pair) = new.pair() {
        wanted.push(doc! { "pair": pair_of(pair).bson() });
    }
    if wanted.is_empty() {
        return None;
    }
    Some(vec![
        doc! { "$match": { "$or": wanted } },
        doc! { "$project": { "named": named, "member": { "room": "$_id", "user": creator } } },
        doc! { "$lookup": {
            "from": "members", "localField": "member", "foreignField": "_id", "as": "member",
        } },
        doc! { "$project": { "named": 1, "present": { "$ne": ["$member", []] } } },
    ])
}

/// Finds [`Account`]s.
fn accounts_of(users: &[UserId]) -> Vec<Document> {
    vec![
        doc! { "$match": { "_id": { "$in": values(users) } } },
        doc! { "$project": { "_id": 1 } },
        doc! { "$lookup": {
            "from": "room_counts", "localField": "_id", "foreignField": "_id", "as": "count",
        } },
        doc! { "$project": { "rooms": { "$first": "$count.rooms" } } },
    ]
}
