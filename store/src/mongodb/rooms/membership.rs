//! Changing who is in a room, as what, and its name: the transaction behind [`super`].
//!
//! One aggregation reads the room and the two users in the transaction's snapshot,
//! [`super::logic`] decides, and the room's document is written first: `member_rev` rises there by
//! one for each event, so of changes that race one gets through and the others begin anew.

use super::{
    document::{BanDocument, MemberDocument, MemberKey, RoomDocument},
    logic::{Allowed, Bounds, Concerned, Step, Stored, decide},
    pipeline::{self, key},
    room_count,
};
use crate::{
    cluster::ClusterOptions,
    mongodb::{
        Mongo,
        ids::Id,
        schema::{BANS, MEMBERS, ROOMS},
        transaction::{Work, Worked},
    },
    rooms::{REMOVED_MAX, RoomChange, RoomChanged, RoomRefusal},
};
use ::mongodb::{
    ClientSession,
    bson::{Document, doc, serialize_to_bson},
};
use async_trait::async_trait;
use madang_protocol::{Heads, Millis, Role, RoomId, UserId};
use serde::Deserialize;

/// A change of a room that is asked for.
pub(super) struct Change<'a> {
    pub(super) store: &'a Mongo,
    pub(super) room: RoomId,
    pub(super) by: UserId,
    pub(super) change: &'a RoomChange,
    pub(super) at: Millis,
}

/// What [`pipeline::change`] answers.
#[derive(Deserialize)]
struct Found {
    of_room: RoomDocument,
    caller: Option<Role>,
    role: Option<Role>,
    banned: bool,
    exists: bool,
    #[serde(default)]
    rooms: u64,
    #[serde(default)]
    last_seq: u64,
    #[serde(default)]
    last_rev: u64,
}

#[async_trait]
impl Work for Change<'_> {
    type Answer = RoomChanged;

    async fn run(&self, session: &mut ClientSession) -> Worked<RoomChanged> {
        let Some(stored) = self.read(session).await? else {
            return Ok(RoomChanged::Refused(RoomRefusal::NoRoom));
        };
        let ClusterOptions { members_max, rooms_max, .. } = self.store.options;
        match decide(&stored, self.by, self.change, Bounds { members_max, rooms_max }) {
            Err(answer) => Ok(answer),
            Ok(allowed) => self.write(session, &stored, allowed).await,
        }
    }
}

impl Change<'_> {
    async fn read(&self, session: &mut ClientSession) -> Worked<Option<Stored>> {
        let concerned = self.change.concerns(self.by);
        let stages = pipeline::change(self.room, self.by, concerned);
        let rooms = self.store.collection::<RoomDocument>(ROOMS);
        let mut cursor =
            rooms.aggregate(stages).with_type::<Found>().session(&mut *session).await?;
        let found = cursor.next(session).await.transpose()?;
        Ok(found.map(|found| found.stored(concerned)))
    }

    async fn write(
        &self,
        session: &mut ClientSession,
        stored: &Stored,
        Allowed { step, events, role }: Allowed,
    ) -> Worked<RoomChanged> {
        let told = events.len() as u64;
        let user = stored.concerned.user;
        self.write_room(session, user, &step, told as i64).await?;
        match step {
            Step::Enter { role, banned } => {
                self.enter(session, user, role, stored.heads.last_seq, banned).await?;
            }
            Step::Exit { ban, .. } => self.exit(session, user, ban).await?,
            Step::Ban => self.ban(session, user).await?,
            Step::SetRole(role) => {
                self.set_role(session, user, role).await?;
                if role == Role::Owner {
                    self.set_role(session, self.by, Role::Admin).await?;
                }
            }
            Step::Rename(_) => {}
        }
        let heads = Heads { member_rev: stored.heads.member_rev + told, ..stored.heads };
        Ok(RoomChanged::Done { events, heads, role })
    }

    /// Written by every change, also one that tells nothing: changes of a room do not overlap.
    async fn write_room(
        &self,
        session: &mut ClientSession,
        user: UserId,
        step: &Step,
        told: i64,
    ) -> Worked<()> {
        let members = match step {
            Step::Enter { .. } => 1,
            Step::Exit { .. } => -1,
            Step::Ban | Step::SetRole(_) | Step::Rename(_) => 0_i64,
        };
        let mut update =
            doc! { "$inc": { "member_rev": told, "members": members, "steps": 1_i64 } };
        let user = user.bson();
        match step {
            Step::Rename(name) => _ = update.insert("$set", doc! { "name": name }),
            Step::Enter { .. } => _ = update.insert("$pull", doc! { "removed": user }),
            Step::Exit { removed: true, .. } => {
                let latest = doc! { "$each": [user], "$slice": -(REMOVED_MAX as i32) };
                update.insert("$push", doc! { "removed": latest });
            }
            Step::Exit { .. } | Step::Ban | Step::SetRole(_) => {}
        }
        let rooms = self.store.collection::<RoomDocument>(ROOMS);
        rooms.update_one(doc! { "_id": self.room.bson() }, update).session(session).await?;
        Ok(())
    }

    async fn enter(
        &self,
        session: &mut ClientSession,
        user: UserId,
        role: Role,
        read_seq: u64,
        banned: bool,
    ) -> Worked<()> {
        let member = MemberDocument::new(self.room, user, role, self.at, read_seq);
        let members = self.store.collection::<MemberDocument>(MEMBERS);
        members.insert_one(&member).session(&mut *session).await?;
        if banned {
            let bans = self.store.collection::<BanDocument>(BANS);
            bans.delete_one(self.key(user)).session(&mut *session).await?;
        }
        room_count::add(self.store, session, user, 1).await
    }

    async fn exit(&self, session: &mut ClientSession, user: UserId, ban: bool) -> Worked<()> {
        let members = self.store.collection::<MemberDocument>(MEMBERS);
        members.delete_one(self.key(user)).session(&mut *session).await?;
        if ban {
            self.ban(session, user).await?;
        }
        room_count::add(self.store, session, user, -1).await
    }

    async fn ban(&self, session: &mut ClientSession, user: UserId) -> Worked<()> {
        let ban = BanDocument { key: MemberKey::new(self.room, user) };
        let bans = self.store.collection::<BanDocument>(BANS);
        // One who was kept out before, and is a member all the same, is not there: who enters is
        // let in.
        bans.insert_one(&ban).session(session).await?;
        Ok(())
    }

    async fn set_role(&self, session: &mut ClientSession, user: UserId, role: Role) -> Worked<()> {
        let role = serialize_to_bson(&role).expect("a role is a word");
        let members = self.store.collection::<MemberDocument>(MEMBERS);
        let update = doc! { "$set": { "role": role } };
        members.update_one(self.key(user), update).session(session).await?;
        Ok(())
    }

    fn key(&self, user: UserId) -> Document {
        doc! { "_id": key(self.room, user) }
    }
}

impl Found {
    fn stored(self, user: UserId) -> Stored {
        let Self { of_room, caller, role, banned, exists, rooms, last_seq, last_rev } = self;
        Stored {
            kind: of_room.kind,
            private: of_room.private,
            name: of_room.name,
            heads: Heads { last_seq, last_rev, member_rev: of_room.member_rev },
            members: of_room.members,
            caller,
            concerned: Concerned { user, exists, role, banned, rooms },
        }
    }
}
