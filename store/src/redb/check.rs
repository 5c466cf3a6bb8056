//! [`crate::check()`] on redb.

mod changes;

use super::{
    engine::broken_structure,
    file::Source,
    record::Raw,
    tables::{
        Bans, CreatedRooms, DirectRooms, ExternalIds, HeadsRecord, Logins, Members, MessageRecord,
        Messages, Meta, RoomCounts, RoomHeads, Rooms, Sent, SentRecord, Sessions, Table, UserRooms,
        UserSessions, Usernames, Users,
    },
    transaction::{Read, Snapshot},
};
use crate::{
    StoreError,
    check::Report,
    open::{Medium, OpenError},
};
use madang_protocol::{Millis, Role, RoomId, RoomKind, UserId};
use std::{
    collections::HashMap,
    ops::Bound,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
};

/// Pages in memory meanwhile, bytes.
const CACHE_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn check(medium: Medium) -> Result<Report, OpenError> {
    let source = Source::existing(medium, CACHE_BYTES)?;
    let database = source.examine()?;
    let damaged = |detail: String| OpenError::Damaged { path: source.path(), detail };
    let snapshot = Snapshot::take(&database).map_err(|error| damaged(error.to_string()))?;
    let mut check = Check { snapshot: Rc::new(snapshot), report: Report::default() };
    catch_unwind(AssertUnwindSafe(|| check.run()))
        .unwrap_or_else(|_| Err(broken_structure()))
        .map_err(|error| damaged(error.to_string()))?;
    Ok(check.report)
}

struct Check {
    snapshot: Rc<Snapshot>,
    report: Report,
}

/// The newest message of a room, as the messages say.
#[derive(Default)]
struct Newest {
    seq: u64,
    ts: Millis,
}

impl Check {
    fn run(&mut self) -> Result<(), StoreError> {
        let newest = self.messages()?;
        self.each::<Sent>(|check, (room, sender, client_id), sent| {
            let found = check.find::<Messages>(&(room, sent.seq))?;
            let agrees = found.is_some_and(|message| {
                message.sender == Raw(sender.0) && message.client_id == client_id
            });
            check.require(agrees, || format!("sent: no message {} in {room}", sent.seq));
            Ok(())
        })?;
        self.changes()?;
        self.rooms(&newest)?;
        self.members()?;
        self.bans()?;
        self.accounts()?;
        self.each::<Logins>(|_, _, _| Ok(()))?;
        self.each::<Meta>(|_, _, _| Ok(()))
    }

    /// Every room's messages: 1, 2, 3, ..., each to be found by its sender's name for it.
    fn messages(&mut self) -> Result<HashMap<RoomId, Newest>, StoreError> {
        let mut newest: HashMap<RoomId, Newest> = HashMap::new();
        self.each::<Messages>(|check, (room, seq), message| {
            let MessageRecord { ts, sender, client_id, .. } = message;
            check.report.messages += 1;
            let last = newest.entry(room).or_default();
            check.require(seq == last.seq + 1, || {
                format!("messages: {seq} follows {} in {room}", last.seq)
            });
            check.require(ts >= last.ts, || format!("messages: time runs back at {seq} in {room}"));
            *last = Newest { seq, ts };
            let sent = check.find::<Sent>(&(room, UserId(sender.0), client_id))?;
            check.require(sent == Some(SentRecord { seq, ts }), || {
                format!("messages: {seq} in {room} is not found by its sender's name for it")
            });
            Ok(())
        })?;
        Ok(newest)
    }

    /// Heads agree with the messages, and indexes of rooms lead to rooms.
    fn rooms(&mut self, newest: &HashMap<RoomId, Newest>) -> Result<(), StoreError> {
        self.each::<Rooms>(|check, room, record| {
            check.report.rooms += 1;
            let Some(heads) = check.find::<RoomHeads>(&room)? else {
                check.report.problem(format!("rooms: {room} has no heads"));
                return Ok(());
            };
            let active_at = newest.get(&room).map_or(record.created_at, |newest| newest.ts);
            check.require(heads.active_at == active_at, || {
                format!("room_heads: the activity of {room} is not that of its messages")
            });
            Ok(())
        })?;
        self.each::<RoomHeads>(|check, room, HeadsRecord { last_seq, .. }| {
            let seq = newest.get(&room).map_or(0, |newest| newest.seq);
            check.require(last_seq == seq, || {
                format!("room_heads: {room} is at {last_seq}, its messages at {seq}")
            });
            check.require_room("room_heads", room)
        })?;
        for room in newest.keys() {
            self.require_room("messages", *room)?;
        }
        self.each::<CreatedRooms>(|check, _, room| {
            check.require_room("created_rooms", RoomId(room.0))
        })?;
        self.each::<DirectRooms>(|check, _, room| {
            let found = check.find::<Rooms>(&RoomId(room.0))?;
            let direct = found.is_some_and(|room| room.kind == RoomKind::Direct);
            check.require(direct, || "direct_rooms: leads to no direct room".into());
            Ok(())
        })
    }

    /// Memberships agree with their index and with both counters.
    fn members(&mut self) -> Result<(), StoreError> {
        let mut of_room: HashMap<RoomId, u64> = HashMap::new();
        let mut of_user: HashMap<UserId, u64> = HashMap::new();
        let mut owners: HashMap<RoomId, u64> = HashMap::new();
        self.each::<Members>(|check, (room, user), member| {
            check.report.members += 1;
            *of_room.entry(room).or_default() += 1;
            *owners.entry(room).or_default() += u64::from(member.role == Role::Owner);
            *of_user.entry(user).or_default() += 1;
            let indexed = check.find::<UserRooms>(&(user, room))?.is_some();
            check.require(indexed, || format!("user_rooms: lacks {user} in {room}"));
            let last_seq = check.find::<RoomHeads>(&room)?.map_or(0, |heads| heads.last_seq);
            check.require(member.read_seq <= last_seq, || {
                format!("members: {user} has read more of {room} than there is")
            });
            check.require_user("members", user)
        })?;
        self.each::<UserRooms>(|check, (user, room), _| {
            let known = check.find::<Members>(&(room, user))?.is_some();
            check.require(known, || format!("user_rooms: {user} is no member of {room}"));
            Ok(())
        })?;
        self.each::<RoomHeads>(|check, room, heads| {
            let counted = of_room.get(&room).copied().unwrap_or(0);
            check.require(heads.members == counted, || {
                format!("room_heads: {room} has {counted} members, not {}", heads.members)
            });
            Ok(())
        })?;
        self.each::<Rooms>(|check, room, record| {
            let counted = owners.get(&room).copied();
            let owned = record.kind != RoomKind::Direct;
            // None where everybody has left.
            check.require(counted.is_none_or(|counted| counted == u64::from(owned)), || {
                format!("members: {room} has {} owners", counted.unwrap_or(0))
            });
            Ok(())
        })?;
        self.each::<RoomCounts>(|check, user, stated| {
            let counted = of_user.remove(&user).unwrap_or(0);
            check.require(stated == counted, || {
                format!("room_counts: {user} is in {counted} rooms, not {stated}")
            });
            Ok(())
        })?;
        for user in of_user.into_keys() {
            self.report.problem(format!("room_counts: lacks {user}"));
        }
        Ok(())
    }

    /// Who is kept out is not in.
    fn bans(&mut self) -> Result<(), StoreError> {
        self.each::<Bans>(|check, (room, user), _| {
            let is_member = check.find::<Members>(&(room, user))?.is_some();
            check.require(!is_member, || format!("bans: {user} is a member of {room}"));
            check.require_room("bans", room)?;
            check.require_user("bans", user)
        })
    }

    /// Users agree with their names, sessions with their users.
    fn accounts(&mut self) -> Result<(), StoreError> {
        self.each::<Users>(|check, user, record| {
            check.report.users += 1;
            let named = check.find::<Usernames>(&record.username_folded)?;
            check.require(named == Some(Raw(user.0)), || {
                format!("usernames: {user} is not found by name")
            });
            if let Some(external_id) = record.external_id {
                let named = check.find::<ExternalIds>(&external_id)?;
                check.require(named == Some(Raw(user.0)), || {
                    format!("external_ids: {user} is not found by external id")
                });
            }
            Ok(())
        })?;
        self.each::<Usernames>(|check, name, user| {
            let found = check.find::<Users>(&UserId(user.0))?;
            let agrees = found.is_some_and(|record| record.username_folded == name);
            check.require(agrees, || "usernames: leads to no user of that name".into());
            Ok(())
        })?;
        self.each::<ExternalIds>(|check, external_id, user| {
            let found = check.find::<Users>(&UserId(user.0))?;
            let agrees = found.is_some_and(|record| record.external_id == Some(external_id));
            check.require(agrees, || "external_ids: leads to no user of that external id".into());
            Ok(())
        })?;
        self.each::<Sessions>(|check, token_hash, record| {
            check.report.sessions += 1;
            let user = UserId(record.user.0);
            let session = madang_protocol::SessionId(record.session.0);
            let indexed = check.find::<UserSessions>(&(user, session))?;
            check.require(indexed == Some(Raw(token_hash)), || {
                format!("user_sessions: lacks {session}")
            });
            check.require_user("sessions", user)
        })?;
        self.each::<UserSessions>(|check, (_, session), token_hash| {
            let known = check.find::<Sessions>(&token_hash.0)?.is_some();
            check.require(known, || format!("user_sessions: {session} is not there"));
            Ok(())
        })
    }

    /// Calls `look` for every sound record of a table and reports the others. Ends early only
    /// when the file itself cannot be read.
    fn each<T: Table>(
        &mut self,
        mut look: impl FnMut(&mut Self, T::Key, T::Record) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // A second handle on the same snapshot, so that `look` may use this one.
        let snapshot = self.snapshot.clone();
        for item in snapshot.scan::<T>(Bound::Unbounded, Bound::Unbounded)? {
            match item {
                Ok((key, record)) => look(self, key, record)?,
                Err(error @ StoreError::Damaged { table, .. }) if table == T::NAME => {
                    self.report.problem(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn find<T: Table>(&mut self, key: &T::Key) -> Result<Option<T::Record>, StoreError> {
        match self.snapshot.get::<T>(key) {
            // Reported once, when its own table is gone through.
            Err(StoreError::Damaged { .. }) => Ok(None),
            answer => answer,
        }
    }

    fn require(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.report.problem(problem());
        }
    }

    fn require_room(&mut self, table: &str, room: RoomId) -> Result<(), StoreError> {
        let known = self.find::<Rooms>(&room)?.is_some();
        self.require(known, || format!("{table}: {room} is no room"));
        Ok(())
    }

    fn require_user(&mut self, table: &str, user: UserId) -> Result<(), StoreError> {
        let known = self.find::<Users>(&user)?.is_some();
        self.require(known, || format!("{table}: {user} is no user"));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
